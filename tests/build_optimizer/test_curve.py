from __future__ import annotations

import json
import re
from html import unescape
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfp_finetune.components.artifacts.optimizer_config import OptimizerConfig, Schedule
from kfp_finetune.components.build_optimizer.curve import (
    curve_chart,
    describe,
    milestones,
    render_curve,
)
from kfp_finetune.components.build_optimizer.curve import settings as curve_settings
from kfp_finetune.components.build_optimizer.schedules import learning_rates
from kfp_finetune.components.pages.charts import thin, ticks


def config_of(**schedule: Any) -> OptimizerConfig:
    return OptimizerConfig(schedule=Schedule(**schedule))


def page_of(**schedule: Any) -> str:
    config = config_of(**schedule)
    return render_curve(config, learning_rates(config.schedule))


def text_of(page: str) -> str:
    body = re.sub(r"<(style|script)>.*?</\1>", "", page, flags=re.S)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


SCHEDULES = [
    {"num_train_steps": 939},
    {"num_train_steps": 939, "warmup_steps": 94, "name": "linear"},
    {"num_train_steps": 2345, "warmup_steps": 100, "name": "cosine", "end_learning_rate": 1e-6},
    {"num_train_steps": 1000, "warmup_steps": 500, "power": 2.0},
    {"num_train_steps": 300, "name": "constant"},
    {"num_train_steps": 939, "name": "cosine_with_restarts", "num_cycles": 8},
    {"num_train_steps": 939, "name": "inverse_sqrt", "warmup_steps": 94},
    {"num_train_steps": 939, "name": "exponential"},
    {"num_train_steps": 939, "name": "piecewise_constant", "boundaries": ((469, 1e-5), (751, 0))},
    {"num_train_steps": 939, "name": "warmup_stable_decay", "decay_steps": 187},
    {"num_train_steps": 1},
    {"num_train_steps": 2, "warmup_steps": 1},
]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_page_is_whole_self_contained_and_always_the_same(schedule: dict[str, Any]) -> None:
    page = page_of(**schedule)
    assert page == page_of(**schedule)
    assert not re.search(r"https?://|url\(|@import|(src|href)=\"(?!data:,)", page)
    assert page.count("<svg") == page.count("</svg>") == 1
    assert "nan" not in text_of(page).lower().split()
    HTMLParser().feed(page)


def test_the_numbers_that_matter_are_written_on_the_curve() -> None:
    text = text_of(page_of(num_train_steps=939, warmup_steps=94, name="linear"))
    for part in (
        "Adam, linear decay from 5e-05 to 0 over 939 steps, warmup over the first 94 steps.",
        "0 first · step 0",
        "5e-05 peak, warmup ends · step 94",
        "5.92e-08 → 0 last → after · step 938",
        "Steps 939 num_train_steps",
        "Last rate applied 5.92e-08 step 938",
        "After the last step 0 never applied",
    ):
        assert part in text


def test_a_rate_that_stays_the_same_is_written_once() -> None:
    text = text_of(page_of(num_train_steps=939, name="constant"))
    assert "5e-05 last applied · step 938" in text and "→" not in text


@pytest.mark.parametrize(
    ("schedule", "sentence"),
    [
        (
            {"num_train_steps": 939},
            "Adam, polynomial decay (power 1) from 5e-05 to 0 over 939 steps, no warmup",
        ),
        (
            {"num_train_steps": 1, "name": "constant", "learning_rate": 1e-3},
            "Adam, constant rate 0.001 for 1 step, no warmup",
        ),
        (
            {"num_train_steps": 12_000, "name": "cosine", "warmup_steps": 1200},
            "Adam, cosine decay from 5e-05 to 0 over 12,000 steps, warmup over the first 1,200"
            " steps",
        ),
        (
            {"num_train_steps": 939, "power": 2.0, "end_learning_rate": 1e-6},
            "Adam, polynomial decay (power 2) from 5e-05 to 1e-06 over 939 steps, no warmup",
        ),
        (
            {"num_train_steps": 939, "name": "linear"},
            "Adam, linear decay from 5e-05 to 0 over 939 steps, no warmup",
        ),
        (
            {"num_train_steps": 939, "name": "cosine_with_restarts", "num_cycles": 3},
            "Adam, 3 cosine decays, each from 5e-05 to 0, over 939 steps, no warmup",
        ),
        (
            {"num_train_steps": 939, "name": "cosine_with_restarts", "num_cycles": 1},
            "Adam, cosine decay from 5e-05 to 0 over 939 steps, no warmup",
        ),
        (
            {"num_train_steps": 900, "name": "inverse_sqrt", "warmup_steps": 100},
            "Adam, inverse square root decay from 5e-05 to 1.67e-05 over 900 steps,"
            " warmup over the first 100 steps",
        ),
        (
            {"num_train_steps": 939, "name": "exponential"},
            "Adam, exponential decay from 5e-05 to 5e-06 over 939 steps, no warmup",
        ),
        (
            {
                "num_train_steps": 939,
                "name": "piecewise_constant",
                "boundaries": ((469, 1e-5), (751, 1e-6)),
                "warmup_steps": 30,
            },
            "Adam, rate 5e-05, 1e-05 from step 469 on, 1e-06 from step 751 on, over 939"
            " steps, warmup over the first 30 steps",
        ),
        (
            {
                "num_train_steps": 939,
                "name": "warmup_stable_decay",
                "decay_steps": 187,
                "warmup_steps": 47,
            },
            "Adam, constant rate 5e-05 over 939 steps, the last 187 cosine decay to 0,"
            " warmup over the first 47 steps",
        ),
    ],
)
def test_the_schedule_is_one_sentence(schedule: dict[str, Any], sentence: str) -> None:
    assert describe(config_of(**schedule)) == sentence


