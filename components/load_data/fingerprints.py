"""Content fingerprints of data and model: what a cached step was made from.

They are pipeline parameters, so new content behind an old name is another key in every cache, the
local one and the cluster's. The command line looks before a run starts, and load_data looks again
when it has read: what changed in between fails the step, and a failed step is in no cache.
"""

from __future__ import annotations

import glob
import hashlib
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.readers import hub_client, remote, remote_folders
from kfp_finetune.components.load_data.readers.files import expand
from kfp_finetune.components.load_data.readers.locations import is_hub_id
from kfp_finetune.components.model_folder.files import find
from kfp_finetune.components.uris import is_uri, local_path, without_secrets

DATASETS = ("dataset", "validation_dataset", "test_dataset", "label_names")
Kind = Literal["dataset", "model"]
_SECONDS = 10.0
_COMMIT = re.compile(r"[0-9a-f]{40}")
_PATTERN = re.compile(r"[*?\[]")


def of_dataset(parameters: Mapping[str, Any], note: Callable[[str], None] = lambda _: None) -> str:
    """The fingerprint of everything a run reads as data.

    Args:
        parameters: load_data's, by name.
        note: Is told what takes long.

    Returns:
        A SHA-256; "" if it cannot be told, and the step that reads it says what is wrong.
    """
    return _of_dataset(parameters, lambda uri: remote.fingerprint(uri, note))


def check_unchanged(parameters: Mapping[str, Any]) -> None:
    """Check that what has been read is what the fingerprint was taken of.

    Args:
        parameters: load_data's; without a `dataset_fingerprint` there is nothing to check.

    Raises:
        InputError: If it is not, or can no longer be told.
    """
    before = parameters["dataset_fingerprint"]
    if not before:
        return
    now = _of_dataset(parameters, lambda uri: remote.fingerprint(uri, fetched=True))
    if now != before:
        names = [str(parameters[name]) for name in DATASETS if parameters.get(name)]
        raise InputError(
            "the data changed after the run had started"
            if now
            else "it can no longer be told whether the data changed after the run had started",
            where=", ".join(map(without_secrets, names)),
            expected="data that stays as it is until it has been read",
            remedy="run again; or copy data that keeps changing, and name the copy",
        )


def of_model(parameters: Mapping[str, Any]) -> str:
    """The fingerprint of the base model; "" if that cannot be told."""
    revision = parameters.get("model_revision") or "main"
    model = str(parameters.get("model") or "")
    return _of(model, str(revision), "model", remote_folders.fingerprint)


def pinned_revisions(parameters: Mapping[str, Any]) -> dict[str, str]:
    """The commits that Hub ids stand for now, as the revisions that the steps are to read.

    So what is fingerprinted is what is read, though somebody pushes in between, and the run's
    record says which it was.
    """
    kinds: dict[str, Kind] = {"dataset": "dataset", "model": "model"}
    pinned = {}
    for name, kind in kinds.items():
        source = str(parameters.get(name) or "")
        revision = str(parameters.get(f"{name}_revision") or "main")
        if _is_on_hub(source) and (commit := of_hub(source, revision, kind)):
            pinned[f"{name}_revision"] = commit
    return pinned


def _of_dataset(parameters: Mapping[str, Any], of_uri: Callable[[str], str]) -> str:
    revision = str(parameters.get("dataset_revision") or "main")
    parts = {}
    for name in DATASETS:
        source = str(parameters.get(name) or "")
        if source:
            own = source == parameters.get("dataset")  # the revision is that dataset's
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
            return of_path(path)
    except (OSError, ValueError, InputError):
        return ""  # the step that reads it says what is wrong
    if _PATTERN.search(str(path)):
        return of_pattern(str(path))
    return of_hub(source, revision, kind) if _is_on_hub(source) else ""


def _is_on_hub(source: str) -> bool:
    try:
        return is_hub_id(source) and not expand(source).exists()
    except (OSError, ValueError):
        return False


def of_pattern(pattern: str) -> str:
    """The SHA-256 of the names and contents of all files that a pattern finds."""
    files = [Path(name) for name in sorted(glob.glob(pattern, recursive=True))]  # noqa: PTH207
    try:
        parts = [(file.name, of_path(file)) for file in files]
    except OSError:
        return ""
    return hashlib.sha256(repr(parts).encode()).hexdigest() if parts else ""


def of_path(path: Path) -> str:
    """The SHA-256 of a file's content, or of a folder's names and contents without hidden ones.

    Raises:
        OSError: If something in it cannot be read.
    """
    if not path.is_dir():
        if not path.is_file():
            raise OSError(f"{path} is no file")  # a pipe would give its content only once
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    digest = hashlib.sha256()
    seen: set[str] = set()
    for root, folders, files in os.walk(path, followlinks=True):  # as the steps read it
        real = os.path.realpath(root)
        if real in seen:  # links that lead in a circle
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        if any(Path(root, f).resolve() in path.resolve().parents for f in folders):
            raise OSError(f"{path} holds a link to a folder above it")  # which is never all read
        for name in sorted(f for f in files if not f.startswith(".")):
            file_path = Path(root, name)
            digest.update(file_path.relative_to(path).as_posix().encode() + b"\0")
            digest.update(of_path(file_path).encode() + b"\0")
    return digest.hexdigest()


def of_model_folder(folder: Path) -> str:
    """The SHA-256 of the names and contents of a model's files; of folders in it nothing is read.

    Raises:
        InputError: If one is a link out of the folder.
        OSError: If one cannot be read.
    """
    digest = hashlib.sha256()
    for name in sorted(path.name for path in folder.iterdir() if not path.name.startswith(".")):
        path = folder / name
        if path.is_file() and find(folder, name) is not None:
            digest.update(name.encode() + b"\0" + of_path(path).encode() + b"\0")
    return digest.hexdigest()


def of_hub(repository: str, revision: str, kind: Kind) -> str:
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
    hub_client.prepare()
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
