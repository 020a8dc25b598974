"""Uploading to the Hugging Face Hub."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from huggingface_hub import HfApi, constants, errors
from huggingface_hub.utils import (  # type: ignore[attr-defined]
    disable_progress_bars,
    validate_repo_id,
)

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.readers import hub_client
from kfp_finetune.components.load_data.readers.hub import why_not_reached

TOKEN = "HF_TOKEN"  # noqa: S105 - its name
_EXPECTED = "a repository that the token may write to"
# What the Hub's answers mean here, by HTTP status, and what to do.
_REFUSALS = {
    401: ("the Hub does not know the token", "make one at {endpoint}/settings/tokens"),
    403: ("the token may not write there", "give it the role `write`, or give another owner"),
    404: ("the Hub has no such owner", "check the spelling, or give your own name"),
}


def check(hub_id: str) -> None:
    """Check what can be checked before anything is uploaded.

    Raises:
        InputError: If it is no id, there is no token, or the Hub is switched off.
    """
    try:
        validate_repo_id(hub_id)
        valid = "/" in hub_id
    except errors.HFValidationError:
        valid = False
    if not valid:
        raise InputError(
            f"'{hub_id}' is no id of a model on the Hub",
            where="HUB_ID",
            expected="owner/name: letters, digits, '-', '_' and '.'",
            remedy="kfp-finetune push RUN your-name/a-name",
        )
    if constants.HF_HUB_OFFLINE:
        raise InputError(
            "the Hub is switched off by HF_HUB_OFFLINE",
            where="the environment",
            expected="a connection to the Hub",
            remedy="unset HF_HUB_OFFLINE",
        )
    if not os.environ.get(TOKEN):
        raise InputError(
            "there is no token for the Hub",
            where=f"the environment variable {TOKEN}",
            expected="a token that may write; it is read from there and nowhere else",
            remedy=f"make one at {constants.ENDPOINT}/settings/tokens",
        )


def upload(folder: Path, hub_id: str, *, private: bool) -> str:
    """Upload a folder in one commit; the repository is made if it is not there.

    Args:
        folder: What is uploaded.
        hub_id: "owner/name".
        private: Whether a repository that has to be made is private.

    Returns:
        The model's address.

    Raises:
        InputError: If the Hub refuses it or cannot be reached.
    """
    if not sys.stderr.isatty():
        disable_progress_bars()
    hub_client.prepare()
    hub = HfApi(token=os.environ[TOKEN], library_name="kfp-finetune")
    try:
        hub.create_repo(hub_id, private=private or None, exist_ok=True)
        hub.upload_folder(
            folder_path=folder,
            repo_id=hub_id,
            commit_message="Upload a model that kfp-finetune trained",
        )
    except hub_client.errors() as error:
        status = getattr(getattr(error, "response", None), "status_code", 0)
        found, remedy = _REFUSALS.get(status, (why_not_reached(error), "try again"))
        raise InputError(
            f"the model cannot be uploaded: {found}",
            where=hub_id,
            expected=_EXPECTED,
            remedy=remedy.format(endpoint=constants.ENDPOINT),
        ) from None
    return f"{constants.ENDPOINT}/{hub_id}"
