import math

import numpy as np
import pytest
import tf_keras
from hypothesis import given
from hypothesis import strategies as st
from transformers.optimization_tf import WarmUp

from kfp_finetune.components.artifacts import optimizer_config as artifact
from kfp_finetune.components.artifacts.optimizer_config import SCHEDULES, Schedule
from kfp_finetune.components.build_optimizer.optimizers import KerasSchedule
from kfp_finetune.components.build_optimizer.schedules import (
    build_optimizer_config,
    learning_rate_at,
    learning_rates,
)
from kfp_finetune.components.errors import InputError


def test_the_recipe_is_kept_to_the_letter() -> None:
    schedule = build_optimizer_config(939).schedule
    rates = learning_rates(schedule)
    assert len(rates) == 940
    assert rates[0] == np.float32(5e-5)
    assert rates[938] == np.float32(5e-5 / 939)
    assert rates[939] == 0
    keras = tf_keras.optimizers.schedules.PolynomialDecay(5e-5, 939, end_learning_rate=0, power=1)
    published = np.array([keras(step).numpy() for step in range(940)])
    # Keras subtracts in float32: an ulp of the peak is what it can be off by near the end.
    np.testing.assert_allclose(rates, published, rtol=0, atol=np.spacing(np.float32(5e-5)))


@pytest.mark.parametrize("power", [1.0, 2.0, 0.5])
@pytest.mark.parametrize("end", [0.0, 1e-5])
@pytest.mark.parametrize("warmup", [0, 7])
def test_polynomial_is_keras_polynomial_decay(power: float, end: float, warmup: int) -> None:
    schedule = Schedule(
        name="polynomial",
        learning_rate=1e-3,
        end_learning_rate=end,
        power=power,
        warmup_steps=warmup,
        num_train_steps=50,
    )
    decay = tf_keras.optimizers.schedules.PolynomialDecay(1e-3, 50 - warmup, end, power)
    keras = WarmUp(1e-3, decay, warmup) if warmup else decay
    published = np.array([keras(float(step)).numpy() for step in range(53)])
    ours = np.array([learning_rate_at(schedule, step) for step in range(53)])
    np.testing.assert_allclose(ours, published, rtol=2e-6, atol=1e-9)


@pytest.mark.parametrize("end", [0.0, 1e-4])
def test_cosine_is_keras_cosine_decay(end: float) -> None:
    schedule = Schedule(
        name="cosine", learning_rate=1e-3, end_learning_rate=end, num_train_steps=40
    )
    keras = tf_keras.optimizers.schedules.CosineDecay(1e-3, 40, alpha=end / 1e-3)
    published = np.array([keras(float(step)).numpy() for step in range(43)])
    ours = np.array([learning_rate_at(schedule, step) for step in range(43)])
    np.testing.assert_allclose(ours, published, rtol=2e-6, atol=1e-9)


schedules = st.builds(
    Schedule,
    name=st.sampled_from(SCHEDULES),
    learning_rate=st.floats(1e-6, 1),
    end_learning_rate=st.floats(0, 1e-6),
    power=st.floats(0.25, 4),
    warmup_steps=st.integers(0, 20),
    num_train_steps=st.integers(21, 200),
)


@given(schedule=schedules)
def test_every_schedule_rises_to_its_peak_and_never_again(schedule: Schedule) -> None:
    rates = learning_rates(schedule)
    warmup = schedule.warmup_steps
    assert len(rates) == schedule.num_train_steps + 1
    assert rates[warmup] == np.float32(schedule.learning_rate) == rates.max()
    assert (np.diff(rates[: warmup + 1]) > 0).all()
    assert (np.diff(rates[warmup:]) <= 0).all()
    if warmup:
        assert rates[0] == 0
    if schedule.name != "constant":
        assert rates[-1] == np.float32(schedule.end_learning_rate)
    assert learning_rate_at(schedule, schedule.num_train_steps + 5) == pytest.approx(
        learning_rate_at(schedule, schedule.num_train_steps)
    )


