import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.batches import epoch_batches, step_batches
from kfp_finetune.components.load_data.steps import count_steps


@pytest.mark.parametrize(
    ("rows", "batch", "epochs", "accumulation", "drop", "per_epoch", "total", "last"),
    [
        (10_003, 32, 3, 1, False, 313, 939, 19),
        (10_003, 32, 3, 1, True, 312, 936, 32),
        (103, 8, 1, 1, False, 13, 13, 7),
        (103, 8, 1, 1, True, 12, 12, 8),
        (64, 32, 2, 1, False, 2, 4, 32),
        (64, 32, 2, 1, True, 2, 4, 32),
        (5, 32, 3, 1, False, 1, 3, 5),
        (1, 1, 1, 1, False, 1, 1, 1),
        (103, 8, 2, 4, False, 4, 8, 7),
        (96, 8, 2, 4, False, 3, 6, 8),
        (103, 8, 1, 100, False, 1, 1, 7),
        (100, 10, 0.5, 1, False, 10, 5, 10),
        (100, 10, 0.55, 1, False, 10, 6, 10),
        (300, 10, 0.1, 1, False, 30, 3, 10),
        (100, 10, 1.05, 3, False, 4, 5, 10),
    ],
)
def test_counts(
    rows: int,
    batch: int,
    epochs: float,
    accumulation: int,
    drop: bool,
    per_epoch: int,
    total: int,
    last: int,
) -> None:
    plan = count_steps(rows, batch, epochs, None, accumulation, drop)
    assert (plan.steps_per_epoch, plan.num_train_steps) == (per_epoch, total)
    assert plan.last_batch_size == last


def test_max_steps_rules_over_epochs() -> None:
    plan = count_steps(100, 10, num_train_epochs=3, max_steps=25)
    assert plan.num_train_steps == 25
    assert plan.num_train_epochs == 2.5


def test_the_plan_reads_as_one_line() -> None:
    assert str(count_steps(10_003, 32, 3)) == (
        "10,003 examples ÷ 32 = 313 steps × 3 epochs = 939 steps (last batch 19)"
    )
    assert str(count_steps(103, 8, 1, None, 4, True)) == (
        "103 examples ÷ (8 × 4) = 3 steps × 1 epoch = 3 steps (last batch dropped)"
    )


@pytest.mark.parametrize(
    ("arguments", "found", "where"),
    [
        ({"batch_size": 0}, "batch_size is 0", "batch_size"),
        ({"num_train_epochs": 0}, "num_train_epochs is 0", "num_train_epochs"),
        ({"num_train_epochs": -1}, "num_train_epochs is -1", "num_train_epochs"),
        ({"num_train_epochs": math.nan}, "num_train_epochs is nan", "num_train_epochs"),
        ({"num_train_epochs": math.inf}, "num_train_epochs is inf", "num_train_epochs"),
        ({"max_steps": 0}, "max_steps is 0", "max_steps"),
        (
            {"gradient_accumulation_steps": 0},
            "gradient_accumulation_steps is 0",
            "gradient_accumulation_steps",
        ),
        (
            {"drop_remainder": True, "batch_size": 32},
            "10 training examples make no batch of 32",
            "batch_size, drop_remainder",
        ),
    ],
)
def test_what_makes_no_plan_is_refused(arguments: dict[str, float], found: str, where: str) -> None:
    with pytest.raises(InputError) as error:
        count_steps(10, **arguments)  # type: ignore[arg-type]
    assert (error.value.found, error.value.where) == (found, where)
    assert error.value.expected
    assert error.value.remedy


plans = st.builds(
    count_steps,
    num_train_examples=st.integers(1, 300),
    batch_size=st.integers(1, 40),
    num_train_epochs=st.floats(0.1, 4),
    max_steps=st.none() | st.integers(1, 60),
    gradient_accumulation_steps=st.integers(1, 5),
)


@given(
    examples=st.integers(1, 2000),
    batch_size=st.integers(1, 40),
    accumulation=st.integers(1, 8),
    epochs=st.floats(0.1, 4),
)
def test_accumulating_batches_makes_the_updates_of_batches_that_are_as_big(
    examples: int, batch_size: int, accumulation: int, epochs: float
) -> None:
    one = count_steps(examples, batch_size, epochs, gradient_accumulation_steps=accumulation)
    other = count_steps(examples, batch_size * accumulation, epochs)
    assert one.steps_per_epoch == other.steps_per_epoch
    assert one.num_train_steps == other.num_train_steps


