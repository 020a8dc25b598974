"""The reliability diagram: how often what was given a probability came true."""

from __future__ import annotations

from typing import Any

from kfp_finetune.components.artifacts.metrics import Calibration, Reliability
from kfp_finetune.components.pages.page import count_text, number_text, percent_text
from kfp_finetune.components.tasks.scores.calibration import BINS


def reliability_pictures(calibration: Calibration) -> list[dict[str, Any]]:
    """A diagram of the probabilities as they are, and one with the temperature, where there is one.

    Returns:
        Titles, and for every bin its place and height as shares of the plot, how strongly it is
        coloured (the more examples, the more strongly) and what is told of it.
    """
    pictures = [_picture("Probabilities as the model gives them", calibration.before)]
    if calibration.after:
        title = f"Logits divided by the temperature {calibration.temperature:.3g}"
        pictures.append(_picture(title, calibration.after))
    return pictures


def _picture(title: str, reliability: Reliability) -> dict[str, Any]:
    most = max(one.count for one in reliability.bins)
    return {
        "title": title,
        "note": f"ECE {number_text(reliability.ece)}, log loss {number_text(reliability.loss)}",
        "bins": [
            {
                "x": min(int(one.confidence * BINS), BINS - 1) / BINS,
                "width": 1 / BINS,
                "height": one.accuracy,
                "gap": one.confidence - one.accuracy,
                "strength": round(0.25 + 0.75 * (one.count / most) ** 0.5, 2),
                "told": [
                    f"{percent_text(one.accuracy)} were right",
                    f"probability {percent_text(one.confidence)} on average",
                    f"{count_text(one.count)} predictions",
                ],
            }
            for one in reliability.bins
        ],
    }
