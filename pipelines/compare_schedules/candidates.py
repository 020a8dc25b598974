"""The candidates of a comparison: settings of the optimizer and its schedule, with a seed.

A candidate is a dictionary with every key of `DEFAULTS`, because a missing key is an error in a
pipeline's loop. Candidates of the same name have the same settings and different seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kfp_finetune.components.build_optimizer.parameters import DEFAULTS as BUILD_OPTIMIZER_DEFAULTS
from kfp_finetune.components.errors import InputError

# These parameters of build_optimizer are the same for all candidates.
_SHARED = (
    *("lr_boundaries", "warmup_steps", "max_grad_norm"),
    *("adam_beta1", "adam_beta2", "adam_epsilon"),
)
# The parameters of build_optimizer that can be compared, with their defaults; `seed` is finetune's,
# for the head's weights, dropout and the order of the rows. A rate of 0 is chosen by the step.
COMPARED = {
    name: default
    for name, default in (BUILD_OPTIMIZER_DEFAULTS | {"learning_rate": 0.0}).items()
    if name not in _SHARED
}
DEFAULTS: dict[str, Any] = {"name": "", **COMPARED, "seed": 42}


def _rate(rate: float) -> str:
    return f"{rate:.0e}".replace("e-0", "e-")


PRESETS: dict[str, list[dict[str, Any]]] = {
    # Adam's default rate, a rate that suits a pretrained model, and the same rate with decay.
    "course": [
        {"name": "constant 1e-3", "learning_rate": 1e-3, "lr_scheduler_type": "constant"},
        {"name": "constant 5e-5", "learning_rate": 5e-5, "lr_scheduler_type": "constant"},
        {"name": "linear 5e-5 → 0", "learning_rate": 5e-5},
    ],
    "shapes": [
        {"name": "linear"},
        {"name": "cosine", "lr_scheduler_type": "cosine"},
        {"name": "polynomial, power 2", "power": 2.0},
        {"name": "linear after 10 % warmup", "warmup_ratio": 0.1},
        {
            "name": "cosine after 10 % warmup",
            "lr_scheduler_type": "cosine",
            "warmup_ratio": 0.1,
        },
    ],
    "rates": [
        {"name": f"linear {_rate(rate)} → 0", "learning_rate": rate, "warmup_ratio": 0.1}
        for rate in (2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3)
    ],
}


def expand(
    candidates: Sequence[Mapping[str, Any]], seeds: Sequence[int] = (), where: str = "candidates"
) -> list[dict[str, Any]]:
    """Complete candidates with every key, one for each seed.

    Args:
        candidates: Dictionaries with some of the keys of `DEFAULTS`.
        seeds: Seeds for each candidate; empty to use each candidate's own seed.
        where: The source of the candidates, for messages.

    Raises:
        InputError: If there is no candidate, one has unknown keys or values of the wrong type, or
            two have the same name and seed.
    """
    problems = [problem for number, c in enumerate(candidates, 1) if (problem := _wrong(number, c))]
    if not candidates:
        problems = ["there are no candidates"]
    if problems:
        raise InputError(
            "; ".join(problems),
            where=where,
            expected="candidates with keys among " + ", ".join(DEFAULTS),
            remedy="--preset course, or in a --config file:"
            " candidates: [{learning_rate: 1e-4}, {learning_rate: 3e-4}]",
        )
    named = [_complete(candidate) for candidate in candidates]
    found = [c | {"seed": seed} for c in named for seed in (seeds or [c["seed"]])]
    seen = [(c["name"], c["seed"]) for c in found]
    if twice := sorted({f"'{n}' with seed {s}" for n, s in seen if seen.count((n, s)) > 1}):
        raise InputError(
            "several candidates are named " + " and ".join(twice),
            where=where,
            expected="candidates that differ in name or seed",
            remedy="give them different names, or remove one",
        )
    return found


def _wrong(number: int, candidate: Any) -> str:
    if not isinstance(candidate, Mapping):
        return f"candidate {number} is {candidate!r}"
    if unknown := [str(key) for key in candidate if key not in DEFAULTS]:
        return f"candidate {number} has {', '.join(unknown)}"
    for key, value in candidate.items():
        kind = type(DEFAULTS[key])
        if isinstance(value, bool) or not isinstance(
            value, (int, float) if kind is float else kind
        ):
            try:  # YAML 1.1 reads 5e-5 as text
                if kind is not float:
                    raise ValueError
                float(value)
            except (TypeError, ValueError):
                return f"candidate {number} has {key}: {value!r}"
    return ""


def _complete(candidate: Mapping[str, Any]) -> dict[str, Any]:
    full = DEFAULTS | {
        key: float(value) if isinstance(DEFAULTS[key], float) else value
        for key, value in candidate.items()
    }
    return full | {"name": full["name"] or _name(full)}


def _name(candidate: Mapping[str, Any]) -> str:
    """A name from the keys that differ from their defaults: "cosine 0.0001, warmup_ratio 0.1"."""
    shape = candidate["lr_scheduler_type"].replace("_", " ")
    if candidate["learning_rate"]:
        shape += f" {candidate['learning_rate']:g}"
    rest = [
        f"{key} {value:g}" if isinstance(value, int | float) else str(value)
        for key, value in candidate.items()
        if key not in ("name", "seed", "lr_scheduler_type", "learning_rate")
        and value != DEFAULTS[key]
    ]
    return ", ".join([shape, *rest])
