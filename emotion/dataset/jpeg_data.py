"""Are the data of a JPEG all there? libjpeg fills what is missing with grey, and says so on stderr or not at all."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from PIL import Image

_BLOCK_PX = 8
_GREY = 128  # what libjpeg puts where there are no more data
_LONGEST_PX = 65_000  # a row more must be within libjpeg's 65,500
_MARKER = re.compile(rb"\xff([^\x00\xd0-\xd7\xff])", re.DOTALL)  # but for those that lie within the data
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")
_MOST_UNITS = 8  # at the end of a picture that are looked at in its data


class _Frame(NamedTuple):
    """What a JPEG with one scan says of itself.

    Attributes:
        height_at: where its height stands.
        factors: blocks of each colour in a unit, side by side and one above the other.
        across: blocks of a unit, which is what the data come in, side by side; `down`: one above the other.
        restart: units between two restart markers; 0: there are none.
        data_at: where the data begin.
    """

    height_at: int
    height: int
    width: int
    factors: list[tuple[int, int]]
    across: int
    down: int
    restart: int
    data_at: int

    @property
    def columns(self) -> int:
        """Units side by side."""
        return -(-self.width // (_BLOCK_PX * self.across))

    @property
    def rows(self) -> int:
        """Units one above the other."""
        return -(-self.height // (_BLOCK_PX * self.down))


def is_whole(content: bytes) -> bool:
    """Whether a JPEG has data for as many pixels as its header says, no more and no less.

    It is decoded as if it were a row higher. Whole data end in that row's first unit, so that the rest of the row is
    grey; data that end before leave all of it grey; changed bits lead to either, or to more units. This takes 20
    microseconds for 48x48 pixels, and half as long as decoding for a photograph. True as well where it can't be told:
    progressive pictures, four colours, a restart marker's turn at the end, bits that changed a colour and no more.
    """
    frame = _frame(content)
    end = _MARKER.search(content, frame.data_at) if frame else None
    if frame is None or end is None:  # cut off, which every decoder says
        return True
    if frame.restart:
        units = frame.rows * frame.columns
        if len(_RESTART.findall(content, frame.data_at, end.start())) != (units - 1) // frame.restart:
            return False
        if units % frame.restart == 0:
            return True
    first_is_grey, rest_is_grey = _row_below(content, frame)
    return rest_is_grey and (not first_is_grey or _has_its_grey_end(content, frame, end.start()))


def _row_below(content: bytes, frame: _Frame) -> tuple[bool, bool]:
    """Whether the first unit below a picture is grey, and whether those beside and below that one are."""
    columns, above = -(-frame.width // _BLOCK_PX), frame.rows * frame.down
    is_narrow = frame.columns == 1
    rows = above + frame.down * (2 if is_narrow else 1)
    higher = content[: frame.height_at] + (_BLOCK_PX * rows).to_bytes(2) + content[frame.height_at + 2 :]
    shrunk = _decoded(higher, "L", columns, rows, shrink=_BLOCK_PX)  # a pixel for each block: the entropy code alone
    first = ((x, y) for x in range(min(frame.across, columns)) for y in range(above, above + frame.down))
    rest = (0, above + frame.down, columns, rows) if is_narrow else (frame.across, above, columns, rows)
    return all(shrunk.getpixel(block) == _GREY for block in first), _is_grey(shrunk, rest)


def _has_its_grey_end(content: bytes, frame: _Frame, end: int) -> bool:
    """Whether the grey units at the end of a picture are in its data: they are alike, so their bits repeat."""
    picture = _decoded(content, "L" if len(frame.factors) == 1 else "RGB", frame.width, frame.height)
    units = frame.rows * frame.columns
    grey, most = 0, min(_MOST_UNITS, units % frame.restart if frame.restart else units)
    while grey < most and _is_grey(picture, _unit_from_end(frame, grey)):
        grey += 1
    if grey < 2:
        return True
    unit = _bits_of_no_change(content, frame) * (grey - 1)
    last_bytes = content[frame.data_at : end].replace(b"\xff\x00", b"\xff")[-len(unit) // 8 - 2 :]
    bits = "".join(f"{byte:08b}" for byte in last_bytes)
    return any(bits.endswith(unit + "1" * filled) for filled in range(8))


def _unit_from_end(frame: _Frame, number: int) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of a unit, counted from the last, which is 0."""
    row, column = divmod(frame.rows * frame.columns - 1 - number, frame.columns)
    left, top = column * _BLOCK_PX * frame.across, row * _BLOCK_PX * frame.down
    right, bottom = left + _BLOCK_PX * frame.across, top + _BLOCK_PX * frame.down
    return left, top, min(right, frame.width), min(bottom, frame.height)


