"""Image bytes -> face: every format, size and colour; what is no picture is refused with a reason."""

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from emotion.dataset import images
from emotion.dataset.images import ImageError, decode_face, decode_faces, decode_image, map_images, resize_face
from tests.support.pictures import encoded, noise, smooth

GREY, COLOUR = smooth(1), np.stack([smooth(1), smooth(2), smooth(3)], axis=-1)


@pytest.mark.parametrize("kind", ["png", "bmp", "tiff", "ppm", "gif"])
def test_lossless_grey_keeps_every_pixel(kind: str) -> None:
    assert np.array_equal(decode_face(encoded(GREY, kind), size_px=48, channels=1)[..., 0], GREY)


@pytest.mark.parametrize("kind", ["png", "bmp", "tiff", "ppm"])
def test_lossless_colour_is_rgb(kind: str) -> None:
    assert np.array_equal(decode_image(encoded(COLOUR, kind)), COLOUR)


@pytest.mark.parametrize("picture", [GREY, COLOUR], ids=["grey", "colour"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}], ids=str)
def test_jpeg_is_close_to_the_picture(picture: np.ndarray, options: dict[str, object]) -> None:
    decoded = decode_image(encoded(picture, "jpeg", quality=95, **options))
    assert decoded.shape == picture.shape
    assert np.abs(decoded.astype(int) - picture).mean() < 5


def test_lossless_webp_is_rgb() -> None:
    assert np.array_equal(decode_image(encoded(COLOUR, "webp", lossless=True)), COLOUR)


# --- FER2013's kind of JPEG has a way of its own ----------------------------------------------------------------------


@given(seed=st.integers(0, 10_000), height=st.integers(1, 70), width=st.integers(1, 70), quality=st.integers(1, 100))
@settings(max_examples=40)
def test_grey_jpeg_gives_the_pixels_that_pillow_gives(seed: int, height: int, width: int, quality: int) -> None:
    content = encoded(noise(seed, height, width), "jpeg", quality=quality)
    quick = images._decode_grey_jpeg(content)
    assert quick is not None
    assert np.array_equal(quick, np.asarray(Image.open(io.BytesIO(content))))


@pytest.mark.parametrize(
    "content",
    [
        encoded(COLOUR, "jpeg"),
        encoded(GREY, "jpeg", progressive=True),
        encoded(GREY, "jpeg")[:-1],
        encoded(GREY, "jpeg").replace(b"\xff\xc4", b"\xff\xe1\0\x08Exif\0\0\xff\xc4", 1),
        encoded(GREY, "png"),
        b"",
    ],
    ids=["colour", "progressive", "cut", "exif", "png", "empty"],
)
def test_any_other_file_goes_the_long_way(content: bytes) -> None:
    assert images._decode_grey_jpeg(content) is None


# --- odd pictures -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_pictures_are_turned_upright(orientation: int) -> None:
    turns = {1: 0, 3: 2, 6: 1, 8: 3}[orientation]  # quarter turns to the left that the camera was held by
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = np.zeros((16, 32), np.uint8)
    upright[:8, :8] = 255
    stored = np.rot90(upright, turns)
    for kind in ("png", "jpeg"):
        decoded = decode_image(encoded(stored, kind, exif=exif))
        assert np.abs(decoded.astype(int) - upright).max() < 30


def test_transparency_lies_on_white() -> None:
    clear = np.zeros((4, 4, 4), np.uint8)
    clear[0, 0] = (10, 20, 30, 255)
    decoded = decode_image(encoded(clear, "png"))
    assert decoded[0, 0].tolist() == [10, 20, 30]
    assert decoded[1, 1].tolist() == [255, 255, 255]


def test_palettes_and_black_and_white_are_spread_out() -> None:
    palette = Image.fromarray(COLOUR).quantize(16)
    file = io.BytesIO()
    palette.save(file, "png")
    assert np.array_equal(decode_image(file.getvalue()), np.asarray(palette.convert("RGB")))
    assert decode_image(encoded(GREY > 128, "png")).tolist() == (255 * (GREY > 128)).tolist()


def test_16_bits_are_scaled_to_8() -> None:
    wide = np.array([[0, 257, 65535], [32896, 514, 128]], np.uint16)
    assert decode_image(encoded(wide, "png")).tolist() == [[0, 1, 255], [128, 2, 0]]


def test_an_animation_gives_its_first_frame() -> None:
    file = io.BytesIO()
    frames = [Image.fromarray(picture) for picture in (GREY, smooth(9))]
    frames[0].save(file, "gif", save_all=True, append_images=frames[1:])
    assert np.array_equal(decode_face(file.getvalue(), size_px=48, channels=1)[..., 0], GREY)


