"""Image bytes -> uint8 face: the only decoding and resizing code, used by preprocess and by prediction."""

import io
import warnings

import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from emotion.errors import UserError

MAX_PIXELS = 100_000_000  # a picture larger than this is refused before it fills the memory


class ImageError(UserError):
    """Bytes that are not a usable picture; the message is the reason."""


def decode_image(content: bytes) -> np.ndarray:
    """Decode a picture (JPEG, PNG, BMP, WebP, GIF, TIFF, ...).

    Turned upright by its EXIF tag; the first frame of an animation; transparency over white; 16 bits scaled to 8.

    Returns: uint8 [height, width] for a grey picture, uint8 [height, width, 3] RGB for any other; values 0-255.
    Raises ImageError: empty, truncated, too large, or not a picture.
    """
    if not content:
        raise ImageError("empty file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of large pictures and odd tags; the limit is checked here
            with Image.open(io.BytesIO(content)) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise ImageError(f"{image.width}x{image.height} pixels, more than {MAX_PIXELS:,}")
                return _pixels(ImageOps.exif_transpose(image))
    except UnidentifiedImageError:
        raise ImageError("not an image") from None
    except Image.DecompressionBombError:
        raise ImageError(f"more than {MAX_PIXELS:,} pixels") from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:
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


def _pixels(image: Image.Image) -> np.ndarray:
    if image.mode.startswith("I") or image.mode == "F":
        return _to_8_bits(np.asarray(image))
    if image.has_transparency_data:
        picture = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
    return np.asarray(image.convert("L" if image.mode in ("1", "L") else "RGB"))


def _to_8_bits(values: np.ndarray) -> np.ndarray:
    """16-bit (or wider) grey -> uint8: 65,535 becomes 255."""
    if values.max(initial=0) > 255:
        values = values / 257
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
