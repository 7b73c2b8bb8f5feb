"""Drawing over pictures: no face is hidden, everything is said, and the work is bounded."""

import math
import struct
import subprocess
import sys
import zlib
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from emotion.cli import main
from emotion.inference.annotation import (
    ALWAYS_ALLOWED_PIXELS,
    MAX_GROWTH,
    _cut,
    _ink,
    _planned,
    _text_width,
    annotate,
    annotated_name,
    write_annotated,
)
from emotion.inference.detector import Box
from emotion.inference.marks import Rect, plan_marks, unit_px
from emotion.inference.predictor import FacePrediction, Prediction
from emotion.model.about import UNCERTAIN
from emotion.palette import BOXES, rgb
from tests.support.sample_pictures import canvas_with, png

FIRST, SECOND, GREY = (0, 114, 178), (230, 159, 0), (150, 150, 150)
LABELS = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")


def face(box: Box | None, label: str = "a") -> FacePrediction:
    return FacePrediction(box, 0.9, label, 0.7, {"a": 0.7, "b": 0.2, "c": 0.1})


def seven(box: Box | None, number: int = 0) -> FacePrediction:
    label = LABELS[number % 7]
    return FacePrediction(box, 0.9, label, 0.7, {name: 0.7 if name == label else 0.05 for name in LABELS})


def one_face(box: Box | None, label: str = "a", size: tuple[int, int] = (400, 300)) -> Prediction:
    return Prediction("x", *size, (face(box, label),))


