"""The location of a pretrained model: a folder on this disk or in a bucket, or the Hub."""

from __future__ import annotations

import os
from fnmatch import fnmatch
from pathlib import Path

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.model_folder.tokenizer_files import TOKENIZER_FILES
from kfp_finetune.components.model_folder.weight_files import refuse_other_formats
from kfp_finetune.components.storage import hub_client
from kfp_finetune.components.storage.downloads import Wanted, fetch
from kfp_finetune.components.storage.files import expand
from kfp_finetune.components.storage.hub_client import why_not_reached
from kfp_finetune.components.storage.schemes import BUCKETS, scheme_of
from kfp_finetune.components.storage.uris import is_uri, without_secrets

_SAFETENSORS = ("model.safetensors", "model.safetensors.index.json", "model-*.safetensors")
_WEIGHTS = (".safetensors", ".h5", ".bin", ".msgpack", ".onnx", ".pt", ".ot")
ALL = Wanted(lambda path: True, "file")
_NO_WEIGHTS = Wanted(lambda path: not path.endswith(_WEIGHTS), "file")


def resolve(model: str, revision: str | None, *, weights: bool) -> Path:
    """Find a model's folder, and download the files that are needed if it is not on this disk.

    Args:
        model: A local folder, a folder behind s3:// or gs://, or a Hub id such as
            "google-bert/bert-base-uncased".
        revision: A branch, tag or commit on the Hub; None for the default branch.
        weights: True if the weights are needed, not only the configuration and the tokenizer.

    Returns:
        The folder.

    Raises:
        InputError: If there is no such folder, or the Hub cannot be reached or does not have it.
    """
    if is_uri(model):
        return _fetch(model, ALL if weights else _NO_WEIGHTS)
    path = expand(model)
    if model.strip() and path.is_dir():
        if revision:
            raise InputError(
                "a local folder has no revisions",
                where=f"model: {model}, revision: {revision}",
                expected="a revision with a Hub id only",
                remedy="omit --model-revision, or give a Hub id that is not also a local folder",
            )
        return path
    if path.is_file():
        raise InputError(
            "the model is a file, not a folder",
            where=f"model: {model}",
            expected="the folder with config.json, the tokenizer's files and the weights",
            remedy=f"--model {path.parent}",
        )
    separators = {os.sep, os.altsep or os.sep}
    if not model.strip() or model[0] in {".", "~", *separators} or model[-1] in separators:
        raise InputError(
            "there is no such folder",
            where=f"model: {model}",
            expected="a local folder, or a Hub id such as google-bert/bert-base-uncased",
            remedy=f"check the path, which is relative to {Path.cwd()}",
        )
    return _download(model, revision, _SAFETENSORS if weights else ())


def _fetch(uri: str, wanted: Wanted) -> Path:
    """Download a model's folder from a bucket."""
    download = None
    if scheme_of(uri) in BUCKETS:
        download = fetch(uri.rstrip("/"), wanted).path
    if download is None or not download.is_dir():
        raise InputError(
            "a model is read from a folder in a bucket, a local folder, or the Hub",
            where=f"model: {without_secrets(uri)}",
            expected="s3://BUCKET/FOLDER or gs://BUCKET/FOLDER",
            remedy="download the model, and give its local folder",
        )
    return download


def _download(model: str, revision: str | None, weights: tuple[str, ...]) -> Path:
    """Fetch the configuration, the tokenizer and these weights from the Hub, or from its cache."""
    from huggingface_hub import constants, errors, snapshot_download

    hub_client.prepare()
    patterns = ["config.json", *TOKENIZER_FILES, *weights]
    where = f"model: {model}" + (f", revision: {revision}" if revision else "")
    try:
        folder = Path(snapshot_download(model, revision=revision or None, allow_patterns=patterns))
        _check_format(model, revision, folder)
        return folder
    except errors.HFValidationError:
        found = "there is no such folder, and it is not a Hub id"
        expected = "a local folder, or a Hub id such as google-bert/bert-base-uncased"
        remedy = f"check the path; it was looked for in {Path.cwd()}"
    except errors.GatedRepoError:
        found = "the Hub provides this model only to users who accepted its terms"
        expected = "a model that you have access to"
        remedy = f"accept the terms at {constants.ENDPOINT}/{model} and set HF_TOKEN"
    except errors.RevisionNotFoundError:
        found = "the Hub has this model but not this revision"
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
        remedy += f"run `hf download {model}` on another machine and copy the folder"
    raise InputError(found, where=where, expected=expected, remedy=remedy)


def _check_format(model: str, revision: str | None, folder: Path) -> None:
    """Refuse a repository without safetensors now rather than when training starts."""
    from huggingface_hub import HfApi

    try:
        files = HfApi().list_repo_files(model, revision=revision or None)
    except hub_client.errors():
        return  # the files came from the cache; training checks the weights themselves
    names = [name for name in files if "/" not in name]
    if not any(fnmatch(name, pattern) for name in names for pattern in _SAFETENSORS):
        refuse_other_formats(names, folder, model)
