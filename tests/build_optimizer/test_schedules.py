"""Every schedule beside its published formula, and what all of them have in common."""

from __future__ import annotations

from itertools import product
from typing import Any

import keras as keras_library
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from kfp_finetune.components.artifacts.optimizer_config import SCHEDULES, Schedule
from kfp_finetune.components.build_optimizer.curve import drawn_steps, milestones
from kfp_finetune.components.build_optimizer.optimizers import KerasSchedule
from kfp_finetune.components.build_optimizer.parameters import build_optimizer_config
from kfp_finetune.components.build_optimizer.schedules import learning_rate_at, learning_rates
from tests.build_optimizer import published

keras = keras_library.optimizers.schedules
PEAK = 1e-3
BEYOND = 3  # updates looked at past the last


def test_the_recipe_is_kept_to_the_letter() -> None:
    schedule = build_optimizer_config(939).schedule
    rates = learning_rates(schedule)
    assert len(rates) == 940
    assert rates[0] == np.float32(5e-5)
    assert rates[938] == np.float32(5e-5 / 939)
    assert rates[939] == 0
    decay = keras.PolynomialDecay(5e-5, 939, end_learning_rate=0, power=1)
    of_keras = np.array([decay(step).numpy() for step in range(940)])
    # Keras subtracts in float32: an ulp of the peak is what it can be off by near the end.
    np.testing.assert_allclose(rates, of_keras, rtol=0, atol=np.spacing(np.float32(5e-5)))


def grid(name: str, **choices: list[Any]) -> list[Any]:
    """Schedules of every length and warmup, and of every combination of the choices."""
    combinations = [dict(zip(choices, c, strict=True)) for c in product(*choices.values())]
    return [
        pytest.param(
            Schedule(
                name=name,  # type: ignore[arg-type]
                learning_rate=PEAK,
                num_train_steps=total,
                warmup_steps=warmup,
                **choice,
            ),
            id=f"{name}-{total}-{warmup}-{'-'.join(map(str, choice.values()))}",
        )
        for total, warmup in ((50, 0), (50, 4), (49, 1), (8, 3))
        for choice in combinations
    ]


ENDS = [0.0, 1e-4]


@pytest.mark.parametrize(
    "schedule",
    [
        *grid("constant"),
        *grid("linear"),
        *grid("polynomial", power=[1.0, 2.0, 0.5], end_learning_rate=ENDS),
        *grid("cosine", end_learning_rate=ENDS),
        *grid("cosine_with_restarts", num_cycles=[1, 2, 4]),
        *grid("inverse_sqrt"),
        *grid("warmup_stable_decay", decay_steps=[1, 4]),
    ],
)
def test_rates_are_those_of_transformers(schedule: Schedule) -> None:
    """At every update: the first, the end of the warmup, the last, and past the end."""
    steps = range(schedule.num_train_steps + 1)
    ours = [learning_rate_at(schedule, step) for step in steps]
    theirs = [published.rate(schedule, step) for step in steps]
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-15)


def test_a_decay_to_a_rate_above_zero_is_that_of_transformers_once_it_is_warm() -> None:
    """Transformers warms up from the end rate for this one schedule; here it is always from 0."""
    schedule = Schedule(
        name="warmup_stable_decay",
        learning_rate=PEAK,
        end_learning_rate=1e-4,
        decay_steps=10,
        warmup_steps=5,
        num_train_steps=50,
    )
    for step in range(5, 53):
        assert learning_rate_at(schedule, step) == pytest.approx(published.rate(schedule, step))


def of_keras(schedule: Schedule) -> Any:
    """The Keras object of the same curve, behind a linear warmup."""
    length = schedule.num_train_steps - schedule.warmup_steps
    end = schedule.end_learning_rate
    decay = {
        "polynomial": lambda: keras.PolynomialDecay(PEAK, length, end, schedule.power),
        "cosine": lambda: keras.CosineDecay(PEAK, length, alpha=end / PEAK),
        "cosine_with_restarts": lambda: keras.CosineDecayRestarts(
            PEAK, length / schedule.num_cycles, t_mul=1.0, m_mul=1.0, alpha=end / PEAK
        ),
        "exponential": lambda: keras.ExponentialDecay(PEAK, length, schedule.decay_rate),
        "piecewise_constant": lambda: keras.PiecewiseConstantDecay(
            # Keras still uses a piece's rate at its boundary, and counts from the warmup's end.
            [float(start - 1 - schedule.warmup_steps) for start, _ in schedule.boundaries],
            [PEAK, *(rate for _, rate in schedule.boundaries)],
        ),
    }[schedule.name]()
    warmup = schedule.warmup_steps

    def warmed_up(step: float) -> Any:
        return decay(step - warmup) if step >= warmup else tf.constant(PEAK * step / warmup)

    return warmed_up


