"""A JPEG whose data were cut or changed is noticed; whole ones of all kinds are not suspected."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotion.dataset.images import ImageError, decode_image
from emotion.dataset.jpeg_data import is_whole
from tests.support.pictures import encoded, noise

SHAPES = {"grey": (64, 80), "colour": (64, 80, 3), "narrow": (64, 5)}
PLAIN = {"none": 0, "mid-grey": 128, "black": 0, "half": 128}


def picture(kind: str, shape: tuple[int, ...]) -> np.ndarray:
    """Noise; one colour; or noise above mid-grey, which is how libjpeg shows what is missing."""
    pixels = noise(0, *shape)
    if kind != "none":
        pixels[shape[0] // 2 if kind == "half" else 0 :] = PLAIN[kind]
    return pixels


def cut(content: bytes, share: float) -> bytes:
    """Without the rest of its data, and yet with an end."""
    begin = content.index(b"\xff\xda")
    return content[: begin + 14 + int(share * (len(content) - begin - 14))] + b"\xff\xd9"


@given(
    kind=st.sampled_from(sorted(PLAIN)),
    size=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    colours=st.sampled_from([(), (3,)]),
    options=st.fixed_dictionaries(
        {"quality": st.integers(1, 100), "subsampling": st.integers(0, 2), "optimize": st.booleans()},
        optional={"restart_marker_blocks": st.integers(1, 9), "progressive": st.just(value=True)},
    ),
)
@settings(max_examples=150, deadline=None)
def test_whole_pictures_are_whole(
    kind: str, size: tuple[int, int], colours: tuple[int, ...], options: dict[str, int]
) -> None:
    assert is_whole(encoded(picture(kind, (*size, *colours)), "jpeg", **options))


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
@pytest.mark.parametrize("kind", ["none", "half"])
@pytest.mark.parametrize("share", [0, 0.01, 0.3])
def test_data_that_end_early_are_noticed(
    shape: tuple[int, ...], kind: str, share: float, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ImageError, match="damaged or truncated image"):
        decode_image(cut(encoded(picture(kind, shape), "jpeg"), share))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_data_that_go_on_are_noticed(shape: tuple[int, ...], capfd: pytest.CaptureFixture[str]) -> None:
    content = encoded(noise(0, *shape), "jpeg")
    begin = content.index(b"\xff\xda") + 14
    with pytest.raises(ImageError, match="damaged or truncated image"):
        decode_image(content[:-2] + content[begin:])
    assert capfd.readouterr() == ("", "")


def test_filling_before_a_marker_is_skipped() -> None:
    content = encoded(noise(0, 64, 64), "jpeg").replace(b"\xff\xda", 9 * b"\xff" + b"\xda", 1)
    assert is_whole(content)
    assert not is_whole(cut(content, 0.5))


def test_missing_restart_markers_are_noticed() -> None:
    content = encoded(noise(0, 64, 64), "jpeg", restart_marker_blocks=8)
    assert is_whole(content)
    assert not is_whole(content[: content.index(b"\xff\xd3")] + b"\xff\xd9")


@pytest.mark.parametrize("header", [b"", b"\xff\xd8", b"\xff\xd8\xff\xc0\0\1", b"\xff\xd8" + b"\xff" * 50, bytes(99)])
def test_what_is_no_jpeg_is_left_to_the_decoder(header: bytes) -> None:
    assert is_whole(header)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_changed_bytes_give_an_answer(data: st.DataObject) -> None:
    content = bytearray(encoded(noise(0, 20, 20, 3), "jpeg"))
    for place in data.draw(st.lists(st.integers(2, len(content) - 1), min_size=1, max_size=4)):
        content[place] = data.draw(st.integers(0, 255))
    assert is_whole(bytes(content)) in (True, False)


def test_all_of_real_fer2013_is_whole(fer2013_faces: Path) -> None:
    from emotion.dataset.archive.faces import list_faces, read_faces

    members = [face.path for face in list_faces(fer2013_faces)]
    assert all(map(is_whole, read_faces(fer2013_faces, members)))
