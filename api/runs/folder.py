"""A run's folder and its record, run.json.

runs/NAME/ run.json  run.log  report.html  learning_rate.html steps/STEP/OUTPUT checkpoints/
until training has finished
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from kfp_finetune.components.artifacts.files import read_manifest, write_manifest
from kfp_finetune.components.artifacts.model import StoppedAt
from kfp_finetune.components.artifacts.verdict import Verdict
from kfp_finetune.components.errors import InputError

RECORD = "run.json"
LOG = "run.log"
STEPS = "steps"
CHECKPOINTS = "checkpoints"
_LOCK = ".lock"
# The time that remaining processes of a killed run may take to end.
_SECONDS_TO_WAIT = 5.0
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

Runner = Literal["subprocess", "docker"]
Purpose = Literal["training", "range_test"]
Status = Literal["running", "succeeded", "failed", "interrupted"]


class StepRecord(BaseModel):
    """The record of a step."""

    model_config = ConfigDict(extra="ignore")

    status: Status = "running"
    seconds: float | None = None
    cached: bool = False
    cached_from: str | None = Field(default=None, description="run whose cache entry it is")


class Repeated(BaseModel):
    """The run that a run repeats with changes."""

    name: str
    verdict: Verdict | None = None


class RunError(BaseModel):
    """The reason why a run failed."""

    step: str | None = None
    message: str


class RunRecord(BaseModel):
    """The content of run.json, written at the start, at every change, and at the end."""

    model_config = ConfigDict(extra="ignore")

    schema_version: Literal[1] = 1
    name: str
    status: Status = "running"
    purpose: Purpose = Field(
        default="training", description="range_test: a throw-away model that is not scored"
    )
    pipeline: str
    parameters: dict[str, Any]
    hidden: list[str] = Field(
        default_factory=list, description="parameters whose URI is stored without its secrets"
    )
    use_cache: bool = True
    runner: Runner = "subprocess"
    image: str | None = Field(default=None, description="image of the steps, with --runner docker")
    outputs: dict[str, Any] = Field(default_factory=dict, description="counts from the steps")
    chosen: dict[str, int | float] = Field(
        default_factory=dict, description="parameters that were not given, as the steps chose them"
    )
    stopped_at: StoppedAt | None = None
    resumed_at: list[int] = Field(
        default_factory=list, description="steps after which training was resumed"
    )
    differences: list[str] = Field(
        default_factory=list, description="differences on resuming; if any, not bit-identical"
    )
    metrics: dict[str, float] = Field(default_factory=dict, description="metrics of the test split")
    validation_metrics: dict[str, float] = Field(default_factory=dict)
    steps: dict[str, StepRecord] = Field(default_factory=dict)
    artifacts: dict[str, str] = Field(default_factory=dict, description="relative to the folder")
    missing: list[str] = Field(
        default_factory=list, description="artifacts that could not be fetched, and why"
    )
    verdict: Verdict | None = Field(default=None, description="verdict on the training")
    rerun_of: Repeated | None = Field(
        default=None, description="run that this one repeats with changes, and its verdict"
    )
    candidates: list[dict[str, Any]] = Field(default_factory=list)
    environment: dict[str, Any] = Field(default_factory=dict)
    error: RunError | None = None
    started_at: str = Field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    pid: int | None = Field(
        default=None, description="of the CLI; a 'running' run without this process was killed"
    )


class RunFolder:
    """A run's folder on disk.

    Args:
        path: The folder, which must exist.
        record: The content of its run.json.
    """

    def __init__(self, path: Path, record: RunRecord) -> None:
        self.path = path
        self.record = record

    @property
    def log(self) -> Path:
        """The log file: all output of the runner, the steps and their libraries."""
        return self.path / LOG

    @property
    def checkpoints(self) -> Path:
        """The default folder of checkpoints."""
        return self.path / CHECKPOINTS

    @property
    def steps(self) -> Path:
        """The folder of the steps' outputs."""
        return self.path / STEPS

    def save(self) -> None:
        """Write run.json, atomically."""
        write_manifest(self.path / RECORD, self.record)

    @contextlib.contextmanager
    def running(self) -> Iterator[int]:
        """Lock the run for this process; the system releases the lock when the process ends.

        Yields:
            The file descriptor of the lock. A process that inherits it holds the lock too.

        Raises:
            InputError: If another process holds the lock.
        """
        with (self.path / _LOCK).open("a+") as file:
            deadline = time.monotonic() + _SECONDS_TO_WAIT
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError as error:
                    held = error
                if time.monotonic() < deadline:
                    time.sleep(0.1)
                    continue
                file.seek(0)  # the holder may not have written run.json yet
                holder = file.read(20) or self.record.pid
                raise InputError(
                    f"run '{self.record.name}' is still running in process {holder}",
                    where=str(self.path),
                    expected="a killed, interrupted or failed run",
                    remedy="wait until it ends, or stop it",
                ) from held
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield file.fileno()

    def status(self) -> Status:
        """The current status: a run recorded as running but not locked was killed."""
        if self.record.status == "running" and not self._is_held():
            return "interrupted"
        return self.record.status

    def _is_held(self) -> bool:
        try:
            with (self.path / _LOCK).open() as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except OSError:  # locked, or not readable by this user
            return True
        return False

    @property
    def outcome(self) -> str:
        """The status, and what is wrong with the model of a run that succeeded."""
        verdict = self.record.verdict
        status = self.status()
        return status if status != "succeeded" or verdict is None else verdict.outcome

    def can_be_resumed(self) -> bool:
        """Return True if the folder has a checkpoint, of the run or of a trial."""
        return any(self.checkpoints.glob("**/step-*/checkpoint.json"))

    def check_unfinished(self) -> None:
        """Check that the run can be continued.

        Raises:
            InputError: If the run has succeeded.
        """
        record = self.record
        if record.status == "succeeded":
            raise InputError(
                f"run '{record.name}' has succeeded",
                where=str(self.path),
                expected="a killed, interrupted or failed run",
                remedy="start a new run with kfp-finetune run",
            )

    def begin_again(self) -> None:
        """Remove the steps' outputs, but not the checkpoints."""
        record = self.record
        shutil.rmtree(self.steps, ignore_errors=True)
        self.record = RunRecord(
            name=record.name,
            purpose=record.purpose,
            pipeline=record.pipeline,
            parameters=record.parameters,
            hidden=record.hidden,
            use_cache=record.use_cache,
            runner=record.runner,
            image=record.image,
            rerun_of=record.rerun_of,
            started_at=record.started_at,
            pid=os.getpid(),
        )
        self.save()

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """Open an existing run.

        Raises:
            InputError: If the folder is not a run, or its record is damaged.
        """
        try:
            return cls(path, read_manifest(path / RECORD, RunRecord))
        except InputError as error:
            if not (path / RECORD).is_file():
                raise
            raise InputError(
                f"{RECORD} is damaged: {error.found.partition(': ')[2]}",
                where=str(path),
                expected="the record that kfp-finetune wrote",
                remedy="start a new run; the results of this one are still in the folder",
            ) from None

    @classmethod
    def create(
        cls, runs_dir: Path, name: str | None, pipeline: str, parameters: dict[str, Any]
    ) -> RunFolder:
        """Create the folder of a new run, and write its first run.json.

        Args:
            runs_dir: The folder of runs; created if it does not exist.
            name: The run's name; None for the dataset's name and the time.
            pipeline: The pipeline's name.
            parameters: The values of all parameters.

        Raises:
            InputError: If the name is not usable or taken, or the folder cannot be written.
        """
        check_name(runs_dir, name)
        try:
            runs_dir.mkdir(parents=True, exist_ok=True)
            path = _make(runs_dir, name, parameters)
            folder = cls(
                Path(os.path.abspath(path)),  # noqa: PTH100 - like KFP, keep links
                RunRecord(
                    name=path.name, pipeline=pipeline, parameters=parameters, pid=os.getpid()
                ),
            )
            folder.save()
        except OSError as error:
            raise InputError(
                f"the folder of runs cannot be written: {error.strerror or error}",
                where=str(runs_dir),
                expected="a folder in which a new one can be created",
                remedy="use another folder: --runs-dir FOLDER",
            ) from None
        return folder


