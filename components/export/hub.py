"""Upload to the Hugging Face Hub."""

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
from kfp_finetune.components.storage import hub_client
from kfp_finetune.components.storage.hub_client import why_not_reached

TOKEN = "HF_TOKEN"  # noqa: S105 - its name
_EXPECTED = "a repository that the token may write to"
# The meaning of the Hub's answers by HTTP status, and the remedy.
_REFUSALS = {
    401: ("the Hub rejects the token", "create a token at {endpoint}/settings/tokens"),
    403: ("the token has no write access", "give it the role `write`, or name another owner"),
    404: ("the Hub has no such owner", "check the spelling, or use your own name"),
}


def check(hub_id: str) -> None:
    """Check the id, the token and access to the Hub before anything is uploaded.

    Raises:
        InputError: If the id is not valid, there is no token, or access to the Hub is switched off.
    """
    try:
        validate_repo_id(hub_id)
        valid = "/" in hub_id
    except errors.HFValidationError:
        valid = False
    if not valid:
        raise InputError(
            f"'{hub_id}' is not a valid model id",
            where="HUB_ID",
            expected="owner/name: letters, digits, '-', '_' and '.'",
            remedy="kfp-finetune push RUN your-name/a-name",
        )
    if constants.HF_HUB_OFFLINE:
        raise InputError(
            "access to the Hub is switched off by HF_HUB_OFFLINE",
            where="the environment",
            expected="a connection to the Hub",
            remedy="unset HF_HUB_OFFLINE",
        )
    if not os.environ.get(TOKEN):
        raise InputError(
            "there is no token for the Hub",
            where=f"the environment variable {TOKEN}",
            expected="a token with write access; it is read only from this variable",
            remedy=f"create a token at {constants.ENDPOINT}/settings/tokens",
        )


def upload(folder: Path, hub_id: str, *, private: bool) -> str:
    """Upload a folder in one commit; a missing repository is created.

    Args:
        folder: The folder.
        hub_id: "owner/name".
        private: Whether a new repository is private.

    Returns:
        The URL of the model.

    Raises:
        InputError: If the Hub refuses the upload or cannot be reached.
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
            commit_message="Upload a model fine-tuned with kfp-finetune",
        )
    except hub_client.errors() as error:
        status = getattr(getattr(error, "response", None), "status_code", 0)
        found, remedy = _REFUSALS.get(status, (why_not_reached(error), "try again"))
        raise InputError(
            f"the upload failed: {found}",
            where=hub_id,
            expected=_EXPECTED,
            remedy=remedy.format(endpoint=constants.ENDPOINT),
        ) from None
    return f"{constants.ENDPOINT}/{hub_id}"