@given(schedule=schedules)
def test_the_keras_object_is_the_function_to_the_last_bit(schedule: Schedule) -> None:
    keras = KerasSchedule.from_config(KerasSchedule(schedule).get_config())
    rates = learning_rates(schedule)
    for step in (0, schedule.warmup_steps, len(rates) // 2, len(rates) - 1):
        assert keras(float(step)).numpy() == rates[step]
    assert keras(len(rates) + 10).numpy() == rates[-1]


def test_linear_is_polynomial_of_power_one() -> None:
    linear = Schedule(name="linear", num_train_steps=33, power=3, warmup_steps=2)
    polynomial = Schedule(name="polynomial", num_train_steps=33, power=1, warmup_steps=2)
    np.testing.assert_array_equal(learning_rates(linear), learning_rates(polynomial))


def test_warmup_ratio_is_a_share_of_the_steps_rounded_up() -> None:
    assert build_optimizer_config(939, warmup_ratio=0.1).schedule.warmup_steps == 94
    assert build_optimizer_config(30, warmup_ratio=0.1).schedule.warmup_steps == 3
    assert build_optimizer_config(939, warmup_steps=7).schedule.warmup_steps == 7


def test_a_description_reads_back_as_it_was_written(tmp_path) -> None:  # type: ignore[no-untyped-def]
    config = build_optimizer_config(
        100, optimizer="adamw", weight_decay=0.01, warmup_ratio=0.1, max_grad_norm=1.0
    )
    artifact.write(tmp_path, config)
    assert artifact.read(tmp_path) == config


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"learning_rate": -1e-5},
            "learning_rate is -1e-05\n"
            "  where:    learning_rate\n"
            "  expected: a number above 0; 1e-5 to 1e-4 suits pretrained models\n"
            "  remedy:   --learning-rate 5e-5",
        ),
        (
            {"lr_scheduler_type": "triangle"},
            "lr_scheduler_type 'triangle' is not known\n"
            "  where:    lr_scheduler_type\n"
            "  expected: one of constant, cosine, linear, polynomial\n"
            "  remedy:   --lr-scheduler-type polynomial",
        ),
        (
            {"optimizer": "adamax"},
            "optimizer 'adamax' is not known\n"
            "  where:    optimizer\n"
            "  expected: one of adam, adamw\n"
            "  remedy:   --optimizer adam",
        ),
        (
            {"warmup_steps": 100},
            "warmup takes 100 of 100 steps\n"
            "  where:    warmup_steps, warmup_ratio\n"
            "  expected: warmup shorter than the run\n"
            "  remedy:   a shorter warmup, e.g. --warmup-ratio 0.1, or more epochs",
        ),
        (
            {"warmup_ratio": 1.5},
            "warmup_ratio is 1.5\n"
            "  where:    warmup_ratio\n"
            "  expected: a share of the steps, at least 0 and below 1\n"
            "  remedy:   --warmup-ratio 0.1",
        ),
        (
            {"weight_decay": 0.01},
            "weight_decay is 0.01, and adam does not decay weights\n"
            "  where:    weight_decay\n"
            "  expected: optimizer adamw, whose weight decay is decoupled from the gradient\n"
            "  remedy:   --optimizer adamw",
        ),
        (
            {"end_learning_rate": 1.0},
            "end_learning_rate 1 is above learning_rate 5e-05\n"
            "  where:    end_learning_rate\n"
            "  expected: a rate to decay to, at most the peak\n"
            "  remedy:   --end-learning-rate 0",
        ),
        (
            {"adam_beta1": 1.0, "power": 0.0},
            "power is 0.0; adam_beta1 is 1.0\n"
            "  where:    power, adam_beta1\n"
            "  expected: greater than 0; less than 1\n"
            "  remedy:   leave --power out for the default; leave --adam-beta1 out for the default",
        ),
    ],
)
def test_wrong_parameters_get_one_message(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(InputError) as error:
        build_optimizer_config(100, **arguments)  # type: ignore[arg-type]
    assert str(error.value) == message


def test_everything_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(InputError) as error:
        build_optimizer_config(100, learning_rate=math.nan, warmup_ratio=-1, warmup_steps=-3)
    assert error.value.where.startswith("learning_rate, warmup_ratio, warmup_steps")
