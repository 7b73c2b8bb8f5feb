"""Image bytes -> uint8 face: the only decoding and resizing code, used by preprocess and by prediction."""

import contextlib
import ctypes
import io
import os
import re
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError, _imaging

from emotion.foundation.errors import UserError

T = TypeVar("T")
MAX_PIXELS = 100_000_000  # larger pictures are refused before they fill the memory
MAX_BYTES = 1_500_000_000  # of memory that decoding may take
MAX_SIDE_PX = 1_000_000  # Pillow and OpenCV take 8 to 24 bytes for each row and column, whatever lies in it
# Pillow reads 40 more formats, some by running other programs (EPS): unsafe for files of unknown origin.
_FORMATS = ("JPEG", "PNG", "BMP", "DIB", "WEBP", "GIF", "TIFF", "PPM")
_CHUNK, _CHUNK_BYTES = 16, 4_000_000  # pictures that a thread takes at once, and when they are enough before that
_WAITING_BYTES = 64_000_000  # of pictures that threads work on or that wait for one
_STRIP_PIXELS = 2_000_000  # of a picture that are converted at once

# The whole header of a baseline grey JPEG such as FER2013's, up to height, width and the number of colours.
_GREY_JPEG = re.compile(
    rb"\xff\xd8(?:\xff\xe0\x00\x10.{14})?(?:\xff\xdb\x00\x43.{65})+\xff\xc0\x00\x0b\x08(.{2})(.{2})\x01", re.DOTALL
)

# Pillow warns about odd tags and large pictures; the limit is checked here. Off for the whole process, because
# `warnings.catch_warnings` is not thread-safe.
warnings.filterwarnings("ignore", module=r"PIL\.")
# libtiff prints what Pillow raises as well; where it can't be found, as on Windows, it goes on printing.
with contextlib.suppress(OSError, AttributeError):
    ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler(None)


class ImageError(UserError):
    """Bytes that are not a usable picture; the message is the reason."""


def decode_image(content: bytes, *, max_bytes: int | None = None) -> np.ndarray:
    """Decode a picture: JPEG, PNG, BMP, WebP, GIF, TIFF or PPM.

    Turned upright by its EXIF tag; the first frame of an animation; transparency over white; 16 bits scaled to 8.

    Args:
        content: of an image file.
        max_bytes: of memory that decoding may take, estimated from the header before any pixel is decoded; None:
            `MAX_BYTES`.

    Returns: uint8 [height, width] for a grey picture, uint8 [height, width, 3] RGB for any other; values 0-255.
    Raises ImageError: empty, truncated, damaged, too large, or not a picture.
    """
    if not content:
        raise ImageError("empty file")
    if max_bytes is None and (grey := _decode_grey_jpeg(content)) is not None:
        return grey
    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ImageError(f"{image.width}x{image.height} pixels, more than {MAX_PIXELS:,}")
            if max(image.size) > MAX_SIDE_PX:
                raise ImageError(f"{image.width}x{image.height} pixels, a side longer than {MAX_SIDE_PX:,}")
            if (needed := _decoding_bytes(image)) > (bound := MAX_BYTES if max_bytes is None else max_bytes):
                size = f"{image.width}x{image.height} pixels"
                raise ImageError(f"{size}, which take {needed / 1e6:,.0f} MB to decode, more than {bound / 1e6:,.0f}")
            ImageOps.exif_transpose(image, in_place=True)
            return _pixels(image)
    except ImageError:
        raise
    except UnidentifiedImageError:
        raise ImageError("not an image") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ImageError(f"more than {MAX_PIXELS:,} pixels") from None
    except Exception as error:  # on damaged bytes Pillow's readers raise anything: struct.error, IndexError, ...
        raise ImageError(f"damaged or truncated image ({error})") from None


