from pathlib import Path

import jinja2
import pytest

from emotion.report import charts
from emotion.report.page import Picture, flat, number, percent, points, render_page


def test_a_picture_knows_its_size_and_holds_itself() -> None:
    with charts.drawn(3.0, 2.0) as (figure, _):
        picture = Picture("t", "c", "a", charts.png(figure))
    assert (picture.width_px, picture.height_px) == (390, 260)
    assert picture.source.startswith("data:image/png;base64,iVBOR")


def test_parameters_are_flattened_and_written_as_yaml() -> None:
    values = {
        "train": {"portable": False, "rate": 0.05},
        "data.labels": {},
        "model.members": [0, 1],
        "x": {"old": None},
    }
    assert flat(values) == [
        ("train.portable", "false"),
        ("train.rate", "0.05"),
        ("data.labels", "{}"),
        ("model.members", "[0, 1]"),
        ("x.old", "null"),
    ]


def test_numbers_read_well() -> None:
    assert percent(0.67891) == "67.9\N{NO-BREAK SPACE}%"
    assert (points(0.0712), points(-0.05)) == ("+7.1", "\N{MINUS SIGN}5.0")
    assert (number(7178), number(0.12345), number(2.0)) == ("7,178", "0.123", "2.000")


def test_a_template_that_names_what_is_not_there_fails(tmp_path: Path) -> None:
    (tmp_path / "page.j2").write_text("{{ here }}{{ there }}")
    assert render_page(tmp_path / "page.j2", {"here": "<", "there": 1}) == "&lt;1"
    with pytest.raises(jinja2.UndefinedError, match="there"):
        render_page(tmp_path / "page.j2", {"here": 1})
