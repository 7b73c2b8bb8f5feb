"""Label the faces of a video file, a camera or a stream, smoothed over time.

Writes an annotated video (--output), a CSV of probabilities per frame (--csv), or both. Each appears once it is whole;
Ctrl-C stops it and keeps what there is by then. Where a clip ends too early, stderr says so; the exit status is then 2.
"""

import argparse
import sys
import time
from pathlib import Path

from emotion.commands.terminal.options import add_model_options, files_read, predictor_from
from emotion.commands.terminal.progress import progress
from emotion.commands.terminal.saying import tell
from emotion.foundation.errors import UserError, shown
from emotion.foundation.files import integer, number
from emotion.inference.frames import FrameSource
from emotion.inference.outputs import check_output
from emotion.inference.tracking import FaceTracker
from emotion.inference.video import label_video
from emotion.inference.writers import is_stream


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `emotion video`."""
    parser.add_argument("source", help="a file, a camera index such as 0, or a stream's address")
    add_model_options(parser)
    parser.add_argument("--output", type=Path, metavar="FILE", help="annotated video: .mp4, .avi, .mov or .mkv")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="probabilities of each face in each frame")
    parser.add_argument(
        "--every", type=integer, default=1, metavar="N", help="look at every N-th frame only (default 1)"
    )
    parser.add_argument(
        "--smooth",
        type=number,
        default=0.4,
        metavar="S",
        help="seconds over which labels are averaged; 0 = off (default 0.4)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Label the video."""
    if arguments.every < 1:
        raise UserError(f"--every is {arguments.every}; it must be 1 or more")
    if not arguments.smooth >= 0:
        raise UserError(f"--smooth is {arguments.smooth}; it must be 0 or more seconds")
    if not arguments.output and not arguments.csv:
        raise UserError("nothing to write; give --output, --csv, or both")
    read = {"the video itself": [Path(arguments.source)], **files_read(arguments)}
    if arguments.output:
        check_output(arguments.output, read)
    if arguments.csv:
        written = [arguments.output] if arguments.output else []
        check_output(arguments.csv, {**read, "also written by --output": written}, is_text=True)
    source = FrameSource(arguments.source)
    tracker = FaceTracker(predictor_from(arguments).for_video(), smoothing_s=arguments.smooth)
    is_piped = bool(arguments.csv) and is_stream(arguments.csv)  # /dev/stdout: rows only
    began = time.monotonic()
    with progress(source.expected or None, "frames", hidden=is_piped and sys.stdout.isatty()) as done:
        summary = label_video(
            source,
            tracker,
            output=arguments.output,
            table=arguments.csv,
            every=arguments.every,
            progress=lambda frame: done(),
        )
    how = "stopped after" if summary.stopped else "read"
    rate = summary.frames / max(time.monotonic() - began, 1e-9)
    followed = f"followed {summary.faces} face{'' if summary.faces == 1 else 's'}"
    print(
        f"{how} {summary.frames} frame{'' if summary.frames == 1 else 's'} ({rate:.0f} a second), "
        f"looked at {summary.looked_at}, {followed}, prior {shown(tracker.predictor.prior.name)}",
        file=sys.stderr if is_piped else sys.stdout,
    )
    if summary.unread:
        of = summary.frames + summary.unread
        tell(f"{arguments.source}: {summary.unread} of {of} frames could not be read; the file is damaged or cut off")
        return 2
    return 0
