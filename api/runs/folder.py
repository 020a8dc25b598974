"""A run's folder and its record, run.json.

runs/NAME/
    run.json  run.log  report.html  learning_rate.html
    steps/STEP/OUTPUT
    checkpoints/            of a training that has not come to its end
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
# How long what is left of a killed run may take to end.
_SECONDS_TO_WAIT = 5.0
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

Runner = Literal["subprocess", "docker"]
Purpose = Literal["training", "range_test"]
Status = Literal["running", "succeeded", "failed", "interrupted"]


class StepRecord(BaseModel):
    """How one step went."""

    model_config = ConfigDict(extra="ignore")

    status: Status = "running"
    seconds: float | None = None
    cached: bool = False
    cached_from: str | None = Field(default=None, description="the run whose work it is")


class Repeated(BaseModel):
    """The run that a run repeats with changes."""

    name: str
    verdict: Verdict | None = None


class RunError(BaseModel):
    """Why a run failed."""

    step: str | None = None
    message: str


class RunRecord(BaseModel):
    """What run.json holds: written at the start, at every change, and at the end."""

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
    image: str | None = Field(default=None, description="of the steps, with the runner docker")
    outputs: dict[str, Any] = Field(default_factory=dict, description="the steps' counts")
    stopped_at: StoppedAt | None = None
    resumed_at: list[int] = Field(
        default_factory=list, description="steps after which training was gone on with"
    )
    differences: list[str] = Field(
        default_factory=list, description="what differed then: not bit-identical if anything did"
    )
    metrics: dict[str, float] = Field(default_factory=dict, description="of the test split")
    validation_metrics: dict[str, float] = Field(default_factory=dict)
    steps: dict[str, StepRecord] = Field(default_factory=dict)
    artifacts: dict[str, str] = Field(default_factory=dict, description="relative to the folder")
    missing: list[str] = Field(
        default_factory=list, description="of a fetched run: what could not be fetched, and why"
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
        default=None, description="of the CLI; a run that is 'running' without it was killed"
    )


class RunFolder:
    """A run's folder on disk.

    Args:
        path: The folder; it exists.
        record: What its run.json says.
    """

    def __init__(self, path: Path, record: RunRecord) -> None:
        self.path = path
        self.record = record

    @property
    def log(self) -> Path:
        """Everything the runner, the steps and their libraries printed."""
        return self.path / LOG

    @property
    def checkpoints(self) -> Path:
        """Where training is saved, unless elsewhere."""
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
        """Hold the run for this process; the system lets go of it when the process ends.

        Yields:
            The file descriptor of the lock. A process that inherits it holds the run too.

        Raises:
            InputError: If another process is running it.
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
                file.seek(0)  # who holds it may not have written run.json yet
                holder = file.read(20) or self.record.pid
                raise InputError(
                    f"run '{self.record.name}' is still going, in process {holder}",
                    where=str(self.path),
                    expected="a run that has been killed, interrupted or has failed",
                    remedy="wait until it has ended, or end it",
                ) from held
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield file.fileno()

    def status(self) -> Status:
        """How it stands now: what says that it is running, and is held by nobody, was killed."""
        if self.record.status == "running" and not self._is_held():
            return "interrupted"
        return self.record.status

    def _is_held(self) -> bool:
        try:
            with (self.path / _LOCK).open() as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except OSError:  # held, or not ours to tell
            return True
        return False

    @property
    def outcome(self) -> str:
        """The status, and what is wrong with the model of a run that succeeded."""
        verdict = self.record.verdict
        status = self.status()
        if status != "succeeded" or verdict is None or verdict.is_fine:
            return status
        return f"finished: {verdict.kind}"

    def can_be_resumed(self) -> bool:
        """Whether training was saved in the folder; each trial of a comparison has one in it."""
        return any(self.checkpoints.glob("**/step-*/checkpoint.json"))

    def check_unfinished(self) -> None:
        """Check that there is something to go on with.

        Raises:
            InputError: If the run has succeeded.
        """
        record = self.record
        if record.status == "succeeded":
            raise InputError(
                f"run '{record.name}' has succeeded",
                where=str(self.path),
                expected="a run that has been killed, interrupted or has failed",
                remedy="kfp-finetune run starts another",
            )

    def begin_again(self) -> None:
        """Forget what the steps have left, but not where training was saved."""
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
                remedy="start another run; what this one has made is still in the folder",
            ) from None

    @classmethod
    def create(
        cls, runs_dir: Path, name: str | None, pipeline: str, parameters: dict[str, Any]
    ) -> RunFolder:
        """Make a folder for a new run and write its first run.json.

        Args:
            runs_dir: The folder of runs; made if it is not there.
            name: The run's name; None for the dataset's name and the time.
            pipeline: The pipeline's name.
            parameters: All of them.

        Raises:
            InputError: If the name is not usable or taken, or the folder cannot be written.
        """
        check_name(runs_dir, name)
        try:
            runs_dir.mkdir(parents=True, exist_ok=True)
            path = _make(runs_dir, name, parameters)
            folder = cls(
                Path(os.path.abspath(path)),  # noqa: PTH100 - as KFP spells it, links kept
                RunRecord(
                    name=path.name, pipeline=pipeline, parameters=parameters, pid=os.getpid()
                ),
            )
            folder.save()
        except OSError as error:
            raise InputError(
                f"the folder of runs cannot be written: {error.strerror or error}",
                where=str(runs_dir),
                expected="a folder in which a new one can be made",
                remedy="give another with --runs-dir",
            ) from None
        return folder


def check_name(runs_dir: Path, name: str | None) -> None:
    """Check that a new run can have a name.

    Args:
        runs_dir: The folder of runs.
        name: The name; None: it will be given one.

    Raises:
        InputError: If the name is not usable or taken.
    """
    if name is None:
        return
    if not _NAME.fullmatch(name):
        raise InputError(
            f"'{name}' cannot be the name of a run",
            where="--name",
            expected="1 to 100 letters, digits, '.', '_' or '-', a letter or digit first",
            remedy="choose another name",
        )
    if os.path.lexists(runs_dir / name):
        raise _taken(runs_dir, name)


def _taken(runs_dir: Path, name: str) -> InputError:
    return InputError(
        f"run '{name}' already exists",
        where=str(runs_dir / name),
        expected="a new name",
        remedy="choose another with --name, or omit it to get one",
    )


def find(name: str, runs_dir: Path) -> Path:
    """The folder of a run, given by its name or as a folder.

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
        expected="one of: " + ", ".join(known[-10:]) if known else "a folder of runs",
        remedy="give a run's name, its folder, or another --runs-dir",
    )


def newest(runs_dir: Path) -> Path:
    """The folder of the run that was started last.

    Raises:
        InputError: If there are no runs.
    """
    records = list(runs_dir.glob(f"*/{RECORD}"))
    if not records:
        raise InputError(
            "there are no runs",
            where=str(runs_dir),
            expected="a folder of runs",
            remedy="kfp-finetune run makes one; or give another --runs-dir",
        )
    started = {}
    for record in records:
        try:
            started[record.parent] = RunFolder.open(record.parent).record.started_at
        except InputError:  # a damaged record has no time; of the only run it is said
            if len(records) == 1:
                raise
    return max(started, key=lambda folder: (started[folder], folder.name)).resolve()


def _make(runs_dir: Path, name: str | None, parameters: dict[str, Any]) -> Path:
    """Make the folder; `mkdir` decides between two runs that want the same name at once."""
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
