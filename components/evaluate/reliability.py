"""The reliability diagram: the share of correct predictions by their probability."""

from __future__ import annotations

from typing import Any

from kfp_finetune.components.artifacts.metrics import Calibration, Reliability
from kfp_finetune.components.number_text import count_text, number_text, percent_text
from kfp_finetune.components.tasks.calibration import BINS


def reliability_pictures(calibration: Calibration) -> list[dict[str, Any]]:
    """A diagram of the uncalibrated probabilities, and one with the temperature if there is one.

    Returns:
        Titles, and for every bin its position and height as shares of the plot, its opacity (the
        more predictions, the higher) and the lines of its tooltip.
    """
    pictures = [_picture("Uncalibrated probabilities", calibration.before)]
    if calibration.after:
        title = f"Logits divided by the temperature {calibration.temperature:.3g}"
        pictures.append(_picture(title, calibration.after))
    return pictures


def made_worse(calibration: Calibration) -> list[tuple[str, float, float]]:
    """Scores that the temperature made worse: name, and value with and without the temperature."""
    before, after = calibration.before, calibration.after
    if after is None:
        return []
    pairs = [
        ("the calibration error", after.ece, before.ece),
        ("the log loss", after.loss, before.loss),
    ]
    return [(name, found, was) for name, found, was in pairs if found > was]


def _picture(title: str, reliability: Reliability) -> dict[str, Any]:
    most = max(one.count for one in reliability.bins)
    bars = (f"{percent_text(b.confidence)}: {percent_text(b.accuracy)}" for b in reliability.bins)
    return {
        "title": title,
        "description": f"{title}. Probability and share that is correct: {'; '.join(bars)}",
        "note": f"ECE {number_text(reliability.ece)}, log loss {number_text(reliability.loss)}",
        "bins": [
            {
                "x": min(int(one.confidence * BINS), BINS - 1) / BINS,
                "width": 1 / BINS,
                "height": one.accuracy,
                "gap": one.confidence - one.accuracy,
                "strength": round(0.25 + 0.75 * (one.count / most) ** 0.5, 2),
                "tooltip": [
                    f"{percent_text(one.accuracy)} were correct",
                    f"probability {percent_text(one.confidence)} on average",
                    f"{count_text(one.count)} predictions",
                ],
            }
            for one in reliability.bins
        ],
    }
