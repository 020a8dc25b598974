"""What a loss under a rising rate says of the peak."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from kfp_finetune.components.build_optimizer.parameters import build_optimizer_config
from kfp_finetune.components.build_optimizer.range_test import (
    HIGHEST,
    LOWEST,
    PARAMETERS,
    STEPS,
    read_range_test,
    render_range_test,
)
from kfp_finetune.components.build_optimizer.schedules import learning_rates
from kfp_finetune.components.errors import InputError


def rates() -> np.ndarray:
    shape = {n: v for n, v in PARAMETERS.items() if n not in ("max_steps", "on_divergence")}
    return learning_rates(build_optimizer_config(STEPS, **shape).schedule)[:-1]


def log(losses: np.ndarray) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = [
        {"step": i, "learning_rate": float(rate), "loss": float(loss)}
        for i, (rate, loss) in enumerate(zip(rates(), losses, strict=True))
    ]
    return [*records, {"step": STEPS, "validation": {"loss": 9.0}}]


def losses_with_the_best_at(rate: float, noise: float = 0.0) -> np.ndarray:
    """From 4 the loss falls over two decades before the best rate, and explodes after it."""
    decades = np.log10(rates() / rate)
    fall = 3 * np.clip(1 + decades / 2, 0, 1)
    rise = np.clip(decades, 0, None) ** 2 * 40
    return 4 - fall + rise + noise * np.random.default_rng(0).normal(size=STEPS)


def test_the_rate_rises_exponentially_over_the_whole_range() -> None:
    steps = np.diff(np.log10(rates()))
    assert rates()[0] == pytest.approx(LOWEST)
    assert rates()[-1] * 10 ** steps[0] == pytest.approx(HIGHEST, rel=1e-3)
    np.testing.assert_allclose(steps, steps[0], rtol=1e-3)


@pytest.mark.parametrize("best", [1e-4, 1e-3, 1e-2])
@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_the_peak_is_about_a_tenth_of_the_best_rate(best: float, noise: float) -> None:
    found = read_range_test(log(losses_with_the_best_at(best, noise)))
    assert best / 20 <= found.learning_rate <= best / 3  # smoothed, the minimum comes later
    assert found.learning_rate == float(f"{found.learning_rate:.0e}")
    assert len(found.rates) < STEPS  # what came after the explosion is not looked at


def test_updates_that_diverged_do_not_count() -> None:
    losses = losses_with_the_best_at(1e-3)
    losses[150:] = math.nan
    whole = read_range_test(log(losses_with_the_best_at(1e-3)))
    assert read_range_test(log(losses)).learning_rate == whole.learning_rate


@pytest.mark.parametrize("losses", [np.full(STEPS, 4.0), np.linspace(4, 9, STEPS)])
def test_a_loss_that_does_not_fall_suggests_nothing(losses: np.ndarray) -> None:
    with pytest.raises(InputError, match="the loss did not fall at any learning rate"):
        read_range_test(log(losses))


def test_the_page_names_the_peak() -> None:
    found = read_range_test(log(losses_with_the_best_at(1e-3)))
    page = render_range_test(found)
    assert f"Peak {found.learning_rate:.3g}" in page
    assert page == render_range_test(found)