@given(plan=plans, seed=st.integers(0, 2**32 - 1))
def test_an_epoch_feeds_each_row_exactly_once(plan, seed: int) -> None:  # type: ignore[no-untyped-def]
    lengths = np.random.default_rng(seed).integers(1, 128, plan.num_train_examples)
    batches = epoch_batches(lengths, plan, seed, epoch=1)
    assert len(batches) == plan.batches_per_epoch
    assert sorted(np.concatenate(batches).tolist()) == list(range(plan.num_train_examples))
    assert {len(b) for b in batches[:-1]} <= {plan.batch_size}
    assert len(batches[-1]) in (plan.batch_size, plan.last_batch_size)


@given(plan=plans, seed=st.integers(0, 2**32 - 1), start=st.integers(0, 30))
def test_updates_are_the_planned_ones_and_can_start_anywhere(plan, seed: int, start: int) -> None:  # type: ignore[no-untyped-def]
    lengths = np.random.default_rng(seed).integers(1, 128, plan.num_train_examples)
    groups = list(step_batches(lengths, plan, seed))
    assert len(groups) == plan.num_train_steps
    for i, group in enumerate(groups):
        ends_epoch = (i + 1) % plan.steps_per_epoch == 0
        assert len(group) == plan.gradient_accumulation_steps or (ends_epoch and len(group) >= 1)
    start = min(start, plan.num_train_steps)
    resumed = list(step_batches(lengths, plan, seed, start))
    assert [[b.tolist() for b in g] for g in resumed] == [
        [b.tolist() for b in g] for g in groups[start:]
    ]


@pytest.mark.parametrize(
    ("rows", "given", "found"),
    [
        (10, {"num_train_epochs": 1e9}, "training would take 1,000,000,000 epochs"),
        (40_000, {"num_train_epochs": 1e6}, "training would take 1,250,000,000 steps"),
        (40_000, {"max_steps": 2 * 10**9}, "training would take 2,000,000,000 steps"),
        (10, {"max_steps": 5 * 10**6}, "training would take 5,000,000 epochs"),
    ],
    ids=str,
)
def test_a_run_that_cannot_end_is_refused_with_its_number(
    rows: int, given: dict[str, float], found: str
) -> None:
    with pytest.raises(InputError) as caught:
        count_steps(rows, **given)  # type: ignore[arg-type]
    assert caught.value.found == found
    assert "at most 1,000,000" in caught.value.expected


def test_one_is_not_many() -> None:
    assert str(count_steps(1, 1, 1)) == ("1 example ÷ 1 = 1 step × 1 epoch = 1 step (last batch 1)")
    assert "20,000 examples ÷ 10 = 2,000 steps × 0.5 epochs = 1,000 steps" in str(
        count_steps(20_000, 10, 0.5)
    )


def test_a_very_long_run_is_planned() -> None:
    assert count_steps(320_000, num_train_epochs=1e5).num_train_steps == 10**9


def test_drop_remainder_leaves_out_rows_that_differ_by_epoch() -> None:
    plan = count_steps(103, 8, 1, drop_remainder=True)
    lengths = np.ones(103, np.int64)
    first, second = (np.concatenate(epoch_batches(lengths, plan, 0, e)) for e in (0, 1))
    assert len(first) == len(set(first.tolist())) == 96
    assert set(first.tolist()) != set(second.tolist())


def test_order_depends_on_seed_and_epoch_only() -> None:
    plan = count_steps(500, 8, 2)
    lengths = np.arange(500) % 60

    def order(seed: int, epoch: int) -> list[int]:
        return np.concatenate(epoch_batches(lengths, plan, seed, epoch)).tolist()

    assert order(1, 0) == order(1, 0)
    assert order(1, 0) != order(1, 1)
    assert order(1, 0) != order(2, 0)


def test_batches_hold_rows_of_like_length() -> None:
    plan = count_steps(6_400, 32, 1)
    lengths = np.random.default_rng(0).integers(3, 120, 6_400)
    batches = epoch_batches(lengths, plan, 0, 0)
    padded = sum(len(b) * lengths[b].max() for b in batches)
    assert lengths.sum() / padded > 0.95
