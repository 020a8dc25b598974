"""Line charts: computes the geometry that chart.html.jinja draws.

Positions are shares of the plot area, so that one chart fits a desktop and a phone with text of the
same size; colours are CSS variables of the page, for light and dark mode.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Any

import numpy as np

from kfp_finetune.components.number_text import count_text, rate_text

MAX_POINTS = 2000
# Smallest and largest width, height, lines of a note; as in page.html.jinja.
_PHONE = ((270, 550), 220, 3)
_UNITS = 1000  # the viewBox of a plot is 1000 x 1000 at every size


_Box = tuple[float, float, float, float]  # left, low, right, high


@dataclass(frozen=True)
class Series:
    """One line: y over x, in x order, both of shape [points]."""

    name: str
    x: np.ndarray
    y: np.ndarray
    style: str = "main"  # a class of the page: main, faint, other
    dots: bool = False


@dataclass(frozen=True)
class RateAxis:
    """A logarithmic axis of learning rates, from the lowest to the highest."""

    low: float
    high: float

    def right(self, rates: Any) -> Any:
        """Where rates are, as shares of the width."""
        return np.log(np.asarray(rates, dtype=float) / self.low) / np.log(self.high / self.low)

    def ticks(self) -> list[tuple[float, str]]:
        """The powers of ten, with their places."""
        low, high = math.log10(self.low) - 1e-9, math.log10(self.high) + 1e-9
        powers = [10.0**power for power in range(math.ceil(low), math.floor(high) + 1)]
        return [(float(self.right(power)), rate_text(power)) for power in powers]


@dataclass(frozen=True)
class Note:
    """A number at a point of the curve; on a phone the detail has its own line."""

    x: float
    y: float
    value: str
    caption: str
    detail: str


@dataclass(frozen=True)
class LogFrom:
    """The lower edge of a logarithmic axis, above 0; lower values are clipped."""

    value: float


def thin(values: np.ndarray, keep: Sequence[int] = (), limit: int = MAX_POINTS) -> np.ndarray:
    """Choose at most `limit` points that draw the same curve.

    Args:
        values: Finite numbers, shape [points].
        keep: Indices that must be chosen.
        limit: The maximum number of points; at least `len(keep) + 4`.

    Returns:
        Increasing indices: the ends, `keep`, and the lowest and highest value of every interval.
    """
    count = len(values)
    if count <= limit:
        return np.arange(count)
    edges = np.linspace(0, count, (limit - len(keep) - 2) // 2 + 1).astype(int)
    intervals = [(a, values[a:b]) for a, b in pairwise(edges)]
    chosen = [a + f for a, s in intervals for f in (int(s.argmin()), int(s.argmax()))]
    return np.unique([0, count - 1, *keep, *chosen])


def ticks(low: float, high: float, about: int = 5, *, whole: bool = False) -> list[float]:
    """Round numbers from low to high: multiples of 1, 2, 2.5 or 5 times a power of ten."""
    rough = max((high - low) / about, 1 if whole else 0) or 1.0
    power = 10.0 ** math.floor(math.log10(rough))
    multiples = (1, 2, 5, 10) if whole and power < 10 else (1, 2, 2.5, 5, 10)
    step = next(m * power for m in multiples if m * power >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [i * step for i in range(first, last + 1)]


def powers_of_ten(low: float, high: float) -> list[float]:
    """The powers of ten from low to high, and three times each if there are few."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    multiples = (1, 3) if last - first <= 3 else (1,)
    values = (m * 10.0**power for power in range(first, last + 1) for m in multiples)
    return [value for value in values if low * 0.999 <= value <= high * 1.001]


def _upward(bottom: float | LogFrom, top: float) -> tuple[Callable[[Any], Any], list[float]]:
    """The function that gives the height of a value as a share of the plot, and the axis' ticks."""
    if isinstance(bottom, LogFrom):
        low, least = math.log10(bottom.value), bottom.value / 10
        decades = (math.log10(top) - low) or 1.0

        def logarithmic(y: Any) -> Any:
            return (np.log10(np.maximum(np.asarray(y, dtype=float), least)) - low) / decades

        return logarithmic, powers_of_ten(bottom.value, top)
    depth = (top - bottom) or 1.0
    return lambda y: (np.asarray(y, dtype=float) - bottom) / depth, ticks(bottom, top, 4)


def _step_text(value: float) -> str:
    if value >= 1e6:
        return f"{value / 1e6:g}M"
    return f"{value / 1e3:g}k" if value >= 1e4 else count_text(value)


def _step_ticks(last: float) -> list[tuple[float, str]]:
    return [(step / last, _step_text(step)) for step in ticks(0, last, whole=True)]


