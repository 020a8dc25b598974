"""The local runner's cache of finished steps.

KFP's own cache ignores the installed code and the runner, identifies artifacts by the path of the
run that made them, and returns paths into that other run. This cache differs:

- The name of its folder covers everything that is not an argument (`environment.cache_name`).
- An artifact is identified by its origin: the key of the producing task and the output's name.
- Runs and the cache do not share files: each can be moved, deleted or edited independently.
- The hash of every file is stored, and a file that may have changed is not used.
- No path in an entry can point outside the entry, or outside the run.

KFP calls `compute_key` and `get` when a task is due, and `put` when it has succeeded. The steps'
events also come from here, so the object is used even if nothing is cached.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from kfp import dsl

from kfp_finetune.components.repeating import EXECUTION_PARAMETERS
from kfp_finetune.components.runtime import emit
from kfp_finetune.components.storage.files import write_text
from kfp_finetune.runs.links import copy

_ENTRY = "entry.json"
_NAME = re.compile(r"[A-Za-z0-9_-]+")


def step_name(component: str) -> str:
    """The step's name, as everything but KFP spells it: comp-load-data → load_data."""
    return component.removeprefix("comp-").replace("-", "_")


def folder_of_trial(task_name: str, pipeline_resource_name: str) -> str:
    """The folder of a trial's steps in the run: steps/TRIAL.

    Args:
        task_name: KFP's name of the trial, such as for-loop-1-iteration-0, or of another graph.
        pipeline_resource_name: The folder of the loop.
    """
    _, is_trial, number = task_name.rpartition("-iteration-")
    return f"{pipeline_resource_name}/{number}" if is_trial else pipeline_resource_name


class StepCache:
    """Replaces `kfp.local.cache.LocalCache`.

    Args:
        run: The run's folder of steps.
        name: The run's name.
        root: The cache's folder; None for no cache.
        notes: Records the notes that a step printed, so that a cached step can repeat them.
    """

    def __init__(
        self, run: Path, name: str, root: Path | None, notes: Callable[[str], list[str]]
    ) -> None:
        self._run = run
        self._name = name
        self._root = root
        self._notes = notes
        self._started: dict[str, tuple[str, float]] = {}
        self._origins: dict[str, str] = {}  # artifact's URI → its origin
        self._trial = ""

    def enter(self, folder: str) -> None:
        """Set the trial of the next task, by its folder: steps/TRIAL, or steps outside a loop."""
        self._trial = folder.partition("/")[2]

    def compute_key(
        self,
        component_name: str,
        image: str,
        full_command: list[str],
        arguments: dict[str, Any],
        env_vars: dict[str, str] | None = None,
        custom_cache_key: str | None = None,
    ) -> str:
        """The key of a task that is due."""
        given = {
            name: self._identity(value)
            for name, value in arguments.items()
            if name not in EXECUTION_PARAMETERS
        }
        if arguments.get("resume_from_checkpoint") == "any":
            given["made_from"] = uuid.uuid4().hex  # unique, so nothing reuses it
        parts = [component_name, image, full_command, given, env_vars or {}, custom_cache_key]
        key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
        step = "/".join(part for part in (self._trial, step_name(component_name)) if part)
        self._started[key] = (step, time.monotonic())
        return key

    def _identity(self, value: Any) -> Any:
        if isinstance(value, dsl.Artifact):
            return {"artifact": self._origins.get(value.uri, value.uri)}
        if isinstance(value, list):
            return [self._identity(item) for item in value]
        return value

    def get(self, key: str) -> dict[str, Any] | None:
        """Restore the outputs of a task with this key to the run's folder; None if it must run."""
        step, started = self._started[key]
        found = self._restore(key, step)
        if found is None:
            emit("started", step)
            return None
        origin, notes, outputs = found
        for note in notes:  # of the other run, which had the same data and model
            emit("note", step, text=note, cached_from=origin)
        self._announce("cached", key, outputs, started, cached_from=origin)
        return outputs

    def put(self, key: str, outputs: dict[str, Any]) -> None:
        """Store the outputs of a task that succeeded."""
        step, started = self._started[key]
        try:
            if self._root is not None:
                self._store(self._root, key, step, outputs)
        finally:
            self._announce("finished", key, outputs, started)

    def _announce(
        self, event: str, key: str, outputs: Mapping[str, Any], started: float, **more: Any
    ) -> None:
        step, _ = self._started[key]
        artifacts = {n: v for n, v in outputs.items() if isinstance(v, dsl.Artifact)}
        for name, artifact in artifacts.items():
            self._origins[artifact.uri] = f"{key}/{name}"
        emit(
            event,
            step,
            seconds=round(time.monotonic() - started, 3),
            outputs={n: v for n, v in outputs.items() if isinstance(v, str | int | float | bool)},
            artifacts={n: a.uri for n, a in artifacts.items() if os.path.exists(a.uri)},  # noqa: PTH110
            **more,
        )

    def _store(self, root: Path, key: str, step: str, outputs: Mapping[str, Any]) -> None:
        """Write an entry atomically."""
        folder = self._run / step
        for value in outputs.values():
            if isinstance(value, dsl.Artifact):
                if not Path(value.uri).is_relative_to(folder):
                    return  # the step stored it elsewhere
            elif isinstance(value, list) and any(isinstance(v, dsl.Artifact) for v in value):
                return
        temporary = root / f".{key}.{uuid.uuid4().hex}"
        temporary.mkdir(parents=True)
        try:
            entry = {
                "run": self._name,
                "step": step,
                "notes": self._notes(step.rpartition("/")[2]),
                "parameters": {n: v for n, v in outputs.items() if not isinstance(v, dsl.Artifact)},
                "artifacts": {
                    name: {
                        "type": type(artifact).__name__,
                        "name": artifact.name,
                        "path": Path(artifact.uri).relative_to(folder).as_posix(),
                        "metadata": artifact.metadata,
                        "files": _keep(Path(artifact.uri), temporary / name),
                    }
                    for name, artifact in outputs.items()
                    if isinstance(artifact, dsl.Artifact)
                },
            }
            write_text(temporary / _ENTRY, json.dumps(entry, indent=1))
            _replace(temporary, root / key)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def _restore(self, key: str, step: str) -> tuple[str, list[str], dict[str, Any]] | None:
        """Copy an entry's files into this run.

        Returns:
            The run that made them, its notes and the outputs; None if there is no complete entry.
        """
        if self._root is None:
            return None
        source = self._root / key
        folder = self._run / step
        try:
            entry = json.loads((source / _ENTRY).read_text(encoding="utf-8"))
            outputs = dict(entry["parameters"])
            notes, origin = list(entry["notes"]), str(entry["run"])
            for name, kept in entry["artifacts"].items():
                if not _NAME.fullmatch(name):
                    raise ValueError(f"invalid artifact name {name!r}")
                target = _below(folder, kept["path"])
                _take(source / name, target, kept["files"])
                kind = getattr(dsl, kept["type"], None)
                if not (isinstance(kind, type) and issubclass(kind, dsl.Artifact)):
                    raise ValueError(f"invalid artifact type {kept['type']}")
                outputs[name] = kind(name=kept["name"], uri=str(target), metadata=kept["metadata"])
        except FileNotFoundError:
            shutil.rmtree(folder, ignore_errors=True)
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            print(f"ignored the damaged cache entry {source}: {error}")
            shutil.rmtree(folder, ignore_errors=True)
            return None
        return origin, notes, outputs


