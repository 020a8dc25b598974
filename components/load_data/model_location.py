"""Where a pretrained model comes from: a folder on this disk or in a store, or the Hub."""

from __future__ import annotations

import os
from pathlib import Path

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.readers import hub_client, remote_folders
from kfp_finetune.components.load_data.readers.files import expand
from kfp_finetune.components.load_data.readers.hub import why_not_reached
from kfp_finetune.components.model_folder.tokenizer_files import TOKENIZER_FILES
from kfp_finetune.components.uris import is_uri

_SAFETENSORS = ("model.safetensors", "model.safetensors.index.json", "model-*.safetensors")
_WEIGHTS = (".safetensors", ".h5", ".bin", ".msgpack", ".onnx", ".pt", ".ot")


def resolve(model: str, revision: str | None, *, weights: bool) -> Path:
    """Find a model's folder, downloading what is needed of it if it is on the Hub.

    Args:
        model: A local folder, a folder behind s3:// or gs://, or a Hub id such as
            "google-bert/bert-base-uncased".
        revision: The Hub's branch, tag or commit; None: the default branch.
        weights: Whether the weights are wanted too, or only configuration and tokenizer.

    Returns:
        The folder.

    Raises:
        InputError: If there is no such folder, or the Hub cannot be reached or does not have it.
    """
    if is_uri(model):
        return remote_folders.fetch(model, () if weights else _WEIGHTS)
    path = expand(model)
    if model.strip() and path.is_dir():
        if revision:
            raise InputError(
                "a local folder has no revisions",
                where=f"model: {model}, revision: {revision}",
                expected="a revision with a Hub id only",
                remedy="leave the revision out, or give a Hub id that is not also a folder here",
            )
        return path
    if path.is_file():
        raise InputError(
            "the model is a file, not a folder",
            where=f"model: {model}",
            expected="the folder that holds config.json, the tokenizer's files and the weights",
            remedy=f"--model {path.parent}",
        )
    separators = {os.sep, os.altsep or os.sep}
    if not model.strip() or model[0] in {".", "~", *separators} or model[-1] in separators:
        raise InputError(
            "there is no such folder",
            where=f"model: {model}",
            expected="a local folder, or a Hub id such as google-bert/bert-base-uncased",
            remedy=f"check the path; it was looked for in {Path.cwd()}",
        )
    return _download(model, revision, _SAFETENSORS if weights else ())


def _download(model: str, revision: str | None, weights: tuple[str, ...]) -> Path:
    """Fetch the configuration, the tokenizer and these weights from the Hub, or from its cache."""
    from huggingface_hub import constants, errors, snapshot_download

    hub_client.prepare()
    patterns = ["config.json", *TOKENIZER_FILES, *weights]
    where = f"model: {model}" + (f", revision: {revision}" if revision else "")
    try:
        return Path(snapshot_download(model, revision=revision or None, allow_patterns=patterns))
    except errors.HFValidationError:
        found = "there is no such folder, and it is not a Hub id"
        expected = "a local folder, or a Hub id such as google-bert/bert-base-uncased"
        remedy = f"check the path; it was looked for in {Path.cwd()}"
    except errors.GatedRepoError:
        found = "the Hub gives this model only to those who accepted its terms"
        expected = "a model that may be downloaded"
        remedy = f"accept the terms at {constants.ENDPOINT}/{model} and set HF_TOKEN"
    except errors.RevisionNotFoundError:
        found = "the Hub has this model, but not this revision"
        expected = "a branch, a tag or a commit"
        remedy = f"see {constants.ENDPOINT}/{model}/commits"
    except errors.RepositoryNotFoundError:
        found = "there is no such folder, and the Hub has no such model (or it is private)"
        expected = "a local folder, or a Hub id such as google-bert/bert-base-uncased"
        remedy = "check the spelling; for a private model set HF_TOKEN"
    except hub_client.errors() as error:
        reason = why_not_reached(error)
        found = f"there is no such folder, and the model cannot be downloaded: {reason}"
        expected = "a local folder, a model in the Hub's cache, or a connection to the Hub"
        remedy = "unset HF_HUB_OFFLINE, or " if constants.HF_HUB_OFFLINE else "try again, or "
        remedy += f"download it elsewhere with `hf download {model}` and give the folder"
    raise InputError(found, where=where, expected=expected, remedy=remedy)
