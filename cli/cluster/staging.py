"""Upload local data to a store that a cluster's steps can read.

A pod has no access to this disk. Local data is uploaded as HASH/NAME, with the hash of its content:
the same content under the same name has the same URI, is uploaded once, and is found in the
cluster's cache. A report that shows the end of the URI shows the name.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import posixpath
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.storage import fingerprints
from kfp_finetune.components.storage.folder import Folder
from kfp_finetune.components.storage.uris import without_secrets
from kfp_finetune.pipelines import paths
from kfp_finetune.runs.trained_models import run_of

# Written by a step, so not uploaded.
_WRITTEN = ("checkpoint_dir", "tensorboard_dir")
_READABLE = re.compile(r"(https?|s3|gs|hf)://")
_WILDCARD = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class _Local:
    """A local file or folder in a parameter.

    Attributes:
        files: The files to upload, by path below the content's hash.
        value: The path of the file or folder below the hash.
    """

    files: dict[str, Path]
    value: str


def stage(
    parameters: Mapping[str, Any],
    stage_uri: str | None,
    mounted: Iterable[str],
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Upload local data, and return the parameters for a cluster's steps.

    Args:
        parameters: All parameters, with absolute paths.
        stage_uri: The folder to upload local files to (s3://, gs://), or None.
        mounted: Paths of the steps' volumes; paths below them are not on this disk.
        say: Called with a line for each upload.

    Raises:
        InputError: If a parameter is local and `stage_uri` is not given, or it cannot be read or
            uploaded.
    """
    staged = dict(parameters)
    local = {}
    volumes = [path.rstrip("/") + "/" for path in mounted]
    for name in paths.PATH_PARAMETERS:
        value = str(parameters.get(name) or "")
        path = paths.on_this_disk(value)
        if path is not None and not f"{path}/".startswith(tuple(volumes)):
            local[name] = path
    listed = {name: _listed(name, path) for name, path in local.items() if name not in _WRITTEN}
    _check(local, stage_uri)
    if not local or stage_uri is None:
        return staged
    store = Folder(stage_uri)
    for name, found in listed.items():
        staged[name] = _upload(store, name, found, say)
    return staged


def _check(local: Mapping[str, str], stage_uri: str | None) -> None:
    written = [name for name in _WRITTEN if name in local]
    if written:
        raise InputError(
            "; ".join(f"{name} is {local[name]}" for name in written),
            where=", ".join("--" + name.replace("_", "-") for name in written),
            expected="s3://, gs://, or a folder of a volume that --platform mounts",
            remedy="use one of these: a step writes there, and its pod has no access to this disk",
        )
    if local and stage_uri is None:
        raise InputError(
            "; ".join(f"{name} is {path}" for name, path in local.items()),
            where=", ".join("--" + name.replace("_", "-") for name in local),
            expected="a location that a pod can read: s3://, gs://, https://, or a Hub id",
            remedy="upload it with --stage-uri s3://BUCKET/FOLDER",
        )


def _listed(name: str, path: str) -> _Local:
    """Return the files to upload for a file, a folder or a pattern.

    Raises:
        InputError: If there are no files.
    """
    if _WILDCARD.search(path) and not Path(path).exists():
        fixed = posixpath.dirname(path[: _WILDCARD.search(path).start()])  # type: ignore[union-attr]
        found = sorted(f for f in map(Path, glob.glob(path, recursive=True)) if f.is_file())  # noqa: PTH207
        files = {file.relative_to(fixed).as_posix(): file for file in found}
        value = Path(path).relative_to(fixed).as_posix()
    elif Path(path).is_dir():
        value = _name_of(Path(path))
        files = {
            f"{value}/{file.relative_to(path).as_posix()}": file
            for file in sorted(Path(path).rglob("*"))
            if file.is_file()
            and not any(part.startswith(".") for part in file.relative_to(path).parts)
        }
    else:
        files = {Path(path).name: Path(path)} if Path(path).is_file() else {}
        value = Path(path).name
    if not files:
        raise InputError(
            "there is no file" if not Path(path).is_dir() else "the folder is empty",
            where=f"{name}: {path}",
            expected="a file, a folder, a pattern, a URI or a Hub id",
            remedy="check the path",
        )
    return _Local(files, value)


def _name_of(folder: Path) -> str:
    """The name of a folder for its users; the model of a run has the run's name."""
    with contextlib.suppress(InputError):  # a different kind of run.json
        if run := run_of(folder):
            return run.record.name
    return folder.name


def _upload(store: Folder, name: str, local: _Local, say: Callable[[str], None]) -> str:
    """Upload the files that do not exist yet.

    Returns:
        The URI.
    """
    try:
        hashes = {below: fingerprints.of_path(file) for below, file in local.files.items()}
    except OSError as error:
        raise InputError(
            f"the file cannot be read: {error.strerror or error}",
            where=f"{name}: {error.filename}",
            expected="files that this user may read",
            remedy="check the permissions",
        ) from None
    folder = hashlib.sha256(repr(sorted(hashes.items())).encode()).hexdigest()[:32]
    there = {file.name: file.size for file in store.files(folder)}
    missing = {
        below: file
        for below, file in local.files.items()
        if there.get(below) != file.stat().st_size
    }
    where = without_secrets(store.uri(folder))
    if missing:
        size = sum(file.stat().st_size for file in missing.values())
        say(f"uploading {name}: {_files(missing)}, {size / 1e6:,.1f} MB, to {where}")
    else:
        say(f"{name}: already in {where}")
    for below, file in missing.items():
        store.put(file, f"{folder}/{below}")
    return store.uri(f"{folder}/{local.value}")


def _files(files: Mapping[str, Path]) -> str:
    return "1 file" if len(files) == 1 else f"{len(files):,} files"