def _replace(new: Path, target: Path) -> None:
    """Rename a folder, and replace an existing one."""
    try:
        new.rename(target)
    except OSError:  # a damaged entry, or one that another run has just written
        old = new.with_name(new.name + ".old")
        with contextlib.suppress(OSError):
            target.rename(old)
        with contextlib.suppress(OSError):
            new.rename(target)
        shutil.rmtree(old, ignore_errors=True)


def _keep(source: Path, target: Path) -> dict[str, list[Any]] | None:
    """Copy a file, or all files in a folder.

    Returns:
        The size, mtime, ctime and SHA-256 of every copy, by its name in the folder ("." for a
        single file); None if the source does not exist.
    """
    if source.is_dir():
        target.mkdir(parents=True)
    names = _names(source)
    if names is None:
        return None
    for name in names:
        copy(source / name, target / name)
    return {name: [*_state(target / name), _hash(target / name)] for name in names}


def _take(source: Path, target: Path, kept: dict[str, list[Any]] | None) -> None:
    """Copy the files that `_keep` stored, if they have not changed since.

    Raises:
        OSError: If they have changed.
        ValueError: If a name points outside the folder.
    """
    if (None if kept is None else sorted(kept)) != _names(source):
        raise OSError(f"the files in {source.name} are not those that were stored")
    if source.is_dir():
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
    for name, (*state, digest) in (kept or {}).items():
        file = _below(source, name)
        if file.is_symlink():
            raise ValueError(f"{file} is a link")
        # The state is sufficient only for a file without other hard links.
        if (_state(file) != state or file.stat().st_nlink > 1) and _hash(file) != digest:
            raise OSError(f"{file} has changed since it was stored")
        copy(file, target / name)


def _below(folder: Path, name: Any) -> Path:
    """Join a path to a folder.

    Raises:
        ValueError: If the path points outside the folder.
    """
    parts = PurePosixPath(str(name))
    path = folder / parts
    if parts.is_absolute() or ".." in parts.parts or not _is_within(path, folder):
        raise ValueError(f"{str(name)!r} points outside {folder}")
    return path


def _is_within(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def _names(path: Path) -> list[str] | None:
    """The files in a folder, sorted; "." for a file; None if the path does not exist."""
    if path.is_dir():
        return sorted(f.relative_to(path).as_posix() for f in path.rglob("*") if f.is_file())
    return ["."] if path.exists() else None


def _state(file: Path) -> list[int]:
    """Size, mtime and ctime of a file, which change with its content; ctime cannot be set."""
    stat = file.stat()
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]


def _hash(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
