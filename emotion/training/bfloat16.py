"""Whether bfloat16 pays off on this processor: without instructions for it, training takes many times as long."""

import sys
import time

# Times as long as float32: noise alone stays below this, and processors without the instructions reach 5 to 15.
_SLOW = 2.0


def slowdown() -> float:
    """How many times longer a convolution's gradient takes in bfloat16 than in float32; measured in about 0.2 s.

    It is the filter's gradient because TensorFlow 2.21 has no fast bfloat16 code for that on a CPU without AVX-512,
    where the convolution itself is as fast as in float32.
    """
    return _gradient_seconds("bfloat16") / _gradient_seconds("float32")


def warn_if_slow(times: float) -> None:
    """Print one warning to stderr when bfloat16 takes too many `times` as long as float32 to pay off."""
    if times > _SLOW:
        print(
            f"warning: train.precision: bfloat16 computes gradients about {times:.0f} times slower than float32 on "
            "this processor, which lacks the instructions for it; stop and set train.precision: float32",
            file=sys.stderr,
        )


def _gradient_seconds(dtype: str) -> float:
    import tensorflow as tf

    pictures = tf.ones((16, 24, 24, 32), dtype)
    best = float("inf")
    for _ in range(4):  # the first is a warm-up
        began = time.perf_counter()
        gradient = tf.raw_ops.Conv2DBackpropFilter(
            input=pictures,
            filter_sizes=(3, 3, 32, 32),
            out_backprop=pictures,
            strides=(1, 1, 1, 1),
            padding="SAME",
        )
        gradient.numpy()
        best = min(best, time.perf_counter() - began)
    return best
