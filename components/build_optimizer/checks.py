"""Checks of the parameters of build_optimizer; each returns everything that is wrong."""

from __future__ import annotations

import difflib
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, cast

from annotated_types import Ge, Gt, Lt
from pydantic.fields import FieldInfo

from kfp_finetune.components.artifacts.optimizer_config import (
    OPTIMIZERS,
    SCHEDULES,
    OptimizerConfig,
    Schedule,
)
from kfp_finetune.components.errors import InputError

# The parameters that are fields of the config, which declares their limits.
FIELDS: dict[str, FieldInfo] = {
    name: info
    for model in (Schedule, OptimizerConfig)
    for name, info in model.model_fields.items()
    if name
    not in {
        *("schema_version", "name", "schedule", "parameters"),
        *("num_train_steps", "decay_steps", "boundaries"),
    }
}
# The schedules or optimizers that use a parameter; a parameter that is not listed is always used.
USED_BY: dict[str, tuple[str, ...]] = {
    name: tuple(cast("list[str]", info.json_schema_extra["used_by"]))
    for name, info in FIELDS.items()
    if isinstance(info.json_schema_extra, dict)
} | {"decay_ratio": ("warmup_stable_decay",), "lr_boundaries": ("piecewise_constant",)}

# The parameters that shape a schedule of a given peak.
SCHEDULE_PARAMETERS = (
    *(name for name, users in USED_BY.items() if users[0] in SCHEDULES),
    *("warmup_ratio", "warmup_steps"),
)

# Transformers' names for combinations of parameters here.
_OTHER_NAMES = {
    "constant_with_warmup": "--lr-scheduler-type constant --warmup-ratio 0.1",
    "cosine_with_min_lr": "--lr-scheduler-type cosine --end-learning-rate 1e-6",
    "cosine_warmup_with_min_lr": "--lr-scheduler-type cosine --end-learning-rate 1e-6"
    " --warmup-ratio 0.1",
}


_LARGEST = 3.4e38  # of float32, in which updates are computed
# Limits of parameters that are no fields of the config, and their description.
_SHARES: dict[str, tuple[Callable[[float], bool], str]] = {
    "num_train_steps": (lambda v: v >= 1, "at least 1 step"),
    "warmup_ratio": (lambda v: 0 <= v < 1, "a share of the steps, at least 0 and below 1"),
    "decay_ratio": (lambda v: 0 < v <= 1, "a share of the steps, above 0 and at most 1"),
}
# Remedies other than to omit the parameter.
_REMEDIES = {
    "num_train_steps": "give the num_train_steps that count_steps returned",
    "learning_rate": "--learning-rate 5e-5",
    "end_learning_rate": "--end-learning-rate 0",
    "warmup_ratio": "--warmup-ratio 0.1",
    "momentum": "--momentum 0.9",
    "weight_decay": "--weight-decay 0.01",
}


