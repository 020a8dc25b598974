"""The local runner's cache of finished steps.

KFP's own cache knows neither the installed code nor the runner, tells artifacts by the path of the
run that made them, and answers with paths into that other run. Here

- the folder it lives in is named for everything that is not an argument (`environment.cache_name`),
- an artifact is identified by what made it: the key of the producing task and the output's name,
- a run and the cache have files of their own: each can be moved, deleted or edited alone,
- of every file the hash is kept, and a file that may not be what the step wrote is not served,
- nothing that stands in an entry leads out of the entry, or out of the run.

KFP asks `compute_key`, then `get` when a task is due, and calls `put` when one has succeeded; this
is also where the steps' events come from, so the object is in place when nothing is to be cached.
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
    """Where a loop's trial has the folders of its steps, below the run: steps/TRIAL.

    Args:
        task_name: As KFP calls the trial: for-loop-1-iteration-0; or a graph that is no trial.
        pipeline_resource_name: Where the loop has them.
    """
    _, is_trial, number = task_name.rpartition("-iteration-")
    return f"{pipeline_resource_name}/{number}" if is_trial else pipeline_resource_name


class StepCache:
    """Stands in for `kfp.local.cache.LocalCache`.

    Args:
        run: The run's folder of steps.
        name: The run's name.
        root: The cache's folder; None: nothing is read or written.
        notes: Tells which notes a step printed, so that a cached step can say them again.
    """

    def __init__(
        self, run: Path, name: str, root: Path | None, notes: Callable[[str], list[str]]
    ) -> None:
        self._run = run
        self._name = name
        self._root = root
        self._notes = notes
        self._started: dict[str, tuple[str, float]] = {}
        self._origins: dict[str, str] = {}  # artifact's URI → what made it
        self._trial = ""

    def enter(self, folder: str) -> None:
        """Tell in which trial of a loop the next task is, by its folder: steps/TRIAL or steps."""
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
            given["made_from"] = uuid.uuid4().hex  # something else: not to be found by anybody
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
        """The outputs of a task with this key, their files in this run's folder; None: run it."""
        step, started = self._started[key]
        found = self._restore(key, step)
        if found is None:
            emit("started", step)
            return None
        origin, notes, outputs = found
        for note in notes:  # said by another run: of its data and model, which are this one's too
            emit("note", step, text=note, cached_from=origin)
        self._announce("cached", key, outputs, started, cached_from=origin)
        return outputs

    def put(self, key: str, outputs: dict[str, Any]) -> None:
        """Keep the outputs of a task that succeeded."""
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
        """Write an entry: whole, then renamed into place."""
        folder = self._run / step
        for value in outputs.values():
            if isinstance(value, dsl.Artifact):
                if not Path(value.uri).is_relative_to(folder):
                    return  # kept elsewhere by the step itself: not ours to link
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
            The run that made them, its notes and the outputs; None if there is no whole entry.
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
                    raise ValueError(f"an artifact is called {name!r}")
                target = _below(folder, kept["path"])
                _take(source / name, target, kept["files"])
                kind = getattr(dsl, kept["type"], None)
                if not (isinstance(kind, type) and issubclass(kind, dsl.Artifact)):
                    raise ValueError(f"an artifact is a {kept['type']}")
                outputs[name] = kind(name=kept["name"], uri=str(target), metadata=kept["metadata"])
        except FileNotFoundError:
            shutil.rmtree(folder, ignore_errors=True)
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            print(f"cache entry {source} is damaged and not used: {error}")
            shutil.rmtree(folder, ignore_errors=True)
            return None
        return origin, notes, outputs


def _replace(new: Path, target: Path) -> None:
    """Put a folder in place of another that may be there."""
    try:
        new.rename(target)
    except OSError:  # a damaged entry, or another run was quicker
        old = new.with_name(new.name + ".old")
        with contextlib.suppress(OSError):
            target.rename(old)
        with contextlib.suppress(OSError):
            new.rename(target)
        shutil.rmtree(old, ignore_errors=True)


def _keep(source: Path, target: Path) -> dict[str, list[Any]] | None:
    """Copy a file, or everything in a folder.

    Returns:
        Of every copy, by its name in the folder: size, time of the last change of the content and
        of the file, SHA-256. A single file's name is "."; None where there is nothing.
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
    """Copy what `_keep` kept, if it is still what was kept.

    Raises:
        OSError: If it is not.
        ValueError: If a name leads out of the folder.
    """
    if (None if kept is None else sorted(kept)) != _names(source):
        raise OSError(f"the files in {source.name} are not those that were kept")
    if source.is_dir():
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
    for name, (*state, digest) in (kept or {}).items():
        file = _below(source, name)
        if file.is_symlink():
            raise ValueError(f"{file} is a link")
        # The state alone is only believed of a file that nothing else shares.
        if (_state(file) != state or file.stat().st_nlink > 1) and _hash(file) != digest:
            raise OSError(f"{file} has changed since it was kept")
        copy(file, target / name)


def _below(folder: Path, name: Any) -> Path:
    """A path in a folder.

    Raises:
        ValueError: If it leads out of it.
    """
    parts = PurePosixPath(str(name))
    path = folder / parts
    if parts.is_absolute() or ".." in parts.parts or not _is_within(path, folder):
        raise ValueError(f"{str(name)!r} leads out of {folder}")
    return path


def _is_within(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def _names(path: Path) -> list[str] | None:
    """The files in a folder, in order; "." for a file; None where there is nothing."""
    if path.is_dir():
        return sorted(f.relative_to(path).as_posix() for f in path.rglob("*") if f.is_file())
    return ["."] if path.exists() else None


def _state(file: Path) -> list[int]:
    """What changes with a file, without reading it; the third cannot be set back."""
    stat = file.stat()
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]


def _hash(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
