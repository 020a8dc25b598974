"""Line charts: the geometry is computed here and drawn by chart.html.jinja.

Positions are shares of the plot area, so that one picture fits a desk and a phone with text of the
same size on both; colours are the page's CSS variables, so that it fits light and dark.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

MAX_POINTS = 2000
_UNITS = 1000  # the plot's viewBox is 1000 x 1000, whatever its size on the screen


@dataclass(frozen=True)
class Series:
    """One line: y over x, in x order, both of shape [points]."""

    name: str
    x: np.ndarray
    y: np.ndarray
    style: Literal["main", "faint", "other"] = "main"
    dots: bool = False


@dataclass(frozen=True)
class Note:
    """A number written at a point of the curve; the detail goes on a line of its own on a phone."""

    x: float
    y: float
    value: str
    caption: str
    detail: str


def rate_text(value: float) -> str:
    """A learning rate as people write it: 5e-05, 0.001, 0."""
    return f"{value:.3g}"


def number_text(value: float) -> str:
    """A loss or a score: three decimals, more digits where those would be zeros."""
    return f"{value:.3f}" if value == 0 or 1e-3 <= abs(value) < 1e5 else f"{value:.2e}"


def percent_text(value: float) -> str:
    """A share: 92.1%."""
    return f"{value:.1%}"


def count_text(value: float) -> str:
    """A count: 12,345."""
    return f"{value:,.0f}"


def unbroken(text: str) -> Markup:
    """Text in which a rate is not broken at its minus sign."""
    return Markup(re.sub(r"\d[\d.]*e-\d+", r'<span class="whole">\g<0></span>', str(escape(text))))  # noqa: S704


def breakable(text: str) -> Markup:
    """A label that may go on in the next line after an underscore."""
    return Markup(str(escape(text)).replace("_", "_<wbr>"))  # noqa: S704


def templates(folder: Path) -> Environment:
    """The templates of a folder, on top of the page and the charts that lie beside this module.

    Text that comes from data is escaped; a name the template misspells is an error.
    """
    environment = Environment(
        loader=FileSystemLoader([folder, Path(__file__).parent]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        number=number_text,
        percent=percent_text,
        count=count_text,
        unbroken=unbroken,
        breakable=breakable,
    )
    return environment


def thin(values: np.ndarray, keep: Sequence[int] = (), limit: int = MAX_POINTS) -> np.ndarray:
    """Choose at most `limit` points that draw the same picture.

    Args:
        values: Finite numbers, shape [points].
        keep: Indices that must be among the chosen.
        limit: The most points to choose; at least `len(keep) + 4`.

    Returns:
        Increasing indices: the ends, `keep`, and the lowest and highest value of every stretch.
    """
    count = len(values)
    if count <= limit:
        return np.arange(count)
    edges = np.linspace(0, count, (limit - len(keep) - 2) // 2 + 1).astype(int)
    stretches = [(a, values[a:b]) for a, b in pairwise(edges)]
    chosen = [a + f for a, s in stretches for f in (int(s.argmin()), int(s.argmax()))]
    return np.unique([0, count - 1, *keep, *chosen])


def ticks(low: float, high: float, about: int = 5, *, whole: bool = False) -> list[float]:
    """Round numbers from low to high: multiples of 1, 2, 2.5 or 5 times a power of ten."""
    rough = max((high - low) / about, 1 if whole else 0) or 1.0
    power = 10.0 ** math.floor(math.log10(rough))
    multiples = (1, 2, 5, 10) if whole and power < 10 else (1, 2, 2.5, 5, 10)
    step = next(m * power for m in multiples if m * power >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [i * step for i in range(first, last + 1)]


def _step_text(value: float) -> str:
    if value >= 1e6:
        return f"{value / 1e6:g}M"
    return f"{value / 1e3:g}k" if value >= 1e4 else count_text(value)


def line_chart(
    title: str,
    series: Sequence[Series],
    *,
    text: Callable[[float], str],
    top: float,
    bottom: float = 0.0,
    last_step: float,
    height: int = 240,
    axis: Callable[[float], str] = rate_text,
    notes: Sequence[Note] = (),
) -> dict[str, Any]:
    """Lay out a chart over training steps, for the macro `line_chart` in chart.html.jinja.

    Args:
        title: What is drawn; also the picture's name for screen readers.
        series: The lines, the first drawn first. Their points should be few (see `thin`).
        text: How a value is written in the read-out.
        top: The value at the upper edge; what lies above is cut off.
        bottom: The value at the lower edge.
        last_step: The step at the right edge; the left edge is 0.
        height: Of the plot in pixels; a phone's is 220.
        axis: How a value is written on the axis.
        notes: Numbers to write at points of the last series.

    Returns:
        What the macro draws, in shares of the plot area and in plot units.
    """
    width, depth = max(last_step, 1.0), (top - bottom) or 1.0

    def right(x: Any) -> Any:
        return np.asarray(x, dtype=float) / width

    def up(y: Any) -> Any:
        return (np.asarray(y, dtype=float) - bottom) / depth

    drawn, read_out = [], []
    for one in series:
        xs, ys = right(one.x) * _UNITS, (1 - up(one.y)) * _UNITS
        points = [f"{x:.1f} {min(max(y, -9999), 9999):.1f}" for x, y in zip(xs, ys, strict=True)]
        drawn.append(
            {
                "name": one.name,
                "style": one.style,
                "line": "M" + "L".join(points) if points else "",
                "dots": "".join(f"M{p}h0" for p in points) if one.dots else "",
            }
        )
        read_out.append(
            {
                "name": one.name,
                "style": one.style,
                "x": [round(float(x), 1) for x in xs],
                "y": [round(float(y), 1) for y in ys],
                "step": [int(x) for x in one.x],
                "text": [text(float(y)) for y in one.y],
            }
        )
    placed = []
    if notes:
        curve = (right(series[-1].x), up(series[-1].y))
        spots = [(float(right(n.x)), float(up(n.y)), n) for n in notes]
        wide, narrow = (_place(spots, curve, *size) for size in ((620, height, 2), (280, 220, 3)))
        placed = [
            {"x": x, "y": y, "note": note, "wide": on_desk, "narrow": on_phone}
            for (x, y, note), on_desk, on_phone in zip(spots, wide, narrow, strict=True)
        ]
    return {
        "title": title,
        "height": height,
        "series": drawn,
        "x_ticks": [(float(right(t)), _step_text(t)) for t in ticks(0, width, whole=True)],
        "y_ticks": [(float(up(t)), axis(t)) for t in ticks(bottom, top, 4)],
        "notes": placed,
        "read_out": read_out,
    }


def _place(
    spots: Sequence[tuple[float, float, Note]],
    curve: tuple[np.ndarray, np.ndarray],
    width: int,
    height: int,
    lines: int,
) -> list[dict[str, Any]]:
    """Find room for notes of 2 or 3 lines in a plot of this size in pixels.

    A note stands like a flag above or below its point, or beside it, as near as it can be without
    touching the curve or another note.
    """
    taken: list[tuple[float, float, float, float]] = []
    result = []
    for x_share, y_share, note in spots:
        x, y = x_share * width, y_share * height
        texts = [f"{note.caption} · {note.detail}"] if lines == 2 else [note.caption, note.detail]
        long = 8 + max(len(note.value) * 8.2, *(len(text) * 6.2 for text in texts))
        tall = 2 + 17 * lines
        flags = [(6, up) for up in range(6, height, 8)] + [
            (6, -down) for down in range(tall + 6, 2 * tall, 8)
        ]
        beside = [(out, 2) for out in range(14, 120, 8)]
        options = sorted([*flags, *beside], key=lambda o: abs(o[0]) + abs(o[1]))
        chosen = None
        for out, up in options:
            for end in (x_share > 0.5, x_share <= 0.5):
                left = x - out - long if end else x + out
                box = (left, y + up, left + long, y + up + tall)
                inside = box[0] >= -1 and box[2] <= width + 4 and box[1] >= 0 and box[3] <= height
                if (
                    inside
                    and not _hits(box, curve, width, height)
                    and not any(_over(box, t) for t in taken)
                ):
                    chosen = chosen or (out, up, end, box)
            if chosen:
                break
        out, up, end, box = chosen or (6, 6, x_share > 0.5, (x, y, x, y))
        taken.append(box)
        stem = up if out == 6 and up > 14 else 0
        result.append({"out": -out if end else out, "up": up, "end": end, "stem": stem})
    return result


def _hits(
    box: tuple[float, float, float, float],
    curve: tuple[np.ndarray, np.ndarray],
    width: int,
    height: int,
) -> bool:
    across = np.arange(box[0] - 4, box[2] + 5)
    level = np.interp(across, curve[0] * width, curve[1] * height)
    low, high = np.minimum(level[:-1], level[1:]), np.maximum(level[:-1], level[1:])
    return bool(((low < box[3] + 3) & (high > box[1] - 3)).any())


def _over(one: tuple[float, float, float, float], two: tuple[float, float, float, float]) -> bool:
    return one[0] < two[2] + 8 and two[0] < one[2] + 8 and one[1] < two[3] and two[1] < one[3]