def check_parameters(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> list[InputError]:
    """Find everything that is wrong independently of the length of the run.

    Args:
        values: Every parameter, and `num_train_steps`.
        defaults: The defaults; a parameter at its default counts as not given.
    """
    unused = _unused(values, defaults)
    reported = {problem.where for problem in unused}
    wrong = [p for p in (*_wrong(values), *_wrong_together(values)) if p.where not in reported]
    return [*_unknown_names(values), *wrong, *unused]


def _unknown_names(values: Mapping[str, Any]) -> list[InputError]:
    problems = []
    for parameter, known, default in (
        ("lr_scheduler_type", SCHEDULES, "polynomial"),
        ("optimizer", OPTIMIZERS, "adam"),
    ):
        given = values[parameter]
        if given not in known:
            near = difflib.get_close_matches(given.lower(), known, n=1) or [default]
            problems.append(
                InputError(
                    f"unknown {parameter} '{given}'",
                    where=parameter,
                    expected="one of " + ", ".join(known),
                    remedy=_OTHER_NAMES.get(given, f"{_flag(parameter)} {near[0]}"),
                )
            )
    return problems


def _wrong(values: Mapping[str, Any]) -> list[InputError]:
    limits = {name: _limits(name, info) for name, info in FIELDS.items()} | _SHARES
    return [
        InputError(
            f"{name} is {_text(values[name])}",
            where=name,
            expected=expected,
            remedy=_REMEDIES.get(name, f"omit {_flag(name)}"),
        )
        for name, (is_right, expected) in limits.items()
        if values[name] is not None and not is_right(values[name])
    ]


def _limits(name: str, info: FieldInfo) -> tuple[Callable[[float], bool], str]:
    """The limits of a field as a check and as text."""
    tests: list[Callable[[float], bool]] = [lambda v: v <= _LARGEST]
    words = []
    for limit in info.metadata:
        if isinstance(limit, Gt):
            tests.append(partial(operator.lt, limit.gt))
            words.append(f"above {limit.gt}")
        elif isinstance(limit, Ge):
            tests.append(partial(operator.le, limit.ge))
            words.append(f"of at least {limit.ge}")
        elif isinstance(limit, Lt):
            tests.append(partial(operator.gt, limit.lt))
            words.append(f"below {limit.lt}")
    text = ("a whole number " if info.annotation is int else "a number ") + " and ".join(words)
    if name == "learning_rate":
        text += "; 1e-5 to 1e-4 suits pretrained models"
    return lambda value: all(test(value) for test in tests), text


def _wrong_together(values: Mapping[str, Any]) -> list[InputError]:
    problems = []
    peak, end = values["learning_rate"], values["end_learning_rate"]
    if 0 < peak < end:
        problems.append(
            InputError(
                f"end_learning_rate {end:g} is above learning_rate {peak:g}",
                where="end_learning_rate",
                expected="a rate between 0 and learning_rate",
                remedy="--end-learning-rate 0",
            )
        )
    if values["warmup_ratio"] and values["warmup_steps"]:
        problems.append(
            InputError(
                "both warmup_ratio and warmup_steps are given",
                where="warmup_ratio, warmup_steps",
                expected="one of them",
                remedy="omit one of them",
            )
        )
    if values["lr_scheduler_type"] == "piecewise_constant":
        found = _wrong_boundaries(values["lr_boundaries"], peak)
        if found:
            problems.append(
                InputError(
                    found,
                    where="lr_boundaries",
                    expected="share:rate,... with increasing shares of the steps between 0 and 1,"
                    " and rates from 0 to learning_rate",
                    remedy="for example --lr-boundaries 0.5:1e-5,0.8:1e-6",
                )
            )
    return problems


def _wrong_boundaries(text: str | None, peak: float) -> str:
    """The problem with lr_boundaries; empty if there is none."""
    if text is None:
        return "piecewise_constant has no lr_boundaries"
    try:
        pairs = read_boundaries(text)
    except ValueError:
        pairs = []
    shares = [0.0, *(share for share, _ in pairs), 1.0]
    if not pairs or not all(a < b for a, b in pairwise(shares)):
        return f"lr_boundaries is '{text}'"
    highest = peak if peak > 0 else math.inf
    rates = [rate for _, rate in pairs if not 0 <= rate <= highest]
    return f"lr_boundaries has a rate of {rates[0]:g}" if rates else ""


def read_boundaries(text: str) -> list[tuple[float, float]]:
    """Read `share:rate,...`.

    Raises:
        ValueError: If the text has another form.
    """
    pairs = [part.split(":") for part in text.split(",") if part.strip()]
    return [(float(share), float(rate)) for share, rate in pairs]


def _unused(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> list[InputError]:
    problems = []
    for name, users in USED_BY.items():
        chooser, known = (
            ("lr_scheduler_type", SCHEDULES) if users[0] in SCHEDULES else ("optimizer", OPTIMIZERS)
        )
        chosen = values[chooser]
        if values[name] == defaults[name] or chosen in users or chosen not in known:
            continue
        problems.append(
            InputError(
                f"{name} is {_text(values[name])}, but {chosen} does not use it",
                where=name,
                expected=f"the {chooser} that uses it: {' or '.join(users)}",
                remedy=f"omit {_flag(name)}, or {_flag(chooser)} {users[0]}",
            )
        )
    return problems


def check_lengths(
    values: Mapping[str, Any], warmup: int, decay: int, starts: Sequence[int]
) -> list[InputError]:
    """Check that the parts of the schedule fit into the run.

    Args:
        values: Parameters that are valid by themselves.
        warmup: Number of warmup steps.
        decay: Number of steps in the decay of warmup_stable_decay.
        starts: First step of every piece of piecewise_constant but the first.
    """
    total = values["num_train_steps"]
    cycles = values["num_cycles"] if values["lr_scheduler_type"] == "cosine_with_restarts" else 1
    if warmup >= total:
        return [
            InputError(
                f"warmup takes {warmup:,} of {total:,} steps",
                where="warmup_steps, warmup_ratio",
                expected="a warmup shorter than the run",
                remedy="a shorter warmup such as --warmup-ratio 0.1, or more epochs",
            )
        ]
    if warmup + decay > total:
        return [
            InputError(
                f"warmup takes {warmup:,} and the decay {decay:,} of {total:,} steps",
                where="warmup_steps, warmup_ratio, decay_ratio",
                expected="both together no longer than the run",
                remedy="a shorter warmup, or a smaller --decay-ratio",
            )
        ]
    if cycles > total - warmup:
        return [
            InputError(
                f"num_cycles is {cycles:,}, but only {total - warmup:,} steps follow the warmup",
                where="num_cycles",
                expected="at least one step per cycle",
                remedy="a smaller --num-cycles, or more epochs",
            )
        ]
    if starts and starts[0] <= warmup:
        return [
            InputError(
                f"warmup takes {warmup:,} steps, but the first boundary is at step {starts[0]:,}",
                where="lr_boundaries, warmup_steps, warmup_ratio",
                expected="a first boundary after the warmup",
                remedy="a shorter warmup, or later boundaries",
            )
        ]
    return []


def _flag(parameter: str) -> str:
    return "--" + parameter.replace("_", "-")


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else f"{value}"