def _decoded(content: bytes, mode: str, width: int, height: int, *, shrink: int = 1) -> Any:
    """What Pillow's decoder makes of the data, which prints nothing; `Image.open` takes ten times as long."""
    image = Image.core.new(mode, (width, height))  # type: ignore[attr-defined]
    decoder = Image._getdecoder(mode, "jpeg", (mode, "", shrink, 0))
    decoder.setimage(image, (0, 0, width, height))
    decoder.decode(content)
    return image


def _is_grey(image: Any, box: tuple[int, int, int, int]) -> bool:
    part = image.crop(box)
    bands = (part,) if part.bands == 1 else (part.getband(band) for band in range(3))
    return all(band.getextrema() == (_GREY, _GREY) for band in bands)


def _frame(content: bytes) -> _Frame | None:
    """None of a JPEG that has several scans or four colours, or whose header is none."""
    restart, sizes_at, sizes = 0, 0, b""
    for marker, at, body in _segments(content):
        if marker in (0xC0, 0xC1):
            sizes_at, sizes = at, body
        elif marker == 0xDD:
            restart = int.from_bytes(body[:2])
        elif marker == 0xDA and len(sizes) >= 9 and body[:1] == sizes[5:6]:
            return _frame_of(sizes_at + 1, sizes, restart, at + len(body))
    return None


def _segments(content: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Each segment of the header: its marker, where its body begins, its body. The scan's is the last."""
    place, marker = 2, 0
    while marker != 0xDA and content[place : place + 1] == b"\xff" and len(content) >= place + 4:
        marker, size = content[place + 1], int.from_bytes(content[place + 2 : place + 4])
        if marker == 0xFF:  # filled up
            place += 1
            continue
        yield marker, place + 4, content[place + 4 : place + 2 + size]
        place += 2 + size


def _frame_of(height_at: int, sizes: bytes, restart: int, data_at: int) -> _Frame | None:
    height, width, colours = int.from_bytes(sizes[1:3]), int.from_bytes(sizes[3:5]), sizes[5]
    factors = [(1, 1)]  # of a single colour, whatever its factors are
    if colours == 3:
        factors = [(factor >> 4, factor & 15) for factor in sizes[7:15:3]]
    across, down = (max(side) for side in zip(*factors, strict=True))
    is_known = colours in (1, 3) and 0 < height <= _LONGEST_PX and 0 < width <= _LONGEST_PX and across and down
    return _Frame(height_at, height, width, factors, across, down, restart, data_at) if is_known else None


def _bits_of_no_change(content: bytes, frame: _Frame) -> str:
    """The bits of a unit that is as plain as the one before and of the same colour; "-" where there can be none."""
    codes, unit = dict[int, str](), ""
    for marker, _, body in _segments(content):
        if marker == 0xC4:
            codes |= _zero_codes(body)
        elif marker == 0xDA:
            for (across, down), chosen in zip(frame.factors, body[2::2], strict=False):
                unit += (codes.get(chosen >> 4, "-") + codes.get(0x10 | chosen & 0x0F, "-")) * (across * down)
    return unit


def _zero_codes(body: bytes) -> dict[int, str]:
    """The bits of the symbol 0 (no change; end of a block) in each Huffman table of a segment, by its class and number.

    Source: ITU-T T.81, annex C.
    """
    found = {}
    while len(body) >= 17:
        counts, code, place = body[1:17], 0, 17
        for length, count in enumerate(counts, start=1):
            at = body.find(b"\0", place, place + count)
            if at >= 0:
                found[body[0]] = f"{code + at - place:0{length}b}"
            code, place = (code + count) << 1, place + count
        body = body[place:]
    return found
