"""The peak that a loss under a rising rate suggests, and the page that shows it."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import numpy as np
import pytest

from kfp_finetune.components.artifacts.optimizer_config import USUAL_RATES
from kfp_finetune.components.build_optimizer.parameters import build_optimizer_config
from kfp_finetune.components.build_optimizer.range_test import (
    RULES,
    STEPS,
    RangeTest,
    read_range_test,
    rising_rate,
)
from kfp_finetune.components.build_optimizer.range_test_page import render_range_test
from kfp_finetune.components.build_optimizer.schedules import learning_rates
from kfp_finetune.components.chosen import choose_learning_rate
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.number_text import number_text

CONSTANT = 3.0
DEFAULT = 2e-4
COMMAND = ["kfp-finetune run", "--dataset data.csv", "--learning-rate 0.0002"]


def rates(optimizer: str = "adam") -> np.ndarray:
    shape = rising_rate(optimizer)
    shape = {n: v for n, v in shape.items() if n not in ("max_steps", "on_divergence")}
    return learning_rates(build_optimizer_config(STEPS, **shape).schedule)[:-1]


def log(losses: np.ndarray, optimizer: str = "adam") -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = [
        {"step": i, "learning_rate": float(rate), "loss": float(loss)}
        for i, (rate, loss) in enumerate(zip(rates(optimizer), losses, strict=True))
    ]
    return [*records, {"step": STEPS, "validation": {"loss": 9.0}}]


def losses_with_the_best_at(rate: float, noise: float = 0.0) -> np.ndarray:
    """From 4 the loss falls to 1 over two decades before the best rate, and explodes after it."""
    decades = np.log10(rates() / rate)
    fall = 3 * np.clip(1 + decades / 2, 0, 1)
    rise = np.clip(decades, 0, None) ** 2 * 40
    return 4 - fall + rise + noise * np.random.default_rng(0).normal(size=STEPS)


def found_at(best: float, noise: float = 0.0) -> RangeTest:
    return read_range_test(log(losses_with_the_best_at(best, noise)), CONSTANT, DEFAULT)


@pytest.mark.parametrize("optimizer", USUAL_RATES)
def test_the_rate_rises_exponentially_to_ten_times_the_highest_suggestion(optimizer: str) -> None:
    lowest, highest = USUAL_RATES[optimizer].lowest, USUAL_RATES[optimizer].highest
    steps = np.diff(np.log10(rates(optimizer)))
    assert rates(optimizer)[0] == pytest.approx(lowest)
    assert rates(optimizer)[-1] * 10 ** steps[0] == pytest.approx(10 * highest, rel=1e-3)
    np.testing.assert_allclose(steps, steps[0], rtol=1e-3)


def test_with_momentum_the_rates_of_gradient_descent_are_lower() -> None:
    plain, heavy = rising_rate("sgd"), rising_rate("sgd", momentum=0.9)
    assert heavy["learning_rate"] == pytest.approx(plain["learning_rate"] / 10)
    assert heavy["decay_rate"] == pytest.approx(plain["decay_rate"])


@pytest.mark.parametrize("best", [1e-4, 1e-3, 1e-2])
@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_the_peak_is_below_the_rate_with_the_lowest_loss(best: float, noise: float) -> None:
    found = found_at(best, noise)
    assert found.learning_rate is not None
    assert best / 20 <= found.learning_rate <= best
    assert found.learning_rate == float(f"{found.learning_rate:.0e}")
    assert found.diverged is not None
    assert found.rates[found.best] < found.rates[found.diverged]


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_stays_between_the_start_of_the_fall_and_the_lowest_loss(rule: str) -> None:
    found = found_at(1e-3)
    assert 1e-5 <= RULES[rule](found.rates, found.smooth, found.best) <= 1.3e-3


def test_updates_that_diverged_do_not_count() -> None:
    losses = losses_with_the_best_at(1e-3)
    losses[75:] = math.nan
    found = read_range_test(log(losses), CONSTANT, DEFAULT).learning_rate
    assert found == pytest.approx(found_at(1e-3).learning_rate, rel=0.3)


@pytest.mark.parametrize(
    "lowest",
    [
        pytest.param(0.631 / 0.641, id="just below the entropy of the labels"),
        pytest.param(0.97, id="within noise"),
        pytest.param(1.2, id="never below"),
    ],
)
def test_a_loss_that_only_reaches_a_constant_answers_suggests_nothing(lowest: float) -> None:
    # The loss falls from 4, but only as far as the shares of the labels explain.
    losses = 4 - (4 - lowest * CONSTANT) * np.clip(np.linspace(0, 2, STEPS), 0, 1)
    losses += 0.2 * np.random.default_rng(1).normal(size=STEPS)
    found = read_range_test(log(losses), CONSTANT, DEFAULT)
    assert found.learning_rate is None
    assert "not clearly below that of a constant answer, 3.000" in found.reason


@pytest.mark.parametrize("share", [0.02, 0.13, 0.5])
def test_batches_without_a_rare_label_have_learned_nothing(share: float) -> None:
    """Two labels, always answered with their shares, until the rate destroys the model."""
    random = np.random.default_rng(0)
    entropy = -share * math.log(share) - (1 - share) * math.log(1 - share)
    suggested = []
    for _ in range(200):
        rare = random.binomial(32, share, STEPS) / 32
        losses = -rare * math.log(share) - (1 - rare) * math.log(1 - share)
        losses[60:] += np.linspace(0, 2, STEPS - 60)
        suggested.append(read_range_test(log(losses), entropy, DEFAULT).learning_rate)
    assert sum(rate is not None for rate in suggested) <= 4


def test_a_head_that_was_trained_before_has_to_get_better() -> None:
    losses = np.where(rates() < 1e-3, 0.5, 4.0) + 0.05 * np.random.default_rng(2).normal(size=STEPS)
    found = read_range_test(log(losses), CONSTANT, DEFAULT)
    assert found.learning_rate is None
    assert "not clearly below that at the lowest rates, 0.496" in found.reason
    losses[40:60] = 0.2
    found = read_range_test(log(losses), CONSTANT, DEFAULT)
    assert found.learning_rate is not None
    assert rates()[40] / 5 < found.learning_rate < rates()[60]


def test_a_loss_that_is_never_finite_is_wrong_input() -> None:
    """So are the squares of huge numbers, and two losses are too few to know their noise."""
    losses = np.full(STEPS, np.inf)
    for finite in range(2):
        losses[:finite] = 1.0
        with pytest.raises(InputError, match="is not finite"):
            read_range_test(log(losses), CONSTANT, DEFAULT)


@pytest.mark.parametrize("optimizer", USUAL_RATES)
@pytest.mark.parametrize("hidden_size", [64, 384, 768, 4096])
def test_a_suggestion_lies_between_the_test_and_the_default_within_the_bounds(
    optimizer: str, hidden_size: int
) -> None:
    default = choose_learning_rate(hidden_size, optimizer)
    usual = USUAL_RATES[optimizer]
    for best in (35, 50, 65, STEPS - 1):
        losses = np.where(np.abs(np.arange(STEPS) - best) < 6, 1.0, 4.0)
        found = read_range_test(log(losses, optimizer), CONSTANT, default)
        assert found.learning_rate is not None
        third = found.rates[found.best] / 3
        assert min(third, default) <= found.learning_rate * 1.06  # it has one digit
        assert found.learning_rate <= max(third, default) * 1.06
        assert usual.lowest <= found.learning_rate <= usual.highest


def test_the_page_draws_the_loss_over_the_rate_and_ends_with_a_command() -> None:
    found = found_at(1e-3)
    page = render_range_test(found, 2e-4, COMMAND)
    assert f"Peak {found.learning_rate:.3g}" in page
    for mark in ("suggested peak", "lowest loss", "diverges", "constant answer"):
        assert mark in page
    assert "--learning-rate 0.0002" in page
    # The axis: powers of ten at equal distances.
    places = re.findall(r'class="tick" style="left:([\d.]+)%">(1e-0\d|0.\d+)<', page)
    lefts = [float(left) for left, _ in places]
    assert [text for _, text in places][:4] == ["1e-06", "1e-05", "0.0001", "0.001"]
    np.testing.assert_allclose(np.diff(lefts), lefts[1] - lefts[0], atol=0.02)
    series = json.loads(re.search(r"data-chart='([^']*)'", page)[1])  # type: ignore[index]
    constant = next(one for one in series if one["name"] == "constant answer")
    assert constant["text"] == ["3.000", "3.000"]
    assert constant["rate"][0] == "1e-06"
    assert page == render_range_test(found, 2e-4, COMMAND)


def test_the_loss_at_a_divergence_is_not_that_of_the_upper_edge() -> None:
    losses = np.concatenate([np.full(60, 4.0), np.full(30, 4e5)])
    found = read_range_test(log(losses), CONSTANT, DEFAULT)
    assert found.diverged is not None
    true = float(found.smooth[found.diverged])
    page = render_range_test(found, 2e-4, COMMAND)
    assert true > 1.75 * 4  # above the chart
    assert f"loss {number_text(true)}" in page.partition("diverges")[2].partition("</span>")[2]


def test_the_page_of_a_test_that_learned_nothing_names_the_default() -> None:
    found = read_range_test(log(np.full(STEPS, 4.0)), CONSTANT, DEFAULT)
    page = render_range_test(found, 2e-4, COMMAND)
    assert "No learning rate found" in page
    assert "The default for a model of this size is 0.0002" in page
    assert "suggested peak" not in page
