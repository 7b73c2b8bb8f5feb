"""Muon for convolutional networks: momentum whose matrices are made orthogonal before each step."""

from typing import Any

import keras
from keras import ops

from emotion.network import HEAD

_ADAM_RATE = 0.2  # Adam's learning rate, as a fraction of Muon's


class Muon(keras.optimizers.Muon):
    """Keras' Muon, for the kernels of convolutions as well: [height, width, in, out] is a matrix [height * width * in, out].

    The stock class leaves convolutions to Adam. Here Adam has what Muon is not made for: vectors, depthwise kernels, the
    first convolution (it sees pixels) and the head. Each of Muon's steps has 0.2 times the learning
    rate as root mean square, whatever the matrix' size.

    Sources: Jordan et al. 2024 (https://kellerjordan.github.io/posts/muon/), who flatten convolutions so and leave the
    first and last layers out; Liu et al. 2025 (https://arxiv.org/abs/2502.16982) for the size of the steps.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(adam_lr_ratio=_ADAM_RATE, adam_weight_decay=None, **settings)

    def _should_use_adamw(self, variable: Any) -> bool:
        shape = variable.shape
        if len(shape) < 2 or variable.path.split("/")[-2] == HEAD:
            return True
        is_first = len(shape) == 4 and shape[-2] <= 3  # grey or RGB pixels
        return is_first or shape[-1] == 1

    def _muon_update_step(self, gradient: Any, variable: Any, lr: Any, m: Any) -> None:
        self.assign_add(m, (gradient - m) * (1.0 - self.momentum))
        ahead = gradient * (1.0 - self.momentum) + m * self.momentum
        matrix = ops.reshape(ahead, (-1, variable.shape[-1]))
        # As in the original, the iteration is in the precision of the training: it need not be exact.
        low = ops.cast(matrix / (ops.norm(matrix) + 1e-7), keras.config.dtype_policy().compute_dtype)
        step = ops.cast(self.zeropower_via_newtonschulz5(low, self.ns_steps), variable.dtype)
        self.assign_sub(variable, ops.reshape(self.lr_adjust(lr * step), variable.shape))