def resize_face(image: np.ndarray, *, size_px: int, channels: int) -> np.ndarray:
    """Convert a picture of a face to the network's size and number of channels.

    Args:
        image: uint8 [height, width] grey or [height, width, 3] RGB, 0-255.
        size_px: side of the square result; a picture that is not square is squeezed.
        channels: 1 (grey, ITU-R BT.601 luma) or 3 (RGB; grey is repeated).

    Returns: uint8 [size_px, size_px, channels], 0-255.
    """
    if channels == 1 and image.ndim == 3:
        image = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    if channels == 3 and image.ndim == 2:
        image = cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)
    if image.shape[:2] != (size_px, size_px):
        shrinks = min(image.shape[:2]) >= size_px
        image = cv2.resize(image, (size_px, size_px), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    return image.reshape(size_px, size_px, channels)


def decode_face(content: bytes, *, size_px: int, channels: int) -> np.ndarray:
    """Decode and resize: image bytes -> uint8 [size_px, size_px, channels], 0-255. Raises ImageError."""
    return resize_face(decode_image(content), size_px=size_px, channels=channels)


def decode_faces(contents: Iterable[bytes], *, size_px: int, channels: int) -> Iterator[np.ndarray | ImageError]:
    """Decode and resize many, on all cores, in order; where one is not a usable picture, the error that says so."""

    def decode(content: bytes) -> np.ndarray | ImageError:
        try:
            return decode_face(content, size_px=size_px, channels=channels)
        except ImageError as error:
            return error

    return map_images(decode, contents)


def map_images(function: Callable[[bytes], T], contents: Iterable[bytes]) -> Iterator[T]:
    """Yield `function` of each image file, in order, working on all cores with a bounded number in memory."""
    threads = os.cpu_count() or 1
    waiting: deque[tuple[Future[list[T]], int]] = deque()

    def function_of_all(chunk: list[bytes]) -> list[T]:
        return [function(content) for content in chunk]

    with ThreadPoolExecutor(threads) as pool:
        for chunk in _chunks(contents):
            waiting.append((pool.submit(function_of_all, chunk), sum(map(len, chunk))))
            while len(waiting) > 2 * threads or sum(size for _, size in waiting) > _WAITING_BYTES:
                yield from waiting.popleft()[0].result()
        while waiting:
            yield from waiting.popleft()[0].result()


def _chunks(contents: Iterable[bytes]) -> Iterator[list[bytes]]:
    chunk: list[bytes] = []
    for content in contents:
        chunk.append(content)
        if len(chunk) == _CHUNK or sum(map(len, chunk)) > _CHUNK_BYTES:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _decode_grey_jpeg(content: bytes) -> np.ndarray | None:
    """Decode a plain grey JPEG four times faster than Pillow, same pixels; None for anything else.

    Where its data are damaged but its end marker is there, libjpeg puts grey, and says so on stderr alone.
    """
    header = _GREY_JPEG.match(content)
    if not header or not content.endswith(b"\xff\xd9") or b"Exif" in content:
        return None
    height, width = (int.from_bytes(side) for side in header.groups())
    if height * width > MAX_PIXELS:
        return None
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE)
    return image if image is not None and image.shape == (height, width) else None


def _decoding_bytes(image: Image.Image) -> int:
    """Estimate from a picture's header what decoding it takes at its peak; measured, with room."""
    if image.format == "WEBP":
        a_pixel = 20
    elif image.has_transparency_data or image.mode not in ("1", "L", "RGB", "CMYK", "YCbCr"):
        a_pixel = 12
    else:
        a_pixel = 5 if image.mode in ("1", "L") else 14  # a progressive JPEG is held twice
    return image.width * image.height * a_pixel


def _pixels(image: Image.Image) -> np.ndarray:
    """The picture strip by strip, as conversions and NumPy take several times its size."""
    if image.mode.startswith("I") or image.mode == "F":
        largest = max(_largest(np.asarray(strip)) for _, strip in _strips(image))
        return _joined(image, lambda strip: _to_8_bits(np.asarray(strip), largest), grey=True)
    if image.has_transparency_data:
        return _joined(image, _on_white, grey=False)
    grey = image.mode in ("1", "L")
    return _joined(image, lambda strip: np.asarray(strip.convert("L" if grey else "RGB")), grey=grey)


def _joined(image: Image.Image, pixels: Callable[[Image.Image], np.ndarray], *, grey: bool) -> np.ndarray:
    result = np.empty((image.height, image.width) if grey else (image.height, image.width, 3), np.uint8)
    for top, strip in _strips(image):
        result[top : top + strip.height] = pixels(strip)
    return result


def _strips(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """Row at which each begins, and itself."""
    rows = max(1, _STRIP_PIXELS // image.width)
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))


def _on_white(image: Image.Image) -> np.ndarray:
    picture = image.convert("RGBA")
    return np.asarray(Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB"))


def _largest(values: np.ndarray) -> float:
    """Raises ImageError where a pixel is no number."""
    if np.isnan(values).any():
        raise ImageError("a picture with NaN pixels")
    return float(values.max())


def _to_8_bits(values: np.ndarray, largest: float) -> np.ndarray:
    """16-bit (or wider) grey -> uint8: 65,535 becomes 255 in a picture with values of more than 8 bits."""
    scaled = values / 257 if largest > 255 else values
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