PIECES = [((5, 5e-4),), ((5, 5e-4), (6, 1e-4), (7, 3e-4)), ((7, 0.0),)]


@pytest.mark.parametrize(
    "schedule",
    [
        *grid("polynomial", power=[1.0, 2.0, 0.5], end_learning_rate=ENDS),
        *grid("cosine", end_learning_rate=ENDS),
        *grid("exponential", decay_rate=[0.1, 0.5, 1.0]),
        *grid("piecewise_constant", boundaries=PIECES),
    ],
)
def test_rates_are_those_of_the_keras_schedule(schedule: Schedule) -> None:
    theirs = of_keras(schedule)
    beyond = 0 if schedule.name == "exponential" else BEYOND  # Keras' has no end
    steps = range(schedule.num_train_steps + 1 + beyond)
    ours = [learning_rate_at(schedule, step) for step in steps]
    np.testing.assert_allclose(
        ours, [theirs(float(s)).numpy() for s in steps], rtol=3e-6, atol=1e-9
    )


@pytest.mark.parametrize(
    "schedule", grid("cosine_with_restarts", num_cycles=[1, 2], end_learning_rate=ENDS)
)
def test_restarts_are_those_of_the_keras_schedule_until_the_last_update(schedule: Schedule) -> None:
    """After it, Keras restarts once more; a run ends at the end rate, as in Transformers."""
    theirs = of_keras(schedule)
    for step in range(schedule.num_train_steps):
        expected = pytest.approx(float(theirs(float(step))), rel=1e-4, abs=1e-9)
        assert learning_rate_at(schedule, step) == expected
    assert learning_rate_at(schedule, schedule.num_train_steps) == schedule.end_learning_rate


