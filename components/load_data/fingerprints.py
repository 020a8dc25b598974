"""Fingerprints of a run's data and model, which identify the content that a step was computed from.

They are pipeline parameters, so new content behind an old name changes the key in every cache, the
local one and the cluster's. The command line computes them before a run starts, and load_data again
after reading: if the content changed in between, the step fails, and failed steps are not cached.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.model_location import ALL
from kfp_finetune.components.load_data.readers.formats import DATA
from kfp_finetune.components.load_data.readers.locations import is_hub_id
from kfp_finetune.components.model_folder.files import find
from kfp_finetune.components.storage import fingerprints
from kfp_finetune.components.storage.files import expand
from kfp_finetune.components.storage.hub_client import commit_of
from kfp_finetune.components.storage.uris import is_uri, local_path, without_secrets

DATASETS = ("dataset", "validation_dataset", "test_dataset", "label_names")
Kind = Literal["dataset", "model"]
_PATTERN = re.compile(r"[*?\[]")


def of_dataset(parameters: Mapping[str, Any], note: Callable[[str], None] = lambda _: None) -> str:
    """The fingerprint of all data that a run reads.

    Args:
        parameters: The parameters of load_data, by name.
        note: Called with a message before a slow operation.

    Returns:
        A SHA-256; "" if the content cannot be identified (the step that reads it reports why).
    """
    return _of_dataset(parameters, lambda uri: fingerprints.of_uri(uri, DATA, note))


def check_unchanged(parameters: Mapping[str, Any]) -> None:
    """Check that the data that was read still has the run's fingerprint.

    Args:
        parameters: The parameters of load_data; without a `dataset_fingerprint` nothing is checked.

    Raises:
        InputError: If the fingerprint differs, or the data can no longer be identified.
    """
    before = parameters["dataset_fingerprint"]
    if not before:
        return
    now = _of_dataset(parameters, lambda uri: fingerprints.of_uri(uri, DATA, fetched=True))
    if now != before:
        names = [str(parameters[name]) for name in DATASETS if parameters.get(name)]
        raise InputError(
            "the data changed after the run started"
            if now
            else "the data can no longer be read to check whether it changed during the run",
            where=", ".join(map(without_secrets, names)),
            expected="data that does not change while it is read",
            remedy="run again; if the data keeps changing, use a copy of it",
        )


def of_model(parameters: Mapping[str, Any]) -> str:
    """The fingerprint of the base model; "" if its content cannot be identified."""
    revision = parameters.get("model_revision") or "main"
    model = str(parameters.get("model") or "")
    return _of(model, str(revision), "model", lambda uri: fingerprints.of_folder(uri, ALL))


def pinned_revisions(parameters: Mapping[str, Any]) -> dict[str, str]:
    """The commits that Hub ids currently refer to, as the revisions for the steps to read.

    This way the steps read the content that was fingerprinted, even if somebody pushes in between,
    and the run's record has the commit.
    """
    kinds: dict[str, Kind] = {"dataset": "dataset", "model": "model"}
    pinned = {}
    for name, kind in kinds.items():
        source = str(parameters.get(name) or "")
        revision = str(parameters.get(f"{name}_revision") or "main")
        if _is_on_hub(source) and (commit := commit_of(source, revision, kind)):
            pinned[f"{name}_revision"] = commit
    return pinned


def _of_dataset(parameters: Mapping[str, Any], of_uri: Callable[[str], str]) -> str:
    revision = str(parameters.get("dataset_revision") or "main")
    parts = {}
    for name in DATASETS:
        source = str(parameters.get(name) or "")
        if source:
            own = source == parameters.get("dataset")  # the revision is only for that dataset
            parts[name] = _of(source, revision if own else "main", "dataset", of_uri)
    if not parts or not all(parts.values()):
        return ""
    return hashlib.sha256(repr(sorted(parts.items())).encode()).hexdigest()


def _of(source: str, revision: str, kind: Kind, of_uri: Callable[[str], str] = lambda _: "") -> str:
    if not source:
        return ""
    try:
        path: Path | None = expand(source)
        if is_uri(source):
            path = local_path(source)
        if path is None:
            return of_uri(source)
        if kind == "model" and path.is_dir():
            return of_model_folder(path)
        if path.exists():
            return fingerprints.of_path(path)
    except (OSError, ValueError, InputError):
        return ""  # the step that reads it reports the reason
    if _PATTERN.search(str(path)):
        return fingerprints.of_pattern(str(path))
    return commit_of(source, revision, kind) if _is_on_hub(source) else ""


def _is_on_hub(source: str) -> bool:
    try:
        return is_hub_id(source) and not expand(source).exists()
    except (OSError, ValueError):
        return False


def of_model_folder(folder: Path) -> str:
    """The SHA-256 of the names and contents of the files in a model's folder, without sub-folders.

    Raises:
        InputError: If a file is a link out of the folder.
        OSError: If a file cannot be read.
    """
    digest = hashlib.sha256()
    for name in sorted(path.name for path in folder.iterdir() if not path.name.startswith(".")):
        path = folder / name
        if path.is_file() and find(folder, name) is not None:
            digest.update(name.encode() + b"\0" + fingerprints.of_path(path).encode() + b"\0")
    return digest.hexdigest()
