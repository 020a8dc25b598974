"""The installed version, compared with that of the client that compiled a pipeline step.

A compiled step has its client's version in an environment variable, which is not part of KFP's
cache key (the image is, and its tag is the version). The step compares it with its own version.
"""

from __future__ import annotations

import os
from importlib.metadata import version

from kfp_finetune.components.errors import InputError

VERSION = version("kfp-finetune")
# Incremented when an artifact's format changes: steps with different numbers cannot read each
# other's artifacts.
FORMATS = 2
CLIENT_VARIABLE = "KFP_FINETUNE_CLIENT"
CLIENT = f"{VERSION} formats={FORMATS}"


def difference_from_client() -> str:
    """A warning if the step was compiled by another version; "" if not, or if unknown.

    Raises:
        InputError: If the formats of artifacts differ.
    """
    client, _, formats = os.environ.get(CLIENT_VARIABLE, CLIENT).partition(" formats=")
    if client == VERSION and formats == str(FORMATS):
        return ""
    found = f"this image has kfp-finetune {VERSION}, but the pipeline was compiled by {client}"
    if formats != str(FORMATS):
        raise InputError(
            f"{found}; their artifacts have different formats",
            where="the image of this step",
            expected=f"an image of kfp-finetune {client}",
            remedy=f"kfp-finetune submit --image REGISTRY/kfp-finetune:{client}",
        )
    return found