@pytest.mark.parametrize("length", [98, 147, 939])
@pytest.mark.parametrize("cycles", [3, 7, 49])
def test_every_restart_is_at_the_peak(length: int, cycles: int) -> None:
    """In floating point, 49 × (1 ÷ 49) is below 1, and the cycle would not have ended."""
    schedule = Schedule(name="cosine_with_restarts", num_cycles=cycles, num_train_steps=length)
    rates = learning_rates(schedule)
    starts = [-(-length * cycle // cycles) for cycle in range(cycles)]
    assert np.flatnonzero(np.diff(rates[:-1]) > 0).tolist() == [s - 1 for s in starts[1:]]
    if length % cycles == 0:
        assert (rates[starts] == np.float32(5e-5)).all()


schedules = st.builds(
    Schedule,
    name=st.sampled_from(SCHEDULES),
    learning_rate=st.floats(1e-6, 1),
    end_learning_rate=st.floats(0, 1e-6),
    power=st.floats(0.25, 4),
    num_cycles=st.integers(1, 5),
    decay_rate=st.floats(0.01, 1),
    decay_steps=st.integers(1, 20),
    boundaries=st.sampled_from([((21, 1e-6),), ((22, 5e-7), (40, 0.0))]),
    warmup_steps=st.integers(0, 20),
    num_train_steps=st.integers(40, 200),
)


@given(schedule=schedules)
def test_every_schedule_rises_to_its_peak_and_never_above_it(schedule: Schedule) -> None:
    rates = learning_rates(schedule)
    warmup = schedule.warmup_steps
    assert len(rates) == schedule.num_train_steps + 1
    assert rates[warmup] == np.float32(schedule.learning_rate) == rates.max()
    assert (np.diff(rates[: warmup + 1]) > 0).all()
    if schedule.name != "cosine_with_restarts":
        assert (np.diff(rates[warmup:]) <= 0).all()
    if warmup:
        assert rates[0] == 0
    assert learning_rate_at(schedule, schedule.num_train_steps + 5) == pytest.approx(
        learning_rate_at(schedule, schedule.num_train_steps)
    )


@given(schedule=schedules)
def test_every_schedule_ends_at_its_declared_rate(schedule: Schedule) -> None:
    peak, total, warmup = schedule.learning_rate, schedule.num_train_steps, schedule.warmup_steps
    timescale = warmup or 10_000
    ends = {
        "constant": peak,
        "exponential": peak * schedule.decay_rate,
        "inverse_sqrt": peak * (timescale / (timescale + total - warmup)) ** 0.5,
        "piecewise_constant": schedule.boundaries[-1][1],
    }
    end = ends.get(schedule.name, schedule.end_learning_rate)
    assert learning_rates(schedule)[-1] == np.float32(end)


@given(schedule=schedules)
def test_the_keras_object_is_the_function_to_the_last_bit(schedule: Schedule) -> None:
    table = KerasSchedule.from_config(KerasSchedule(schedule).get_config())
    rates = learning_rates(schedule)
    for step in (0, schedule.warmup_steps, len(rates) // 2, len(rates) - 1):
        assert table(float(step)).numpy() == rates[step]
    assert table(len(rates) + 10).numpy() == rates[-1]


LONG: dict[str, dict[str, Any]] = {
    "polynomial": {"power": 2.0},
    "cosine_with_restarts": {"num_cycles": 7},
    "exponential": {"decay_rate": 0.01},
    "piecewise_constant": {"boundaries": ((30_000_000, 1e-5), (70_000_001, 1e-6))},
    "warmup_stable_decay": {"decay_steps": 12_345_678},
}


@pytest.mark.parametrize("warmup", [0, 1_234_567])
@pytest.mark.parametrize("name", SCHEDULES)
def test_a_long_schedule_has_no_table_and_the_same_rates(name: str, warmup: int) -> None:
    total = 100_000_000
    schedule = Schedule(name=name, num_train_steps=total, warmup_steps=warmup, **LONG.get(name, {}))
    keras = KerasSchedule(schedule)
    assert keras.table is None
    drawn = drawn_steps(schedule)
    assert len(drawn) < 100_010 and {0, total - 1, total} | milestones(schedule).keys() <= set(
        drawn
    )
    steps = [
        *drawn[:: len(drawn) // 20],
        *milestones(schedule),
        warmup // 3,
        total - 1,
        total,
        2 * total,
    ]
    steps += [start + by for start, _ in schedule.boundaries for by in (-1, 0)]
    rates = [float(keras(tf.constant(step, tf.int64))) for step in steps]
    one_bit = np.finfo(np.float32).eps
    np.testing.assert_allclose(rates, learning_rates(schedule, steps), rtol=one_bit, atol=1e-20)


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ({"name": "linear"}, {"name": "polynomial", "power": 1.0}),
        ({"name": "cosine_with_restarts", "num_cycles": 1}, {"name": "cosine"}),
        ({"name": "warmup_stable_decay", "decay_steps": 31}, {"name": "cosine"}),
        ({"name": "exponential", "decay_rate": 1.0}, {"name": "constant"}),
        ({"name": "piecewise_constant"}, {"name": "constant"}),
    ],
    ids=str,
)
def test_one_schedule_is_another_at_its_edge(name: dict[str, Any], other: dict[str, Any]) -> None:
    one, two = (Schedule(num_train_steps=33, warmup_steps=2, **s) for s in (name, other))
    np.testing.assert_allclose(learning_rates(one), learning_rates(two), rtol=1e-6)


@pytest.mark.parametrize(
    "parts",
    [
        {"warmup_steps": 10},
        {"warmup_steps": 4, "decay_steps": 7},
        {"boundaries": ((5, 1e-5), (4, 1e-6))},
        {"boundaries": ((3, 1e-5),), "warmup_steps": 3},
        {"boundaries": ((11, 1e-5),)},
    ],
    ids=str,
)
def test_a_description_whose_parts_do_not_fit_the_run_is_refused(parts: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="do not fit the number of steps"):
        Schedule(num_train_steps=10, **parts)