@pytest.mark.parametrize(
    ("config", "name"),
    [
        ({"name": "adamw", "weight_decay": 0.1}, "AdamW"),
        ({"name": "sgd"}, "SGD"),
        ({"name": "sgd", "momentum": 0.9}, "SGD with momentum 0.9"),
        ({"name": "lion"}, "Lion"),
    ],
)
def test_the_optimizer_is_named_first(config: dict[str, Any], name: str) -> None:
    described = describe(OptimizerConfig(**config, schedule=Schedule(num_train_steps=9)))
    assert described.startswith(f"{name}, polynomial decay")


@pytest.mark.parametrize(
    ("schedule", "marked"),
    [
        ({"name": "constant"}, {}),
        ({"name": "cosine", "warmup_steps": 9}, {9: "warmup ends"}),
        (
            {"name": "cosine_with_restarts", "num_cycles": 2, "warmup_steps": 9},
            {9: "warmup ends", 55: "restart"},
        ),
        ({"name": "cosine_with_restarts", "num_cycles": 3}, {}),
        (
            {"name": "piecewise_constant", "boundaries": ((50, 1e-5), (80, 0.0))},
            {50: "next rate", 80: "next rate"},
        ),
        ({"name": "warmup_stable_decay", "decay_steps": 20}, {80: "decay begins"}),
        (
            {"name": "warmup_stable_decay", "decay_steps": 80, "warmup_steps": 20},
            {20: "warmup ends, decay begins"},
        ),
    ],
    ids=str,
)
def test_the_turns_of_a_curve_are_where_it_turns(
    schedule: dict[str, Any], marked: dict[int, str]
) -> None:
    config = Schedule(num_train_steps=100, **schedule)
    assert milestones(config) == marked
    rates = learning_rates(config)
    for step, name in marked.items():
        if name == "restart":
            assert rates[step] > rates[step - 1]
        elif name == "next rate":
            assert rates[step] < rates[step - 1] == rates[step - 2]
        elif name == "decay begins":
            assert rates[step + 1] < rates[step] == rates[step - 1]


def test_the_settings_are_those_that_have_an_effect() -> None:
    config = OptimizerConfig(
        name="sgd",
        momentum=0.9,
        schedule=Schedule(num_train_steps=939, name="warmup_stable_decay", decay_steps=187),
    )
    assert curve_settings(config) == [
        ("optimizer", "sgd"),
        ("lr_scheduler_type", "warmup_stable_decay"),
        ("learning_rate", "5e-05"),
        ("end_learning_rate", "0"),
        ("decay_ratio", "187 steps"),
        ("warmup_steps", "0"),
        ("num_train_steps", "939"),
        ("momentum", "0.9"),
        ("max_grad_norm", "off"),
    ]


def test_a_million_updates_are_drawn_from_few_points_without_losing_the_marked_ones() -> None:
    total, warmup = 1_000_000, 12_345
    rates = np.concatenate([np.arange(warmup) / warmup, np.linspace(1, 0, total + 1 - warmup)])
    chart = curve_chart("rate", rates, {warmup: "warmup ends"}, total)
    (line,) = chart["tooltips"]
    assert len(line["x"]) <= 2000
    assert {0, warmup, total - 1, total} <= set(line["step"])
    assert [note["note"].detail for note in chart["notes"]] == [
        "step 0", "step 12,345", "step 999,999",
    ]  # fmt: skip
    rendered = render_curve(config_of(num_train_steps=total, warmup_steps=warmup), rates)
    assert len(rendered) < 200_000


def test_the_read_out_holds_the_rates_themselves() -> None:
    config = config_of(num_train_steps=50, warmup_steps=5)
    rates = learning_rates(config.schedule)
    found = re.search(r"data-chart='([^']*)'", render_curve(config, rates))
    assert found
    (line,) = json.loads(found[1])
    assert line["step"] == list(range(51))
    assert line["text"] == [f"{rate:.3g}" for rate in rates]
    assert line["x"] == sorted(line["x"])


def test_a_run_that_stopped_early_has_no_rate_after_the_last() -> None:
    chart = curve_chart("rate", np.linspace(1, 0.5, 50), {}, 100)
    assert chart["notes"][-1]["note"].caption == "last applied"
    assert chart["notes"][-1]["note"].detail == "step 49"


def test_the_number_of_rates_must_fit_the_schedule() -> None:
    with pytest.raises(ValueError, match=r"expected 11 rates, found an array of shape \(10,\)"):
        render_curve(config_of(num_train_steps=10), np.ones(10))


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 20_000), st.integers(50, 2000))
def test_thinning_keeps_ends_extremes_and_requested_points(
    seed: int, count: int, limit: int
) -> None:
    values = np.random.default_rng(seed).normal(size=count)
    keep = [count // 3, count // 2]
    chosen = thin(values, keep=keep, limit=limit)
    assert len(chosen) <= max(limit, 1)
    assert (np.diff(chosen) > 0).all()
    wanted = {0, count - 1, *keep, int(values.argmin()), int(values.argmax())}
    assert wanted <= set(chosen.tolist())


@settings(max_examples=100, deadline=None)
@given(st.floats(1e-9, 1e9), st.integers(2, 8))
def test_ticks_are_few_evenly_spaced_and_inside(high: float, about: int) -> None:
    found = ticks(0, high, about)
    assert 2 <= len(found) <= about + 1
    assert found[0] == 0 and found[-1] <= high * (1 + 1e-6)
    assert np.allclose(np.diff(found), found[1])