def line_chart(
    title: str,
    series: Sequence[Series],
    *,
    text: Callable[[float], str],
    top: float,
    bottom: float | LogFrom = 0.0,
    last_step: float = 1.0,
    rates: RateAxis | None = None,
    height: int = 240,
    axis: Callable[[float], str] = rate_text,
    notes: Sequence[Note] = (),
) -> dict[str, Any]:
    """Lay out a chart over training steps or rates, for the macro `line_chart` in chart.html.jinja.

    Args:
        title: The title; also read by screen readers.
        series: The lines, the first one at the back. They should have few points (see `thin`).
        text: Formats a value for the tooltip.
        top: The value at the upper edge; higher values are clipped.
        bottom: The value at the lower edge, which also says if the axis is logarithmic.
        last_step: The step at the right edge; the left edge is 0.
        rates: The axis if x is a learning rate; None: x is a step.
        height: Height of the plot in pixels; 220 on a phone.
        axis: Formats a value for the axis.
        notes: Numbers at points of the last series.

    Returns:
        The input of the macro, in shares of the plot area and in plot units.
    """
    width = max(last_step, 1.0)
    up, y_ticks = _upward(bottom, top)

    def right(x: Any) -> Any:
        return np.asarray(x, dtype=float) / width if rates is None else rates.right(x)

    drawn, tooltips = [], []
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
        tooltips.append(
            {
                "name": one.name,
                "style": one.style,
                "x": [round(float(x), 1) for x in xs],
                "y": [round(float(y), 1) for y in ys],
                **_places(one.x, rates),
                "text": [text(float(y)) for y in one.y],
            }
        )
    spots = [(float(right(n.x)), float(up(n.y)), n) for n in notes]
    curve = (right(series[-1].x), up(series[-1].y))
    return {
        "title": title,
        "description": f"{title}: " + "; ".join(_described(one, text, rates) for one in series),
        "height": height,
        "series": drawn,
        "x_ticks": rates.ticks() if rates else _step_ticks(width),
        "y_ticks": [(float(up(t)), axis(t)) for t in y_ticks],
        "notes": _placed(spots, curve, height),
        "tooltips": tooltips,
    }


def _described(series: Series, text: Callable[[float], str], rates: RateAxis | None) -> str:
    """A line in words, for those who do not see it."""
    if not len(series.x):
        return f"{series.name} has no points"
    first, last = 0, len(series.x) - 1
    marks = {first: "starts at", last: "ends at"}
    for at, name in ((int(series.y.argmin()), "lowest"), (int(series.y.argmax()), "highest")):
        marks.setdefault(at, name)
    parts = (
        f"{marks[at]} {text(float(series.y[at]))} ({_place_text(series.x[at], rates)})"
        for at in sorted(marks)
    )
    return f"{series.name} {', '.join(parts)}"


def _place_text(x: float, rates: RateAxis | None) -> str:
    return f"step {count_text(x)}" if rates is None else f"rate {rate_text(x)}"


def _places(x: np.ndarray, rates: RateAxis | None) -> dict[str, Any]:
    """Where the points are, for the tooltip."""
    if rates is None:
        return {"step": [int(step) for step in x]}
    return {"rate": [rate_text(float(rate)) for rate in x]}


def _placed(
    spots: Sequence[tuple[float, float, Note]], curve: tuple[np.ndarray, np.ndarray], height: int
) -> list[dict[str, Any]]:
    """The notes with their places on a desktop and on a phone."""
    wide, narrow = (_place(spots, curve, *plot) for plot in (_desk(height), _PHONE))
    return [
        {"x": x, "y": y, "note": note, "wide": on_desk, "narrow": on_phone}
        for (x, y, note), on_desk, on_phone in zip(spots, wide, narrow, strict=True)
    ]


def _desk(height: int) -> tuple[tuple[int, int], int, int]:
    return (550, 1060), height, 2


def _place(
    spots: Sequence[tuple[float, float, Note]],
    curve: tuple[np.ndarray, np.ndarray],
    widths: tuple[int, int],
    height: int,
    lines: int,
) -> list[dict[str, Any]]:
    """Place notes of 2 or 3 lines in a plot whose width is between two widths, in pixels.

    A note is above, below or beside its point, as near as possible without touching the curve or
    another note at either width.
    """
    taken: dict[int, list[_Box]] = {width: [] for width in widths}
    result = []
    for x, y, note in spots:
        texts = [f"{note.caption} · {note.detail}"] if lines == 2 else [note.caption, note.detail]
        long = 8 + max(len(note.value) * 8.2, *(len(text) * 6.7 for text in texts))
        tall = 2 + 17 * lines
        offsets = [(6, up) for up in range(6, height, 8)]
        offsets += [(6, -down) for down in range(tall + 6, 2 * tall, 8)]
        offsets += [(out, 2) for out in range(14, 180, 8)]
        offsets.sort(key=lambda offset: abs(offset[0]) + abs(offset[1]))
        places = [(*offset, end) for offset in offsets for end in (x > 0.5, x <= 0.5)]
        chosen = places[0]
        # If no position is free at both widths, prefer the narrow one.
        for checked, (out, up, end) in product((widths, widths[:1], widths[1:]), places):
            lefts = [x * width - out - long if end else x * width + out for width in checked]
            boxes = [(left, y * height + up, left + long, y * height + up + tall) for left in lefts]
            fits = zip(boxes, checked, strict=True)
            if all(_is_free(box, curve, width, height, taken[width]) for box, width in fits):
                chosen = (out, up, end)
                for box, width in zip(boxes, checked, strict=True):
                    taken[width].append(box)
                break
        out, up, end = chosen
        stem = up if out == 6 and up > 14 else 0
        result.append({"out": -out if end else out, "up": up, "end": end, "stem": stem})
    return result


def _is_free(
    box: _Box,
    curve: tuple[np.ndarray, np.ndarray],
    width: int,
    height: int,
    taken: list[_Box],
) -> bool:
    """Return True if a box is inside the plot and touches neither the curve nor another box."""
    left, low, right, high = box
    if left < -1 or right > width + 4 or low < 0 or high > height:
        return False
    if any(left < t[2] + 8 and t[0] < right + 8 and low < t[3] and t[1] < high for t in taken):
        return False
    across = np.arange(left - 4, right + 5)
    level = np.interp(across, curve[0] * width, curve[1] * height)
    under, over = np.minimum(level[:-1], level[1:]), np.maximum(level[:-1], level[1:])
    return not bool(((under < high + 3) & (over > low - 3)).any())
