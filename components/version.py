"""The installed version, and whether the client that compiled a step has the same.

A compiled step carries its client's version in an environment variable, which is no part of KFP's
cache key (the image, whose tag is the version, is). The step holds it against its own.
"""

from __future__ import annotations

import os
from importlib.metadata import version

from kfp_finetune.components.errors import InputError

VERSION = version("kfp-finetune")
# Raised when an artifact's format changes: steps of another number can neither read what this
# version writes, nor it theirs.
FORMATS = 1
CLIENT_VARIABLE = "KFP_FINETUNE_CLIENT"
CLIENT = f"{VERSION} formats={FORMATS}"


def difference_from_client() -> str:
    """A sentence if the step was compiled by another version; empty if not, or if unknown.

    Raises:
        InputError: If that version has other formats of artifacts.
    """
    client, _, formats = os.environ.get(CLIENT_VARIABLE, CLIENT).partition(" formats=")
    if client == VERSION and formats == str(FORMATS):
        return ""
    found = f"this image has kfp-finetune {VERSION}, and the pipeline was compiled by {client}"
    if formats != str(FORMATS):
        raise InputError(
            f"{found}; their artifacts have different formats",
            where="the image of this step",
            expected=f"an image of kfp-finetune {client}",
            remedy=f"kfp-finetune submit --image REGISTRY/kfp-finetune:{client}",
        )
    return found
