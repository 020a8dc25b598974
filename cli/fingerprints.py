"""Content fingerprints of data and model: what a cached step was made from.

They are pipeline parameters, so new content behind an old name is another key in every cache, the
local one and the cluster's.
"""

from __future__ import annotations

import glob
import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from kfp_finetune.cli import locations

DATASETS = ("dataset", "validation_dataset", "test_dataset", "label_names")
_SECONDS = 10.0
_COMMIT = re.compile(r"[0-9a-f]{40}")


def of_dataset(parameters: Mapping[str, Any]) -> str:
    """The fingerprint of everything a run reads as data; "" if that cannot be told."""
    # The revision is the training data's; other datasets are read as they are now.
    revisions = {"dataset": str(parameters.get("dataset_revision") or "main")}
    parts = {
        name: _of(str(parameters[name]), revisions.get(name, "main"), "dataset")
        for name in DATASETS
        if parameters.get(name)
    }
    if not parts or not all(parts.values()):
        return ""
    return hashlib.sha256(repr(sorted(parts.items())).encode()).hexdigest()


def pinned_revisions(parameters: Mapping[str, Any]) -> dict[str, str]:
    """The commits that Hub ids stand for now, as the revisions that the steps are to read.

    So what is fingerprinted is what is read, though somebody pushes in between, and the run's
    record says which it was.
    """
    kinds: dict[str, Literal["dataset", "model"]] = {"dataset": "dataset", "model": "model"}
    pinned = {}
    for name, kind in kinds.items():
        source = str(parameters.get(name) or "")
        revision = str(parameters.get(f"{name}_revision") or "main")
        if _is_hub_id(source) and (commit := of_hub(source, revision, kind)):
            pinned[f"{name}_revision"] = commit
    return pinned


def of_model(parameters: Mapping[str, Any]) -> str:
    """The fingerprint of the base model; "" if that cannot be told."""
    revision = parameters.get("model_revision") or "main"
    return _of(str(parameters.get("model") or ""), str(revision), "model")


def _of(source: str, revision: str, kind: Literal["dataset", "model"]) -> str:
    path = Path(source)
    if source and locations.exists(path):
        try:
            return of_path(path)
        except OSError:
            return ""  # the step that reads it says what is wrong
    if any(sign in source for sign in "*?[") and not locations.is_url(source):
        return of_pattern(source)
    return of_hub(source, revision, kind) if _is_hub_id(source) else ""


def _is_hub_id(source: str) -> bool:
    return bool(source) and not (
        locations.exists(Path(source))
        or locations.is_url(source)
        or locations.looks_like_path(source)
    )


def of_pattern(pattern: str) -> str:
    """The SHA-256 of the names and contents of all files that a pattern finds."""
    files = [Path(name) for name in sorted(glob.glob(pattern, recursive=True))]  # noqa: PTH207
    try:
        parts = [(file.as_posix(), of_path(file)) for file in files]
    except OSError:
        return ""
    return hashlib.sha256(repr(parts).encode()).hexdigest() if parts else ""


def of_path(path: Path) -> str:
    """The SHA-256 of a file's content, or of a folder's names and contents without hidden ones."""
    if not path.is_dir():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    digest = hashlib.sha256()
    for root, folders, files in os.walk(path, followlinks=False):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        for name in sorted(f for f in files if not f.startswith(".")):
            file_path = Path(root, name)
            digest.update(file_path.relative_to(path).as_posix().encode() + b"\0")
            digest.update(of_path(file_path).encode() + b"\0")
    return digest.hexdigest()


def of_hub(repository: str, revision: str, kind: Literal["dataset", "model"]) -> str:
    """The commit that a Hub id stands for now.

    Asked of the Hub, or where it cannot be reached, of the local Hub cache, which is what the
    steps will then read.

    Args:
        repository: "name" or "owner/name".
        revision: A branch, tag or commit.
        kind: Which kind of repository.

    Returns:
        The commit's SHA, or "" if it cannot be told.
    """
    if _COMMIT.fullmatch(revision):
        return revision
    try:
        from huggingface_hub import HfApi, constants
    except ImportError:  # the client without [train]
        return ""
    try:
        found = HfApi().repo_info(repository, repo_type=kind, revision=revision, timeout=_SECONDS)
        return found.sha or ""
    except Exception:  # offline, unknown or forbidden: the step that reads it says which
        folder = f"{kind}s--{repository.replace('/', '--')}"
        reference = Path(constants.HF_HUB_CACHE, folder, "refs", revision)
        try:
            return reference.read_text(encoding="utf-8").strip()
        except OSError:
            return ""
