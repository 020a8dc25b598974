"""What can be wrong with the parameters of build_optimizer: each check finds all there is."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from kfp_finetune.components.artifacts.optimizer_config import OPTIMIZERS, SCHEDULES
from kfp_finetune.components.errors import InputError

# Who uses a parameter; those that are not listed are used by all.
USED_BY: dict[str, tuple[str, ...]] = {
    "end_learning_rate": (
        "linear",
        "polynomial",
        "cosine",
        "cosine_with_restarts",
        "warmup_stable_decay",
    ),
    "power": ("polynomial",),
    "num_cycles": ("cosine_with_restarts",),
    "decay_rate": ("exponential",),
    "decay_ratio": ("warmup_stable_decay",),
    "lr_boundaries": ("piecewise_constant",),
    "momentum": ("sgd",),
    "weight_decay": ("adamw", "lion"),
    "adam_beta1": ("adam", "adamw"),
    "adam_beta2": ("adam", "adamw"),
    "adam_epsilon": ("adam", "adamw"),
}

# What other names of Transformers' are here.
_OTHER_NAMES = {
    "constant_with_warmup": "--lr-scheduler-type constant --warmup-ratio 0.1",
    "cosine_with_min_lr": "--lr-scheduler-type cosine --end-learning-rate 1e-6",
    "cosine_warmup_with_min_lr": "--lr-scheduler-type cosine --end-learning-rate 1e-6"
    " --warmup-ratio 0.1",
}


_LARGEST = 3.4e38  # float32, which updates are made in


def _positive(value: float) -> bool:
    return 0 < value <= _LARGEST


# When a value is right, what is expected of it, and what to give instead; nothing: leave it out.
_VALUES: dict[str, tuple[Callable[[float], bool], str, str]] = {
    "num_train_steps": (
        lambda v: v >= 1,
        "at least 1 update",
        "give the num_train_steps that count_steps returned",
    ),
    "learning_rate": (
        _positive,
        "a number above 0; 1e-5 to 1e-4 suits pretrained models",
        "--learning-rate 5e-5",
    ),
    "end_learning_rate": (lambda v: v >= 0, "a rate of at least 0", "--end-learning-rate 0"),
    "power": (_positive, "a number above 0", ""),
    "num_cycles": (lambda v: v >= 1, "a whole number of at least 1", ""),
    "decay_rate": (
        _positive,
        "the last rate as a share of the first, above 0; above 1, the rate rises",
        "",
    ),
    "decay_ratio": (lambda v: 0 < v <= 1, "a share of the steps, above 0 and at most 1", ""),
    "warmup_ratio": (
        lambda v: 0 <= v < 1,
        "a share of the steps, at least 0 and below 1",
        "--warmup-ratio 0.1",
    ),
    "warmup_steps": (lambda v: v >= 0, "a whole number of at least 0", ""),
    "momentum": (lambda v: 0 <= v < 1, "a number of at least 0 and below 1", "--momentum 0.9"),
    "weight_decay": (lambda v: 0 <= v <= _LARGEST, "a number of at least 0", "--weight-decay 0.01"),
    "adam_beta1": (lambda v: 0 <= v < 1, "a number of at least 0 and below 1", ""),
    "adam_beta2": (lambda v: 0 <= v < 1, "a number of at least 0 and below 1", ""),
    "adam_epsilon": (_positive, "a number above 0", ""),
    "max_grad_norm": (_positive, "a number above 0", ""),
}


def check_parameters(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> list[InputError]:
    """Find what is wrong whatever the length of the run.

    Args:
        values: Every parameter, and `num_train_steps`.
        defaults: Of the parameters: what is at its default counts as not given.
    """
    unused = _unused(values, defaults)
    told = {problem.where for problem in unused}
    wrong = [p for p in (*_wrong(values), *_wrong_together(values)) if p.where not in told]
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
                    f"{parameter} '{given}' is not known",
                    where=parameter,
                    expected="one of " + ", ".join(known),
                    remedy=_OTHER_NAMES.get(given, f"{_flag(parameter)} {near[0]}"),
                )
            )
    return problems


def _wrong(values: Mapping[str, Any]) -> list[InputError]:
    return [
        InputError(
            f"{name} is {_text(values[name])}",
            where=name,
            expected=expected,
            remedy=remedy or f"omit {_flag(name)}",
        )
        for name, (is_right, expected, remedy) in _VALUES.items()
        if values[name] is not None and not is_right(values[name])
    ]


def _wrong_together(values: Mapping[str, Any]) -> list[InputError]:
    problems = []
    peak, end = values["learning_rate"], values["end_learning_rate"]
    if 0 < peak < end:
        problems.append(
            InputError(
                f"end_learning_rate {end:g} is above learning_rate {peak:g}",
                where="end_learning_rate",
                expected="a rate to decay to, at most the peak",
                remedy="--end-learning-rate 0",
            )
        )
    if values["warmup_ratio"] and values["warmup_steps"]:
        problems.append(
            InputError(
                "both warmup_ratio and warmup_steps are given",
                where="warmup_ratio, warmup_steps",
                expected="one of them",
                remedy="leave one out",
            )
        )
    if values["lr_scheduler_type"] == "piecewise_constant":
        found = _wrong_boundaries(values["lr_boundaries"], peak)
        if found:
            problems.append(
                InputError(
                    found,
                    where="lr_boundaries",
                    expected="share:rate,... with shares of the steps that rise, between 0 and 1,"
                    " and rates from 0 to learning_rate",
                    remedy="such as --lr-boundaries 0.5:1e-5,0.8:1e-6",
                )
            )
    return problems


def _wrong_boundaries(text: str | None, peak: float) -> str:
    """What is wrong with them; empty if nothing is."""
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
        ValueError: If it is written in another way.
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
                f"{name} is {_text(values[name])}, and {chosen} does not use it",
                where=name,
                expected=f"the {chooser} that uses it: {' or '.join(users)}",
                remedy=f"omit {_flag(name)}, or {_flag(chooser)} {users[0]}",
            )
        )
    return problems


def check_lengths(
    values: Mapping[str, Any], warmup: int, decay: int, starts: Sequence[int]
) -> list[InputError]:
    """Whether the parts of the schedule fit the run.

    Args:
        values: Parameters that are right by themselves.
        warmup: Updates of warmup.
        decay: Updates of the decay of warmup_stable_decay.
        starts: First update of every piece of piecewise_constant but the first.
    """
    total = values["num_train_steps"]
    cycles = values["num_cycles"] if values["lr_scheduler_type"] == "cosine_with_restarts" else 1
    if warmup >= total:
        return [
            InputError(
                f"warmup takes {warmup:,} of {total:,} steps",
                where="warmup_steps, warmup_ratio",
                expected="warmup shorter than the run",
                remedy="a shorter warmup, e.g. --warmup-ratio 0.1, or more epochs",
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
                f"num_cycles is {cycles:,}, and {total - warmup:,} steps follow the warmup",
                where="num_cycles",
                expected="at least one step per cycle",
                remedy="a smaller --num-cycles, or more epochs",
            )
        ]
    if starts and starts[0] <= warmup:
        return [
            InputError(
                f"warmup takes {warmup:,} steps, and the first boundary is at step {starts[0]:,}",
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
