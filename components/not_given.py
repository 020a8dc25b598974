"""Parameters that are not given.

KFP's form posts "" for a text that was touched, and its driver cannot pass a parameter without a
value into a loop. So every parameter but the data and the model has a default, and two kinds of
values mean "not given": an empty text, and 0 for the numbers listed here. Components convert them
in this one place; everything behind them knows None and its own defaults.
"""

from __future__ import annotations

from typing import Any

from kfp_finetune.components.errors import InputError

# Numbers whose 0 means "not given". Of other numbers 0 is a value like any other.
ZERO_IS_NOT_GIVEN = frozenset(
    {
        "max_train_samples",
        "max_steps",
        "max_grad_norm",
        "early_stopping_patience",
        "checkpoint_every_steps",
    }
)
_REQUIRED = {
    "dataset": "a file, a folder, a pattern such as data/*.csv, a URI, or a Hub id",
    "model": "a folder or a Hub id",
    "base_model": "a folder or a Hub id",
}


def is_given(name: str, value: Any) -> bool:
    """Whether a parameter has a value.

    Args:
        name: The parameter's name.
        value: Its value, as KFP passes it.
    """
    if value is None or value == "":
        return False
    return name not in ZERO_IS_NOT_GIVEN or value != 0


def given(**parameters: Any) -> dict[str, Any]:
    """The parameters that have a value, to be passed on: a default applies to those left out.

    Args:
        **parameters: A component's parameters, by name.

    Raises:
        InputError: If the data or the model is not given.
    """
    found = {name: value for name, value in parameters.items() if is_given(name, value)}
    if missing := [name for name in _REQUIRED if name in parameters and name not in found]:
        raise InputError(
            "not given: " + ", ".join(missing),
            where=", ".join(missing),
            expected="; ".join(f"{name}: {_REQUIRED[name]}" for name in missing),
            remedy="give " + " and ".join(missing),
        )
    return found
