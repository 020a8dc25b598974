"""Name parameters as the reader gives them: options, fields of a form, or Python arguments."""

from __future__ import annotations

import os
import re

_OPTION = re.compile(r"(?<![\w-])--(no-)?([a-z][a-z0-9]*(?:-[a-z0-9]+)*)")

# An option, and the word after it, which may be its value.
_WITH_VALUE = re.compile(_OPTION.pattern + r"(?:[ =](\w[\w./:-]*))?")
# Words that can follow an option and are not its value.
_NO_VALUES = {
    "and", "file", "for", "if", "in", "is", "lists", "only", "or", "such", "to", "where", "with",
    "without",
}  # fmt: skip


def on_cluster() -> bool:
    """Return True in a pod of Kubeflow Pipelines."""
    return "KFP_POD_NAME" in os.environ  # set by KFP's driver in every pod


def as_given(text: str) -> str:
    """Replace the options in a text by the names that the reader uses.

    On a cluster, --num-train-epochs becomes num_train_epochs, its name in Kubeflow's form.

    Args:
        text: A sentence with options of the command line.
    """
    if not on_cluster():
        return text
    return _OPTION.sub(lambda m: m[2].replace("-", "_") + (" = false" if m[1] else ""), text)


def as_arguments(text: str) -> str:
    """Replace the options in a text by arguments of a Python function: batch_size=8.

    A command at the end of the text is not changed, because it works when pasted into a terminal.

    Args:
        text: A sentence with options of the command line.
    """
    before, command, after = text.partition("kfp-finetune ")
    before = before.replace("the command line", "the call")
    return _WITH_VALUE.sub(_as_argument, before) + command + after


def _as_argument(option: re.Match[str]) -> str:
    negated, name, following = option[1], option[2].replace("-", "_"), option[3]
    if negated:
        name += "=False"
    if following is None:
        return name
    value = following.rstrip(".:,;")
    end = following[len(value) :]
    if negated or value in _NO_VALUES:
        return f"{name} {following}"
    try:
        float(value)
    except ValueError:
        value = repr(value)
    return f"{name}={value}{end}"
