"""Convert the values that mean "not given" in KFP.

KFP's form sends "" for a text field that was edited and cleared, and its driver cannot pass a
parameter without a value into a loop. So every parameter except the data and the model has a
default, and two kinds of values mean "not given": an empty text, and 0 for the numbers listed here.
Components convert them here; all other modules use None and their own defaults. The steps choose
their own values for `CHOSEN`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kfp_finetune.components.chosen import CHOSEN
from kfp_finetune.components.errors import InputError

# Numbers for which 0 means "not given". For other numbers 0 is an ordinary value.
ZERO_IS_NOT_GIVEN = frozenset(
    {
        "max_train_samples",
        "max_steps",
        "max_grad_norm",
        "early_stopping_patience",
        "checkpoint_every_steps",
        *CHOSEN,
    }
)
_REQUIRED = {
    "dataset": "a file, a folder, a pattern such as data/*.csv, a URI, or a Hub id",
    "model": "a folder or a Hub id",
    "base_model": "a folder or a Hub id",
}


def is_given(name: str, value: Any) -> bool:
    """Return True if a parameter has a value.

    Args:
        name: The parameter's name.
        value: The value that KFP passes.
    """
    if value is None or value == "":
        return False
    return name not in ZERO_IS_NOT_GIVEN or value != 0


def left_to_choose(parameters: Mapping[str, Any]) -> list[str]:
    """The parameters that the steps of a run choose, because they are not given.

    Args:
        parameters: The run's parameters, by name.
    """
    names = [name for name in CHOSEN if not is_given(name, parameters.get(name))]
    if is_given("max_steps", parameters.get("max_steps")):
        names = [name for name in names if name != "num_train_epochs"]
    return names


def given(**parameters: Any) -> dict[str, Any]:
    """The parameters that have a value; the defaults apply to the others.

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
