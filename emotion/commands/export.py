"""Convert a trained .keras for other runtimes, then compare the predictions of both on the same faces.

Formats: litert (.tflite), onnx, savedmodel (a folder), h5, weights (.weights.h5). The largest difference of a
probability before and after is printed; over the bound (--max-difference) nothing is written and it is an error. The
accuracy of both is printed where the --faces folder has a subfolder for each label. Several models become one that
answers with their average: for the labels that all know, and with the first one's prior.
"""

import argparse
from pathlib import Path

from emotion.foundation.files import number
from emotion.inference.exporting.export import FORMATS, export


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `emotion export`."""
    parser.add_argument("models", type=Path, nargs="+", metavar="model", help="a .keras made by the pipeline")
    parser.add_argument("output", type=Path, help="the file, or for savedmodel the folder, to write")
    parser.add_argument("--format", required=True, choices=FORMATS)
    precision = parser.add_mutually_exclusive_group()
    precision.add_argument("--float16", action="store_true", help="litert: 16-bit weights, half the size")
    precision.add_argument(
        "--int8", action="store_true", help="litert: 8-bit weights, calibrated 8-bit arithmetic, float in and out"
    )
    parser.add_argument(
        "--faces",
        type=Path,
        metavar="PATH",
        help="face crops to compare on, and to calibrate int8 with: a folder (with a subfolder for each label, if "
        "accuracy is wanted) or the pipeline's data/raw/faces.zip; without it, faces are drawn",
    )
    parser.add_argument("--max-difference", type=number, metavar="D", help="bound, 0 to 1 (default: by precision)")


def run(arguments: argparse.Namespace) -> int:
    """Export and print the comparison."""
    precision = "float16" if arguments.float16 else "int8" if arguments.int8 else "float32"
    report = export(
        arguments.models,
        arguments.output,
        format_name=arguments.format,
        precision=precision,
        faces_path=arguments.faces,
        max_difference=arguments.max_difference,
    )
    print("\n".join(report.lines()))
    return 0
