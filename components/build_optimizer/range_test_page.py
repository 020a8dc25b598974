"""The page of a learning-rate range test."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kfp_finetune.components.build_optimizer.range_test import RangeTest
from kfp_finetune.components.number_text import number_text, rate_text
from kfp_finetune.components.pages.charts import Note, RateAxis, Series, line_chart
from kfp_finetune.components.pages.page import templates

_ROWS = 10


def render_range_test(test: RangeTest, default: float, command: Sequence[str]) -> str:
    """Draw a range test as a self-contained HTML page.

    Args:
        test: The test.
        default: The default rate of the model's size, which is used if the test suggests none.
        command: The command that trains with the rate, option by option.
    """
    every = max(1, len(test.rates) // _ROWS)
    page = templates(Path(__file__).parent).get_template("range_test.html.jinja")
    return page.render(
        found=test.learning_rate is not None,
        rate=rate_text(default if test.learning_rate is None else test.learning_rate),
        reason=test.reason,
        chart=_chart(test),
        command=command,
        rows=[
            (rate_text(test.rates[i]), number_text(test.smooth[i]))
            for i in range(0, len(test.rates), every)
        ],
    )


def _chart(test: RangeTest) -> dict[str, object]:
    """The losses over the rates, with the constant answer's loss and the places to look at."""
    low, high = float(test.rates[0]), float(test.rates[-1])
    first = test.losses[: max(1, len(test.losses) // _ROWS)]
    # A divergence would flatten the rest; there is room for the note at the loss where it begins.
    top = 1.75 * max(float(first.max()), test.constant_loss)
    return line_chart(
        "Loss while the learning rate rises",
        [
            Series("each step", test.rates, test.losses, "faint"),
            Series(
                "constant answer", np.array([low, high]), np.full(2, test.constant_loss), "other"
            ),
            Series("smoothed", test.rates, test.smooth),
        ],
        text=number_text,
        axis=number_text,
        top=top,
        rates=RateAxis(low, high),
        height=320,
        notes=_notes(test, top),
    )


def _notes(test: RangeTest, top: float) -> list[Note]:
    marks = [(test.rates[test.best], "lowest loss")]
    if test.learning_rate is not None:
        marks.insert(0, (test.learning_rate, "suggested peak"))
    if test.diverged is not None:
        marks.append((test.rates[test.diverged], "diverges"))
    notes = []
    for rate, caption in marks:
        loss = float(np.interp(rate, test.rates, test.smooth))
        detail = f"loss {number_text(loss)}"
        notes.append(Note(float(rate), min(loss, top), rate_text(rate), caption, detail))
    return notes
