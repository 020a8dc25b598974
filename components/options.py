"""How a reader gives a parameter: as an option of the command line, or in Kubeflow's form."""

from __future__ import annotations

import os
import re

_OPTION = re.compile(r"(?<![\w-])--(no-)?([a-z][a-z0-9]*(?:-[a-z0-9]+)*)")


def on_cluster() -> bool:
    """Whether this is a pod of Kubeflow Pipelines."""
    return "KFP_POD_NAME" in os.environ  # set by KFP's driver in every pod


def as_given(text: str) -> str:
    """A text with its options as the reader gives them.

    On a cluster, --num-train-epochs becomes num_train_epochs, which is its name in the form.

    Args:
        text: A sentence with options of the command line.
    """
    if not on_cluster():
        return text
    return _OPTION.sub(lambda m: m[2].replace("-", "_") + (" = false" if m[1] else ""), text)