def check_name(runs_dir: Path, name: str | None) -> None:
    """Check that a new run can have this name.

    Args:
        runs_dir: The folder of runs.
        name: The name; None if it will be generated.

    Raises:
        InputError: If the name is not usable or taken.
    """
    if name is None:
        return
    if not _NAME.fullmatch(name):
        raise InputError(
            f"'{name}' is not a valid name for a run",
            where="--name",
            expected="1 to 100 letters, digits, '.', '_' or '-', starting with a letter or digit",
            remedy="choose another name",
        )
    if os.path.lexists(runs_dir / name):
        raise _taken(runs_dir, name)


def _taken(runs_dir: Path, name: str) -> InputError:
    return InputError(
        f"run '{name}' already exists",
        where=str(runs_dir / name),
        expected="a new name",
        remedy="choose another --name, or omit it to generate one",
    )


def find(name: str, runs_dir: Path) -> Path:
    """The folder of a run, given by its name or path.

    Raises:
        InputError: If there is no such run.
    """
    for folder in (runs_dir / name, Path(name)):
        if (folder / RECORD).is_file():
            return folder.resolve()
    known = sorted(record.parent.name for record in runs_dir.glob(f"*/{RECORD}"))
    raise InputError(
        f"there is no run '{name}'",
        where=str(runs_dir),
        expected="one of: " + ", ".join(known[-10:]) if known else "a folder with runs",
        remedy="check the name, or use another --runs-dir"
        if known
        else "start a run with kfp-finetune run, or use another --runs-dir",
    )


