"""From parameters to a description: what is computed, and what is refused in which words."""

from __future__ import annotations

import math
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_finetune.components.artifacts import optimizer_config as artifact
from kfp_finetune.components.artifacts.optimizer_config import OPTIMIZERS, SCHEDULES
from kfp_finetune.components.build_optimizer.checks import USED_BY
from kfp_finetune.components.build_optimizer.parameters import (
    DEFAULTS,
    Parameters,
    build_optimizer_config,
)
from kfp_finetune.components.build_optimizer.schedules import learning_rates
from kfp_finetune.components.errors import InputError


def test_warmup_ratio_is_a_share_of_the_steps_rounded_up() -> None:
    assert build_optimizer_config(939, warmup_ratio=0.1).schedule.warmup_steps == 94
    assert build_optimizer_config(30, warmup_ratio=0.1).schedule.warmup_steps == 3
    assert build_optimizer_config(939, warmup_steps=7).schedule.warmup_steps == 7


@pytest.mark.parametrize(
    ("total", "warmup", "decay", "expected"),
    [
        (939, 0.1, 0.1, (94, 93)),
        (30, 0.1, 0.1, (3, 3)),
        (31, 0.5, 0.5, (16, 15)),  # together all of the steps, and not one more
        (3, 0.0, 0.1, (0, 1)),
        (1, 0.0, 1.0, (0, 1)),
    ],
)
def test_decay_ratio_is_a_share_of_the_steps_rounded_down(
    total: int, warmup: float, decay: float, expected: tuple[int, int]
) -> None:
    schedule = build_optimizer_config(
        total, lr_scheduler_type="warmup_stable_decay", warmup_ratio=warmup, decay_ratio=decay
    ).schedule
    assert (schedule.warmup_steps, schedule.decay_steps) == expected


@pytest.mark.parametrize(
    ("total", "expected"),
    [
        (1000, ((500, 1e-5), (800, 1e-6))),
        (939, ((469, 1e-5), (751, 1e-6))),
        (5, ((2, 1e-5), (4, 1e-6))),
        (1, ((1, 1e-5), (1, 1e-6))),
    ],
)
def test_boundaries_are_shares_of_the_steps_rounded_down(
    total: int, expected: tuple[tuple[int, float], ...]
) -> None:
    config = build_optimizer_config(
        total, lr_scheduler_type="piecewise_constant", lr_boundaries="0.5:1e-5, 0.8:1e-6"
    )
    assert config.schedule.boundaries == expected
    assert len(learning_rates(config.schedule)) == total + 1


