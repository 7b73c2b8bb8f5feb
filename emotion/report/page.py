"""The report: one self-contained HTML page."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jinja2


class Picture(NamedTuple):
    """A picture on the page: the title above it, the caption below it, and its alternative text."""

    title: str
    caption: str
    alt: str
    png: bytes

    @property
    def width_px(self) -> int:
        """Width, from the PNG's header (bytes 16 to 19, big-endian: https://www.w3.org/TR/png-3/#11IHDR)."""
        return int.from_bytes(self.png[16:20])

    @property
    def height_px(self) -> int:
        """Height, from the PNG's header."""
        return int.from_bytes(self.png[20:24])

    @property
    def source(self) -> str:
        """The picture as a `data:` address, so that the page needs no other file."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode()


def render_page(template: Path, context: Mapping[str, Any]) -> str:
    """Fill in an HTML template. Raises jinja2.UndefinedError when it names something that `context` lacks."""
    return _rendered(template, context, escape=True)


def render_text(template: Path, context: Mapping[str, Any]) -> str:
    """Fill in a plain-text template; raises as `render_page` does."""
    return _rendered(template, context, escape=False)


def _rendered(template: Path, context: Mapping[str, Any], *, escape: bool) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(template.parent),
        autoescape=escape,
        keep_trailing_newline=True,
        lstrip_blocks=True,
        trim_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters.update(percent=percent, number=number, points=points, unbroken=unbroken)
    return environment.get_template(template.name).render(context)


def percent(fraction: float) -> str:
    """0.6789 -> `67.9 %`, with a non-breaking space."""
    return f"{100 * fraction:.1f}\N{NO-BREAK SPACE}%"


def points(difference: float) -> str:
    """A difference of fractions in points: 0.0712 -> `+7.1`, with a true minus sign."""
    return f"{100 * difference:+.1f}".replace("-", "\N{MINUS SIGN}")


def unbroken(text: str) -> str:
    """The text with each per-cent sign held to its number."""
    return text.replace(" %", "\N{NO-BREAK SPACE}%")


def number(value: float) -> str:
    """Whole numbers with separators, others to three decimals."""
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"


def flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested parameters as (dotted key, value) in their order; nothing is left out, an empty block shows as `{}`."""
    rows: list[tuple[str, str]] = []
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            rows += flat(value, f"{prefix}{key}.")
        else:
            rows.append((f"{prefix}{key}", _as_yaml(value)))
    return rows


def _as_yaml(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(_as_yaml(item) for item in value) + "]"
    return "{}" if isinstance(value, Mapping) else str(value)