# --- no pictures ------------------------------------------------------------------------------------------------------


def claimed_png(width: int, height: int, colours: int = 0) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, colours, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header)) + b"\0\0\0\0IDAT"
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty file"),
        (b"not a picture", "not an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),  # Pillow would start Ghostscript
        (encoded(GREY, "png")[:100], "damaged or truncated"),
        (encoded(GREY, "jpeg")[:400], "damaged or truncated"),
        (encoded(COLOUR, "jpeg")[:700], "damaged or truncated"),
        (encoded(GREY, "bmp")[:700], "damaged or truncated"),
        (encoded(GREY, "webp")[:60], "damaged or truncated|not an image"),
        (claimed_png(10_001, 10_000), "10001x10000 pixels, more than 100,000,000"),
        (claimed_png(60_000, 60_000), "more than 100,000,000 pixels"),
    ],
    ids=["empty", "text", "eps", "png", "grey jpeg", "colour jpeg", "bmp", "webp", "large", "vast"],
)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_what_is_no_picture_is_refused_with_a_reason(content: bytes, reason: str) -> None:
    with pytest.raises(ImageError, match=reason):
        decode_image(content)


@given(data=st.data(), kind=st.sampled_from(["png", "jpeg", "bmp", "webp", "gif", "tiff"]))
@settings(max_examples=150)
@pytest.mark.filterwarnings("ignore")
def test_damaged_bytes_give_a_picture_or_a_reason_and_nothing_else(data: st.DataObject, kind: str) -> None:
    content = bytearray(encoded(COLOUR if kind != "gif" else GREY, kind)[:600])
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=6)):
        content[place] = data.draw(st.integers(0, 255))
    try:
        decoded = decode_image(bytes(content))
    except ImageError as error:
        assert str(error)
    else:
        assert decoded.dtype == np.uint8
        assert decoded.ndim == 2 or decoded.shape[2] == 3


@pytest.mark.parametrize("compression", ["packbits", "tiff_lzw", "tiff_deflate"])
def test_a_cut_tiff_is_refused_and_libtiff_prints_nothing(compression: str, capfd: pytest.CaptureFixture[str]) -> None:
    content = encoded(noise(0, 40, 40, 3), "tiff", compression=compression)
    with pytest.raises(ImageError, match="damaged or truncated image"):
        decode_image(content[:8] + bytes(1000) + content[1008:])
    assert capfd.readouterr() == ("", "")


# --- memory -----------------------------------------------------------------------------------------------------------

PEAK = """
import io, sys
from PIL import Image
from emotion.dataset.images import decode_image
Image.init()
content, path = sys.stdin.buffer.read(), "/proc/self/status"
def peak():
    return next(int(line.split()[1]) * 1024 for line in open(path) if line.startswith("VmHWM"))
open("/proc/self/clear_refs", "w").write("5")
before = peak()
image = decode_image(content)
print((peak() - before) / image.shape[0] / image.shape[1])
"""
LARGE = np.full((3000, 3000), 200, np.uint8)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="measures a process as Linux shows it")
@pytest.mark.parametrize(
    ("kind", "picture"),
    {
        "jpeg": LARGE,
        "png": np.dstack([LARGE] * 4),
        "webp": np.dstack([LARGE] * 4),
        "tiff": LARGE.astype(np.int32) * 257,
        "gif": LARGE,
    }.items(),
    ids=str,
)
def test_decoding_takes_no_more_memory_than_estimated(kind: str, picture: np.ndarray) -> None:
    content = encoded(picture, kind)
    with Image.open(io.BytesIO(content)) as image:
        estimated = images._decoding_bytes(image) / LARGE.size
    done = subprocess.run([sys.executable, "-c", PEAK], input=content, capture_output=True, check=True)
    assert float(done.stdout) < estimated + 5, "bytes for each pixel, with 45 MB for strips and buffers"


def test_what_takes_too_much_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MAX_BYTES", 1_000_000_000)
    with pytest.raises(ImageError, match="9000x9000 pixels, which take 1,134 MB to decode, more than 1,000"):
        decode_image(claimed_png(9_000, 9_000, colours=2))
    with pytest.raises(ImageError, match="9000x9000 pixels, which take 1,134 MB to decode, more than 900"):
        decode_image(claimed_png(9_000, 9_000, colours=2), max_bytes=900_000_000)