def test_a_description_reads_back_as_it_was_written(tmp_path: Path) -> None:
    config = build_optimizer_config(
        100,
        optimizer="adamw",
        weight_decay=0.01,
        warmup_ratio=0.1,
        max_grad_norm=1.0,
        lr_scheduler_type="piecewise_constant",
        lr_boundaries="0.5:1e-5,0.8:1e-6",
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
            "unknown lr_scheduler_type 'triangle'\n"
            "  where:    lr_scheduler_type\n"
            "  expected: one of constant, linear, polynomial, cosine, cosine_with_restarts,"
            " inverse_sqrt, exponential, piecewise_constant, warmup_stable_decay\n"
            "  remedy:   --lr-scheduler-type polynomial",
        ),
        (
            {"lr_scheduler_type": "constant_with_warmup"},
            "unknown lr_scheduler_type 'constant_with_warmup'\n"
            "  where:    lr_scheduler_type\n"
            "  expected: one of constant, linear, polynomial, cosine, cosine_with_restarts,"
            " inverse_sqrt, exponential, piecewise_constant, warmup_stable_decay\n"
            "  remedy:   --lr-scheduler-type constant --warmup-ratio 0.1",
        ),
        (
            {"warmup_steps": 100},
            "warmup takes 100 of 100 steps\n"
            "  where:    warmup_steps, warmup_ratio\n"
            "  expected: a warmup shorter than the run\n"
            "  remedy:   a shorter warmup such as --warmup-ratio 0.1, or more epochs",
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
            "weight_decay is 0.01, but adam does not use it\n"
            "  where:    weight_decay\n"
            "  expected: the optimizer that uses it: adamw or lion\n"
            "  remedy:   omit --weight-decay, or --optimizer adamw",
        ),
        (
            {"lr_scheduler_type": "inverse_sqrt", "end_learning_rate": 1e-6},
            "end_learning_rate is 1e-06, but inverse_sqrt does not use it\n"
            "  where:    end_learning_rate\n"
            "  expected: the lr_scheduler_type that uses it: linear or polynomial or cosine or"
            " cosine_with_restarts or warmup_stable_decay\n"
            "  remedy:   omit --end-learning-rate, or --lr-scheduler-type linear",
        ),
        (
            {"lr_boundaries": "0.5:1e-5"},
            "lr_boundaries is 0.5:1e-5, but polynomial does not use it\n"
            "  where:    lr_boundaries\n"
            "  expected: the lr_scheduler_type that uses it: piecewise_constant\n"
            "  remedy:   omit --lr-boundaries, or --lr-scheduler-type piecewise_constant",
        ),
        (
            {"lr_scheduler_type": "piecewise_constant"},
            "piecewise_constant has no lr_boundaries\n"
            "  where:    lr_boundaries\n"
            "  expected: share:rate,... with increasing shares of the steps between 0 and 1, and"
            " rates from 0 to learning_rate\n"
            "  remedy:   for example --lr-boundaries 0.5:1e-5,0.8:1e-6",
        ),
        (
            {"end_learning_rate": 1.0},
            "end_learning_rate 1 is above learning_rate 5e-05\n"
            "  where:    end_learning_rate\n"
            "  expected: a rate between 0 and learning_rate\n"
            "  remedy:   --end-learning-rate 0",
        ),
        (
            {"adam_beta1": 1.0, "power": 0.0},
            "power is 0\n"
            "  where:    power\n"
            "  expected: a number above 0\n"
            "  remedy:   omit --power\n"
            "adam_beta1 is 1\n"
            "  where:    adam_beta1\n"
            "  expected: a number of at least 0 and below 1\n"
            "  remedy:   omit --adam-beta1",
        ),
        (
            {
                "lr_scheduler_type": "warmup_stable_decay",
                "warmup_ratio": 0.5,
                "decay_ratio": 0.6,
            },
            "warmup takes 50 and the decay 60 of 100 steps\n"
            "  where:    warmup_steps, warmup_ratio, decay_ratio\n"
            "  expected: both together no longer than the run\n"
            "  remedy:   a shorter warmup, or a smaller --decay-ratio",
        ),
        (
            {"lr_scheduler_type": "cosine_with_restarts", "warmup_steps": 90, "num_cycles": 11},
            "num_cycles is 11, but only 10 steps follow the warmup\n"
            "  where:    num_cycles\n"
            "  expected: at least one step per cycle\n"
            "  remedy:   a smaller --num-cycles, or more epochs",
        ),
        (
            {
                "lr_scheduler_type": "piecewise_constant",
                "lr_boundaries": "0.1:1e-5",
                "warmup_ratio": 0.1,
            },
            "warmup takes 10 steps, but the first boundary is at step 10\n"
            "  where:    lr_boundaries, warmup_steps, warmup_ratio\n"
            "  expected: a first boundary after the warmup\n"
            "  remedy:   a shorter warmup, or later boundaries",
        ),
    ],
)
def test_wrong_parameters_get_one_message(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as error:
        build_optimizer_config(100, **arguments)
    assert str(error.value) == message


@pytest.mark.parametrize(
    "text",
    ["", ",", "0.5", "0.5:", "half:1e-5", "0.5:1e-5:1", "0.8:1e-5,0.5:1e-6", "0.5:1e-5,0.5:1e-6",
     "0:1e-5", "1:1e-5", "1.5:1e-5", "nan:1e-5"],
)  # fmt: skip
def test_boundaries_that_are_written_in_another_way_are_refused(text: str) -> None:
    with pytest.raises(InputError) as error:
        build_optimizer_config(100, lr_scheduler_type="piecewise_constant", lr_boundaries=text)
    assert error.value.found == f"lr_boundaries is '{text}'"


@pytest.mark.parametrize("rate", ["-1e-5", "1", "nan", "inf"])
def test_boundaries_with_a_rate_that_none_can_have_are_refused(rate: str) -> None:
    with pytest.raises(InputError, match=f"lr_boundaries has a rate of {float(rate):g}"):
        build_optimizer_config(
            100, lr_scheduler_type="piecewise_constant", lr_boundaries=f"0.2:0,0.5:{rate}"
        )


def test_all_problems_are_reported_at_once() -> None:
    with pytest.raises(InputError) as error:
        build_optimizer_config(
            100,
            optimizer="adamax",
            learning_rate=math.nan,
            lr_scheduler_type="linear",
            power=0.0,
            warmup_steps=100,
            adam_epsilon=0.0,
        )
    assert error.value.where == (
        "optimizer, learning_rate, adam_epsilon, power, warmup_steps, warmup_ratio"
    )


@pytest.mark.parametrize("name", USED_BY)
def test_a_parameter_is_used_by_those_that_declare_it(name: str) -> None:
    """They give another config with it, and all others refuse it."""
    default = DEFAULTS[name]
    other = "0.3:1e-5" if name == "lr_boundaries" else type(default)(default / 2) or 1e-6
    schedules = USED_BY[name][0] in SCHEDULES
    for chosen in SCHEDULES if schedules else OPTIMIZERS:
        given = {"lr_scheduler_type" if schedules else "optimizer": chosen}
        if chosen == "piecewise_constant":
            given["lr_boundaries"] = "0.5:1e-5"
        if chosen in USED_BY[name]:
            one, two = (build_optimizer_config(40, **given | p) for p in ({}, {name: other}))
            if schedules:
                assert (
                    learning_rates(one.schedule).tolist() != learning_rates(two.schedule).tolist()
                )
            assert one != two
        elif name not in given:
            with pytest.raises(InputError, match=f"{name} is .*, but {chosen} does not use it"):
                build_optimizer_config(40, **given, **{name: other})


@pytest.mark.parametrize("file", ["docs/guide.md", "components/build_optimizer/component.py"])
def test_every_schedule_and_optimizer_is_documented(file: str) -> None:
    text = (Path(__file__).parents[2] / file).read_text()
    words = set(re.findall(r"\w+", text))
    assert words >= {*SCHEDULES, *OPTIMIZERS}


_numbers = st.sampled_from([0, -1, 1e-6, 0.3, 0.9999, 1, 2, 50, 1e300, math.inf, math.nan])
_anything = {
    field.name: st.just(field.default) | _numbers
    for field in fields(Parameters)
    if field.type in (float, float | None, "float")
} | {
    "optimizer": st.sampled_from([*OPTIMIZERS, "adamax"]),
    "lr_scheduler_type": st.sampled_from([*SCHEDULES, ""]),
    "num_cycles": st.sampled_from([-1, 0, 1, 2, 3, 1000]),
    "warmup_steps": st.sampled_from([-1, 0, 0, 1, 5, 1000]),
    "lr_boundaries": st.sampled_from([None, "", "0.5:0", "0.01:1e-6,0.9:0", "1:1"]),
}


@given(
    parameters=st.fixed_dictionaries({}, optional=_anything),
    total=st.sampled_from([-1, 0, 1, 2, 30, 100]),
)
def test_any_values_make_a_schedule_or_an_input_error(
    parameters: dict[str, Any], total: int
) -> None:
    try:
        config = build_optimizer_config(total, **parameters)
    except InputError as error:
        assert error.found and error.where and error.expected and error.remedy
    else:
        rates = learning_rates(config.schedule)
        assert rates.min() >= 0
        assert rates.max() == np.float32(config.schedule.learning_rate) < np.inf
