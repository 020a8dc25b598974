"""The parameter `class_weights`: none, balanced, or a weight for some labels by name.

Nothing here needs numpy or TensorFlow, so that the light client checks it, too.
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Sequence

from kfp_finetune.components.errors import InputError

NONE, BALANCED = "none", "balanced"
_EXPECTED = f"{NONE}, {BALANCED}, or weights by label name"
_REMEDY = "--class-weights spam=5,ham=1, or as JSON: --class-weights '{\"spam\": 5}'"


def named_weights(class_weights: str) -> dict[str, float]:
    """The weights that are given by label name; empty for none and balanced.

    Args:
        class_weights: "none", "balanced", `name=weight` pairs with commas between them, or a JSON
            object. Names with a comma need JSON.

    Raises:
        InputError: If it is none of these, or a weight is not a positive number.
    """
    if class_weights in (NONE, BALANCED):
        return {}
    pairs = _pairs(class_weights)
    if not pairs:
        raise InputError(
            f"unknown class_weights '{class_weights}'",
            where="class_weights",
            expected=_EXPECTED,
            remedy="--class-weights balanced, or " + _REMEDY.removeprefix("--class-weights "),
        )
    weights = {name: _number(weight) for name, weight in pairs}
    wrong = [name for name, weight in weights.items() if weight is None]
    if wrong or len(weights) < len(pairs):
        names = [name for name, _ in pairs]
        found = wrong[0] if wrong else next(name for name in names if names.count(name) > 1)
        raise InputError(
            f"the weight of label '{found}' is "
            + ("not a positive number" if wrong else "given twice"),
            where=f"class_weights: {class_weights}",
            expected="one positive number for every label that is named",
            remedy=_REMEDY,
        )
    return {name: weight for name, weight in weights.items() if weight is not None}


def check_names(class_weights: str, label_names: Sequence[str]) -> None:
    """Check that the named labels are labels of the data.

    Args:
        class_weights: As `named_weights` takes it.
        label_names: The labels of the data.

    Raises:
        InputError: If a name is not a label.
    """
    unknown = [name for name in named_weights(class_weights) if name not in label_names]
    if not unknown:
        return
    near = difflib.get_close_matches(unknown[0], label_names, n=1)
    raise InputError(
        "class_weights has unknown labels: " + ", ".join(map(repr, unknown[:5])),
        where=f"class_weights: {class_weights}",
        expected="labels of the data: " + ", ".join(map(repr, label_names[:10])),
        remedy=f"replace {unknown[0]!r} with {near[0]!r}" if near else f"omit {unknown[0]!r}",
    )


def _pairs(text: str) -> list[tuple[str, object]]:
    """Names and weights as they are written; empty if the text has neither form."""
    if text.lstrip().startswith("{"):
        try:
            found: list[tuple[str, object]] = json.loads(text, object_pairs_hook=list)
        except ValueError:
            return []
        return found
    parts = [part.rpartition("=") for part in text.split(",")]
    if not all(name.strip() and equals for name, equals, _ in parts):
        return []
    return [(name.strip(), weight.strip()) for name, _, weight in parts]


def _number(weight: object) -> float | None:
    if isinstance(weight, bool) or not isinstance(weight, str | int | float):
        return None
    try:
        number = float(weight)
    except ValueError:
        return None
    return number if number > 0 and math.isfinite(number) else None