@pytest.mark.parametrize("shape", [(50, 20), (3, 1000), (50, 20, 3), (50, 20, 4)], ids=str)
@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_strips_give_the_pixels_of_the_whole(
    shape: tuple[int, ...], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = [noise(0, *shape), *([noise(0, *shape).astype(np.uint16) * 200] if len(shape) == 2 else [])]
    contents = [encoded(picture, kind) for picture in pictures]
    whole = [decode_image(content) for content in contents]
    monkeypatch.setattr(images, "_STRIP_PIXELS", 70)
    for content, expected in zip(contents, whole, strict=True):
        assert np.array_equal(decode_image(content), expected)


# --- size and colours -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 1), (48, 48), (7, 300), (96, 48, 3), (1000, 700, 3), (3, 2, 3)], ids=str)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size_px", [8, 48, 97])
def test_any_picture_becomes_a_face_of_the_size_asked_for(shape: tuple[int, ...], channels: int, size_px: int) -> None:
    face = decode_face(encoded(noise(0, *shape)), size_px=size_px, channels=channels)
    assert face.shape == (size_px, size_px, channels)
    assert face.dtype == np.uint8


def test_a_face_of_the_right_size_is_left_alone() -> None:
    assert np.array_equal(resize_face(GREY, size_px=48, channels=1)[..., 0], GREY)
    assert np.array_equal(resize_face(COLOUR, size_px=48, channels=3), COLOUR)


def test_grey_is_repeated_and_colour_weighted_as_the_eye_does() -> None:
    assert np.array_equal(resize_face(GREY, size_px=48, channels=3), np.stack([GREY] * 3, axis=-1))
    primaries = np.zeros((8, 8, 3), np.uint8)
    for channel, luma in enumerate((76, 150, 29)):  # 255 times 0.299, 0.587, 0.114
        picture = primaries.copy()
        picture[..., channel] = 255
        assert np.all(resize_face(picture, size_px=8, channels=1) == luma)


def test_shrinking_averages_areas() -> None:
    board = np.kron(np.arange(0, 256, 4, dtype=np.uint8).reshape(8, 8), np.ones((6, 6), np.uint8))
    board[::2] += 2  # stripes that a sampling of every sixth pixel would catch or miss
    assert np.array_equal(resize_face(board, size_px=8, channels=1)[..., 0], np.arange(1, 256, 4).reshape(8, 8))


def test_a_plain_picture_stays_plain_at_any_size() -> None:
    for size_px in (8, 20, 200):
        assert np.all(resize_face(np.full((33, 21), 77, np.uint8), size_px=size_px, channels=1) == 77)


# --- many at once -----------------------------------------------------------------------------------------------------


@given(st.integers(0, 200))
@settings(max_examples=20)
def test_images_are_mapped_in_order(count: int) -> None:
    contents = [str(number).encode() for number in range(count)]
    assert list(map_images(int, iter(contents))) == list(range(count))


def test_a_bounded_number_of_images_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    taken: list[int] = []
    contents = (taken.append(number) or b"x" for number in range(2000))
    ahead = [len(taken) - given_back for given_back, _ in enumerate(map_images(len, contents), start=1)]
    assert len(taken) == 2000
    assert max(ahead) < 100  # five chunks of 16 wait; one more is being given back


def test_large_files_do_not_wait_in_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    monkeypatch.setattr(images, "_CHUNK_BYTES", 1000)
    monkeypatch.setattr(images, "_WAITING_BYTES", 5000)
    taken: list[int] = []
    contents = (taken.append(number) or bytes(size) for number, size in enumerate([1, 600, 6000] * 200))
    held, sizes = [], []
    for size in map_images(len, contents):
        sizes.append(size)
        held.append(sum(([1, 600, 6000] * 200)[len(sizes) : len(taken)]))
    assert sizes == [1, 600, 6000] * 200
    assert max(held) < 25_000, "bytes; by their number, 80 files of 2,200 on average"


def test_what_the_function_raises_is_passed_on() -> None:
    with pytest.raises(ZeroDivisionError):
        list(map_images(lambda content: 1 // len(content), [b"x", b""]))


def test_real_fer2013_decodes_the_same_both_ways(fer2013_faces: Path) -> None:
    from emotion.dataset.archive.faces import list_faces, read_faces

    members = [face.path for face in list_faces(fer2013_faces)][::100]
    for content in read_faces(fer2013_faces, members):
        quick = images._decode_grey_jpeg(content)
        assert quick is not None
        assert np.array_equal(quick, np.asarray(Image.open(io.BytesIO(content))))


def test_of_many_faces_a_broken_one_is_an_error_in_its_place() -> None:
    contents = [encoded(GREY, "png"), b"none", encoded(COLOUR, "png")] * 20
    faces = list(decode_faces(contents, size_px=16, channels=1))
    assert [isinstance(face, ImageError) for face in faces] == [False, True, False] * 20
    assert str(faces[1]) == "not an image"
    assert np.array_equal(faces[-1], decode_face(contents[-1], size_px=16, channels=1))