def crowd(seed: int) -> tuple[int, int, list[Box]]:
    """A picture's size and up to 40 boxes that are apart, of any size, at any place, also over the edge."""
    rng = np.random.default_rng(seed)
    width, height = (int(side) for side in rng.integers(300, 1500, 2))
    boxes: list[Box] = []
    for _ in range(int(rng.integers(1, 60))):
        side = int(rng.integers(10, min(width, height) // int(rng.integers(2, 12))))
        box = Box(int(rng.integers(-side // 3, width)), int(rng.integers(-side // 3, height)), side, side)
        if not any(touch(rect(box).grown(6), rect(other).grown(6)) for other in boxes):
            boxes.append(box)
    return width, height, boxes


def rect(box: Box) -> Rect:
    return Rect(*box.rounded())


def touch(one: Rect, other: Rect) -> bool:
    across = one.left < other.right and other.left < one.right
    return across and one.top < other.bottom and other.top < one.bottom


def test_the_box_is_drawn_around_the_face_in_the_labels_colour():
    image = np.full((300, 400), 100, np.uint8)
    drawn = annotate(image, one_face(Box(50, 60, 120, 120)), keep_size=True)
    assert drawn.shape == (300, 400, 3) and (image == 100).all()
    assert tuple(drawn[120, 49]) == tuple(drawn[120, 170]) == tuple(drawn[180, 110]) == FIRST
    assert (drawn[60:180, 50:170] == 100).all()
    assert tuple(annotate(image, one_face(Box(50, 60, 120, 120), UNCERTAIN), keep_size=True)[120, 49]) == GREY


def test_longer_bars_for_more_probable_labels():
    drawn = annotate(np.full((300, 400), 100, np.uint8), one_face(Box(50, 30, 120, 120)), keep_size=True)
    below = drawn[155:210].astype(int)
    lengths = [int((np.abs(below - colour).sum(axis=2) == 0).sum(axis=1).max()) for colour in (FIRST, SECOND)]
    assert lengths[0] > 2 * lengths[1] > 0


@pytest.mark.parametrize(
    "box", [None, Box(-30, -30, 500, 500), Box(390, 290, 50, 50), Box(0, 0, 1, 1), Box(900, 0, 9, 9)]
)
@pytest.mark.parametrize("count", [1, 2])
def test_boxes_of_any_place_and_size_can_be_drawn(box, count):
    image, prediction = np.zeros((300, 400, 3), np.uint8), Prediction("x", 400, 300, (face(box),) * count)
    assert annotate(image, prediction, keep_size=True).shape == (300, 400, 3)
    assert annotate(image, prediction).shape[0] >= 300


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("has_strip", [True, False])
def test_nothing_lies_on_a_face_nor_on_anything_else(seed, has_strip):
    width, height, boxes = crowd(seed)
    faces = [seven(box, number) for number, box in enumerate(boxes)]
    marks = plan_marks(faces, None, (width, height), 1.0, _text_width, has_strip=has_strip)
    around = [mark.box.grown(mark.stroke_px) for mark in marks]
    in_corner = [mark for mark, box in zip(marks, around, strict=True) if mark.tag and touch(mark.tag, box)]
    placed = [mark.tag for mark in marks if mark.tag and mark not in in_corner] + [
        mark.bars for mark in marks if mark.bars
    ]
    picture = Rect(0, 0, width, height)
    for place in placed:
        assert place.left >= 0 and place.top >= 0 and place.right <= picture.right and place.bottom <= picture.bottom
        assert not any(touch(place, box) for box in around)
    assert not any(touch(one, other) for one, other in combinations(placed, 2))
    assert all(mark.text == f"{mark.number}" for mark in in_corner if has_strip)
    assert len(in_corner) <= len(marks) / 4


def test_pixels_of_the_faces_are_those_of_the_picture():
    width, height, boxes = (
        900,
        700,
        [Box(100 + 260 * column, 90 + 290 * row, 150, 150) for column in range(3) for row in range(2)],
    )
    image = np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)
    drawn = annotate(image, Prediction("x", width, height, tuple(map(seven, boxes))))
    for left, top, side, _ in boxes:
        assert np.array_equal(drawn[top : top + side, left : left + side], image[top : top + side, left : left + side])


@pytest.mark.parametrize("seed", range(40))
def test_every_face_has_its_label_and_bars_beside_it_or_in_the_strip(seed):
    width, height, boxes = crowd(seed)
    sheet = _planned(width, height, [seven(box) for box in boxes], None, keep_size=False)
    shown = [mark.number for mark in sheet.marks if mark.is_complete] + [panel.marks.number for panel in sheet.panels]
    numbers = list(range(1, len(boxes) + 1)) if len(boxes) > 1 else [None]
    assert len(shown) == len(boxes) - sheet.left_out and sorted(shown, key=str) == sorted(numbers, key=str)
    places = [panel.place for panel in sheet.panels]
    assert not any(touch(one, other) for one, other in combinations(places, 2))
    assert all(place.top >= sheet.picture[1] and place.bottom <= sheet.canvas[1] for place in places)
    assert all(place.left >= 0 and place.right <= sheet.canvas[0] for place in places)


def test_faces_are_numbered_where_there_are_several():
    boxes = [Box(50, 60, 100, 100), Box(300, 60, 100, 100)]
    titles = [
        [
            mark.title
            for mark in plan_marks([face(box) for box in found], numbers, (600, 400), 1.0, _text_width, has_strip=True)
        ]
        for found, numbers in ((boxes, None), (boxes, (7, 9)), (boxes[:1], None))
    ]
    assert titles == [["1 a 70%", "2 a 70%"], ["7 a 70%", "9 a 70%"], ["a 70%"]]


def test_small_faces_have_a_label_only():
    boxes = [Box(50, 60, 40, 40), Box(300, 60, 100, 100)]
    marks = plan_marks([face(box) for box in boxes], None, (600, 400), 1.0, _text_width, has_strip=True)
    assert [mark.bars is None for mark in marks] == [True, False] and all(mark.is_complete for mark in marks)


def test_large_faces_have_all_their_bars_beside_them_or_all_below():
    def bars(boxes: list[Box], *, has_strip: bool) -> list[bool]:
        faces = [seven(box) for box in boxes]
        marks = plan_marks(faces, None, (1100, 700), 1.0, _text_width, has_strip=has_strip)
        return [mark.bars is not None for mark in marks]

    row = [Box(10 + 205 * number, 150, 200, 200) for number in range(4)]
    crowd = [*row, *(box._replace(top=400) for box in row)]
    assert bars(row, has_strip=True) == [True] * 4
    assert bars(crowd, has_strip=True) == [False] * 8
    assert 0 < sum(bars(crowd, has_strip=False)) < 8, "in a video, those that have room"


@pytest.mark.parametrize("seed", range(40))
def test_another_prior_is_said_where_it_hides_nothing(seed):
    width, height, boxes = crowd(seed)
    image = np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)
    faces = tuple(seven(box, number) for number, box in enumerate(boxes))
    plain, noted = Prediction("x", width, height, faces), Prediction("x", width, height, faces, prior="even")
    before, after = annotate(image, plain, keep_size=True), annotate(image, noted, keep_size=True)
    rows, columns = np.nonzero((before != after).any(axis=2))
    if len(rows):
        place = Rect(int(columns.min()), int(rows.min()), int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1)
        marks = plan_marks(faces, None, (width, height), 1.0, _text_width, has_strip=False)
        assert not any(touch(place, mark.box.grown(mark.stroke_px)) for mark in marks)
        assert not any(touch(place, other) for mark in marks for other in (mark.tag, mark.bars) if other)
    before, after = annotate(image, plain), annotate(image, noted)
    assert len(after) > len(before) or not np.array_equal(after, before), "a row below where no corner is free"


@pytest.mark.parametrize("prior", ["even", "happy=6,neutral=3,sad=1", "x" * 100_000, "a\x1b\udcff.json"])
@pytest.mark.parametrize(("width", "height"), [(1, 1), (48, 48), (3, 3000), (640, 480)])
def test_a_prior_of_any_name_is_said_below_a_face_that_is_the_whole_picture(prior, width, height):
    image, whole = np.zeros((height, width), np.uint8), (seven(None),)
    plain = annotate(image, Prediction("x", width, height, whole))
    noted = annotate(image, Prediction("x", width, height, whole, prior=prior))
    assert noted.shape[0] > plain.shape[0] and noted.shape[1] == plain.shape[1]
    assert np.array_equal(noted[: len(plain)], plain)
    assert noted.shape[0] * noted.shape[1] <= max(MAX_GROWTH * width * height, ALWAYS_ALLOWED_PIXELS)


@pytest.mark.parametrize("longest", [300, 640, 1280, 3000, 6000])
def test_text_follows_the_pictures_size(longest):
    assert unit_px(longest, longest * 2 // 3) >= max(11, longest / 80)


def test_small_pictures_are_enlarged_and_get_room_for_their_bars():
    height, width, _ = annotate(np.zeros((48, 48), np.uint8), one_face(None, size=(48, 48))).shape
    assert width >= 240 and height > width


def test_many_labels_and_long_names_leave_the_bars_their_room():
    names = [f"{'very ' * number}long name {number}" for number in range(30)]
    many = FacePrediction(
        Box(200, 100, 200, 200), 0.9, names[3], 0.5, {name: 0.5 if name == names[3] else 0.017 for name in names}
    )
    (mark,) = plan_marks([many], None, (900, 700), 1.0, _text_width, has_strip=False)
    assert mark.bars and mark.bars.height < 250 and mark.bars.width < 400
    assert annotate(np.zeros((700, 900), np.uint8), Prediction("x", 900, 700, (many,))).shape[1] == 900


@pytest.mark.parametrize("colour", [*map(rgb, BOXES), GREY])
def test_labels_can_be_read_on_their_colours(colour):
    """WCAG's contrast of at least 4.5."""

    def luminance(channels: tuple[int, int, int]) -> float:
        linear = [
            value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
            for value in np.array(channels) / 255
        ]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, light = sorted((luminance(colour), luminance(_ink(colour))))
    assert (light + 0.05) / (dark + 0.05) >= 4.5


SHAPES = [
    (1, 1),
    (1, 5000),
    (5000, 1),
    (3, 1_000_000),
    (1_000_000, 1),
    (12, 240),
    (30, 3000),
    (48, 48),
    (300, 200),
    (6000, 4000),
]


@pytest.mark.parametrize(("width", "height"), SHAPES)
@pytest.mark.parametrize("count", [0, 1, 30, 300])
@pytest.mark.parametrize("boxes", ["none", "many"])
def test_the_work_is_bounded_by_the_pictures_pixels(width, height, count, boxes):
    rng = np.random.default_rng(0)
    sides = rng.integers(1, 1 + max(1, min(width, height) // 2), count)
    places = [Box(int(rng.integers(0, width)), int(rng.integers(0, height)), side, side) for side in sides.tolist()]
    faces = [seven(place if boxes == "many" else None) for place in places]
    sheet = _planned(width, height, faces, None, keep_size=False)
    assert math.prod(sheet.canvas) <= max(MAX_GROWTH * width * height, ALWAYS_ALLOWED_PIXELS)
    assert max(sheet.canvas) <= 65_500, "what a JPEG can have"
    assert len([mark for mark in sheet.marks if mark.is_complete]) + len(sheet.panels) + sheet.left_out == count
    if math.prod(sheet.canvas) < 3_000_000:
        image = np.zeros((height, width), np.uint8)
        assert annotate(image, Prediction("x", width, height, tuple(faces))).shape[1::-1] == sheet.canvas


# --- files -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("a.jpg", "a.jpg"),
        ("a.b.JPEG", "a.b.JPEG"),
        ("a.png", "a.png"),
        ("a.webp", "a.png"),
        ("a.gif", "a.png"),
        ("a", "a.png"),
    ],
)
def test_a_jpeg_stays_one(name, written):
    assert annotated_name(Path("folder") / name) == written


def test_an_annotated_photograph_is_about_as_large_as_the_photograph(tmp_path):
    rng = np.random.default_rng(0)
    noise = cv2.GaussianBlur(rng.integers(0, 255, (900, 1200, 3), np.uint8), (0, 0), 1.5)
    Image.fromarray(noise).save(tmp_path / "a.jpg", quality=88)
    prediction = Prediction(str(tmp_path / "a.jpg"), 1200, 900, (seven(Box(300, 200, 300, 300)),))
    for name, form, most in (("b.jpg", "JPEG", 1.4), ("b.png", "PNG", math.inf)):
        write_annotated(prediction, tmp_path / name)
        with Image.open(tmp_path / name) as written:
            assert written.format == form and written.size == (1200, 900)
        assert (tmp_path / name).stat().st_size < most * (tmp_path / "a.jpg").stat().st_size
    assert {path.name for path in tmp_path.iterdir()} == {"a.jpg", "b.jpg", "b.png"}


PEAK = """
import sys
from emotion.cli import main
status = main(sys.argv[1:])
print(*[line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")], file=sys.stderr)
sys.exit(status)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
@pytest.mark.parametrize(
    ("width", "height"), [(1, 5000), (5000, 1), (1_000_000, 1), (1, 1_000_000), (20, 30_000), (48, 48), (99_999_999, 1)]
)
def test_pictures_of_extreme_shapes_take_little_memory(width, height, tmp_path):
    """The child's own peak, which starts at its own beginning; getrusage's would start at its parent's."""
    (tmp_path / "thin.png").write_bytes(thin_png(width, height))
    arguments = ["predict", "--no-detect", "--annotate", tmp_path / "out", tmp_path / "thin.png"]
    command = [sys.executable, "-c", PEAK, *map(str, arguments)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    *said, kib = run.stderr.splitlines()
    assert int(kib) < 250_000, "KiB"
    if max(width, height) > 1_000_000:
        assert run.returncode == 2 and len(said) == 1 and "longer than" in said[0]
        return
    assert run.returncode == 0 and said == []
    with Image.open(tmp_path / "out" / "thin.png") as written:
        assert math.prod(written.size) <= max(4 * width * height, 1_000_000)


def thin_png(width: int, height: int) -> bytes:
    """Black, a few kB."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes((width + 1) * height), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_two_drawn_faces_are_annotated_by_the_command(tmp_path, capsys):
    (tmp_path / "two.png").write_bytes(png(canvas_with([(10, 30, 120), (180, 60, 100)])))
    assert main(["predict", str(tmp_path / "two.png"), "--annotate", str(tmp_path / "out")]) == 0
    with Image.open(tmp_path / "out" / "two.png") as written:
        colours = np.ptp(np.asarray(written).astype(int), axis=2)
    assert (colours > 60).sum() > 1000


@pytest.mark.parametrize("size", [(512, 512), (48, 48), (30, 3000), (3000, 30)], ids=str)
@pytest.mark.parametrize("number", [1, 9])
def test_long_names_do_not_widen_the_picture_past_the_bound(size: tuple[int, int], number: int):
    names = ["W" * 200, "b", "c"]
    boxes = [Box(size[0] * index / number, 0, max(1.0, size[0] / number - 1), size[1]) for index in range(number)]
    faces = tuple(
        FacePrediction(box, 0.9, names[0], 0.7, dict(zip(names, (0.7, 0.2, 0.1), strict=True))) for box in boxes
    )
    drawn = annotate(np.zeros((size[1], size[0]), np.uint8), Prediction("x", *size, faces))
    assert drawn.shape[0] * drawn.shape[1] <= max(MAX_GROWTH * size[0] * size[1], ALWAYS_ALLOWED_PIXELS)


@pytest.mark.parametrize("text", ["", "a", "surprise", "Wi" * 100, "W" * 20_000])
def test_a_text_is_cut_to_what_fits(text: str):
    for width in (0, 5, 60, 500, 1e9):
        found = _cut(text, 11, width)
        assert text.startswith(found) and (len(found) <= 1 or _text_width(found, 11) <= width)
        assert found == text or not found or _text_width(text[: len(found) + 1], 11) > width
