"""Stateless, vectorised augmentation: (images, seed) -> images."""

import math
from collections.abc import Callable

import tensorflow as tf
from pydantic import Field

from emotion.foundation.params import Params


class Augmentation(Params):
    """The `augment` section: how far each picture is changed at random; 0 turns a change off.

    Every amount is drawn uniformly from -range to +range, separately for each picture.
    """

    shift: float = Field(ge=0, le=0.5)  # fraction of the side, both directions
    scale: float = Field(ge=0, lt=1)  # fraction: 0.1 is 0.9 to 1.1 times the size
    rotation_deg: float = Field(ge=0, le=180)  # degrees
    flip: bool  # mirror left and right in half of the pictures
    brightness: float = Field(ge=0, le=1)  # fraction of the full range, added
    contrast: float = Field(ge=0, lt=1)  # fraction: 0.2 is 0.8 to 1.2 times the contrast
    erase: float = Field(ge=0, le=1)  # probability of greying one random rectangle
    erase_area: float = Field(ge=0, le=0.5)  # largest erased fraction of the picture

    def __call__(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Change a batch of pictures.

        Args:
            images: uint8 [batch, height, width, channels], 0-255.
            seed: int64 [2]; the same seed gives the same pictures.

        Returns: float32 [batch, height, width, channels], 0-255.
        """
        images = tf.cast(images, tf.float32)
        for number, (change, is_on) in enumerate(self._changes()):
            if is_on:
                images = change(images, tf.random.experimental.stateless_fold_in(seed, number))
        return images

    def _changes(self) -> list[tuple[Callable[[tf.Tensor, tf.Tensor], tf.Tensor], bool]]:
        moves = bool(self.shift or self.scale or self.rotation_deg or self.flip)
        return [
            (self._move, moves),
            (self._light, bool(self.brightness or self.contrast)),
            (self._erase, bool(self.erase and self.erase_area)),
        ]

    def _move(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Shift, scale, rotate and flip in one bilinear resampling; the nearest pixel fills the edges."""
        batch, size = tf.shape(images)[0], tf.cast(tf.shape(images)[1:3], tf.float32)
        amounts = tf.random.stateless_uniform([5, batch], seed, -1.0, 1.0)
        down, right = amounts[0] * self.shift * size[0], amounts[1] * self.shift * size[1]
        zoom = 1.0 + amounts[2] * self.scale
        angle = amounts[3] * math.radians(self.rotation_deg)
        mirror = tf.where(amounts[4] < 0, -1.0, 1.0) if self.flip else tf.ones([batch])
        transforms = _projective(angle, zoom, mirror, down, right, size)
        return tf.raw_ops.ImageProjectiveTransformV3(
            images=images,
            transforms=transforms,
            output_shape=tf.shape(images)[1:3],
            interpolation="BILINEAR",
            fill_mode="NEAREST",
            fill_value=0.0,
        )

    def _light(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        amounts = tf.random.stateless_uniform([2, tf.shape(images)[0], 1, 1, 1], seed, -1.0, 1.0)
        mean = tf.reduce_mean(images, axis=(1, 2, 3), keepdims=True)
        contrasted = (images - mean) * (1.0 + amounts[0] * self.contrast) + mean
        return tf.clip_by_value(contrasted + amounts[1] * self.brightness * 255.0, 0.0, 255.0)

    def _erase(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Grey one rectangle (Zhong et al. 2017, Random Erasing, https://arxiv.org/abs/1708.04896)."""
        batch = tf.shape(images)[0]
        chance, area, aspect, top, left = tf.unstack(tf.random.stateless_uniform([5, batch], seed))
        area, aspect = area * self.erase_area, tf.exp((2 * aspect - 1) * math.log(3.0))
        height, width = tf.minimum(tf.sqrt(area * aspect), 1.0), tf.minimum(tf.sqrt(area / aspect), 1.0)
        rows = _inside(top * (1 - height), height, tf.shape(images)[1])
        columns = _inside(left * (1 - width), width, tf.shape(images)[2])
        hole = rows[:, :, None] & columns[:, None, :] & (chance < self.erase)[:, None, None]
        return tf.where(hole[..., None], 127.5, images)


def _projective(
    angle: tf.Tensor, zoom: tf.Tensor, mirror: tf.Tensor, down: tf.Tensor, right: tf.Tensor, size: tf.Tensor
) -> tf.Tensor:
    """Output pixel -> input pixel, about the picture's centre: float32 [batch, 8]; all arguments are [batch]."""
    centre_y, centre_x = (size[0] - 1) / 2, (size[1] - 1) / 2
    a, b = mirror * tf.cos(angle) / zoom, -mirror * tf.sin(angle) / zoom
    c, d = tf.sin(angle) / zoom, tf.cos(angle) / zoom
    offset_x = centre_x - a * (centre_x + right) - b * (centre_y + down)
    offset_y = centre_y - c * (centre_x + right) - d * (centre_y + down)
    zero = tf.zeros_like(a)
    return tf.stack([a, b, offset_x, c, d, offset_y, zero, zero], axis=1)


def _inside(start: tf.Tensor, length: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Which of `size` positions lie in [start, start + length), both fractions [batch]: bool [batch, size]."""
    position = (tf.range(size, dtype=tf.float32) + 0.5) / tf.cast(size, tf.float32)
    return (position >= start[:, None]) & (position < (start + length)[:, None])