def newest(runs_dir: Path) -> Path:
    """The folder of the newest run.

    Raises:
        InputError: If there are no runs.
    """
    records = list(runs_dir.glob(f"*/{RECORD}"))
    if not records:
        raise InputError(
            "there are no runs",
            where=str(runs_dir),
            expected="a folder of runs",
            remedy="start one with kfp-finetune run, or give another --runs-dir",
        )
    started = {}
    for record in records:
        try:
            started[record.parent] = RunFolder.open(record.parent).record.started_at
        except InputError:  # a damaged record has no time; opening the only run reports the damage
            if len(records) == 1:
                raise
    return max(started, key=lambda folder: (started[folder], folder.name)).resolve()


def _make(runs_dir: Path, name: str | None, parameters: dict[str, Any]) -> Path:
    """Create the folder; `mkdir` decides between two runs that want the same name."""
    if name is not None:
        try:
            (runs_dir / name).mkdir()
        except FileExistsError:
            raise _taken(runs_dir, name) from None
        return runs_dir / name
    stem = default_name(str(parameters.get("dataset") or "run"))
    number = 1
    while True:
        path = runs_dir / (stem if number == 1 else f"{stem}-{number}")
        try:
            path.mkdir()
        except FileExistsError:
            number += 1
        else:
            return path


def default_name(dataset: str) -> str:
    """The dataset's name and the time: "train-20261123-061106"."""
    return f"{dataset_name(dataset)}-{datetime.now():%Y%m%d-%H%M%S}"


def dataset_name(dataset: str) -> str:
    """The dataset's name: "train"."""
    base = Path(dataset.rstrip("/")).name.split(".")[0]
    return re.sub(r"[^A-Za-z0-9_-]+", "-", base).strip("-_")[:60] or "run"
