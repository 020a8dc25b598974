"""The reporting of pipeline steps: events on standard output, errors and exit codes.

KFP itself reports only "Inner task failed", and the output of a pipeline step is a stream of text
whether it runs in a subprocess, a Docker container or a pod. So a step prints lines with one JSON
object each, which the command line turns into a progress bar, `run.json` and an error message.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import shutil
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from kfp_finetune.components import metadata
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.options import as_given, on_cluster
from kfp_finetune.components.storage.uris import without_secrets
from kfp_finetune.components.version import difference_from_client

ERROR_LINE = "KFP_FINETUNE_ERROR"
EVENT_LINE = "KFP_FINETUNE_EVENT"
_LINE = re.compile(rf"({EVENT_LINE}|{ERROR_LINE}) {{")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_VECTORS = ("amx", "avx", "fma", "asimd", "bf16", "sve")
_SECONDS_BETWEEN_PROGRESS = 0.2
_SECONDS_BETWEEN_LINES = 10.0


def emit(event: str, step: str, **fields: Any) -> None:
    """Print one event line; a note is also printed as text.

    Args:
        event: "started", "progress", "note", "verdict", "cached" or "finished".
        step: The component's name, e.g. "load_data".
        **fields: The values of the event, which JSON can represent.
    """
    shown = {n: without_secrets(v) if isinstance(v, str) else v for n, v in fields.items()}
    if event == "note":
        print(f"{step}: {shown['text']}")
    print(EVENT_LINE, json.dumps({"event": event, "step": step, **shown}), flush=True)


def parse_line(line: str) -> tuple[str, dict[str, Any]] | None:
    """Read a line that `emit` or a failing `step` printed.

    Anything that the runner put before it (indentation, a timestamp, a pod's name) is skipped.

    Returns:
        (`EVENT_LINE` or `ERROR_LINE`, the object), or None for any other line.
    """
    found = _LINE.search(line)
    if found is None:
        return None
    try:
        return found[1], json.loads(line[found.end() - 1 :])
    except ValueError:
        return None


class Terminated(BaseException):
    """The process received SIGTERM and has saved its work; this is not an error.

    Args:
        message: The progress so far.
    """

    exit_code = 128 + signal.SIGTERM


_terminating = threading.Event()


@contextlib.contextmanager
def termination_deferred() -> Iterator[None]:
    """Let SIGTERM make `check_not_terminated` raise instead of ending the process."""
    before = signal.signal(signal.SIGTERM, lambda *_: _terminating.set())
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def check_not_terminated() -> None:
    """Raise `Terminated` if SIGTERM arrived within `termination_deferred`."""
    if _terminating.is_set():
        raise Terminated("terminated")


class Progress:
    """Report progress: up to five events per second, and a line for people every ten seconds.

    On a cluster only people read the output, in the UI's Logs panel, so there are no events.

    Args:
        step: The component's name.
        total: Number of units; None if unknown.
        unit: The unit in the plural: "rows", "steps".
    """

    def __init__(self, step: str, total: int | None, unit: str) -> None:
        self._step = step
        self._total = total
        self._unit = unit
        self._last = self._last_line = 0.0
        self._for_machines = not on_cluster()
        self._between = _SECONDS_BETWEEN_PROGRESS if self._for_machines else _SECONDS_BETWEEN_LINES
        self._first: tuple[int, float] | None = None

    def due(self, done: int) -> bool:
        """Return True if it is time for another line."""
        return time.monotonic() - self._last >= self._between or done == self._total

    def update(self, done: int, detail: str = "", more: str = "") -> None:
        """Report that `done` units of the total are done.

        Args:
            done: Number of units.
            detail: Text beside the progress bar.
            more: More text for the log, which has no bar.
        """
        if not self.due(done):
            return
        now = self._last = time.monotonic()
        self._first = self._first or (done, now)
        if now - self._last_line >= _SECONDS_BETWEEN_LINES or done == self._total:
            self._last_line = now
            print(self._line(done, " · ".join(filter(None, (detail, more))), now), flush=True)
        if self._for_machines:
            emit(
                "progress", self._step, done=done, total=self._total, unit=self._unit, detail=detail
            )

    def _line(self, done: int, detail: str, now: float) -> str:
        of = f" of {self._total:,}" if self._total is not None else ""
        line = f"{self._step}: {done:,}{of} {self._unit}" + (f" · {detail}" if detail else "")
        before, began = self._first or (done, now)
        if self._total is None or not before < done < self._total:
            return line
        left = round((self._total - done) * (now - began) / (done - before))
        return f"{line} · {left // 3600}:{left // 60 % 60:02}:{left % 60:02} left"


class Output(Protocol):
    """An output artifact, as KFP passes it."""

    uri: str
    path: str
    metadata: dict[str, Any]


@contextlib.contextmanager
def step(name: str, *outputs: Output) -> Iterator[dict[str, str]]:
    """Run a component's work; on failure report the reason and remove unfinished outputs.

    Outputs without a file, such as metrics, get one with their metadata: Kubeflow's UI shows the
    beginning of every artifact's file, and a red error if there is none.

    Args:
        name: The component's name.
        *outputs: The output artifacts; removed on failure, otherwise their metadata is checked.

    Yields:
        The outputs' URIs by name. Every component returns them as the parameter `artifact_uris`,
        which KFP's cache keeps, so that a run knows where its artifacts are even if another run
        produced them.

    Raises:
        SystemExit: With code 2 for wrong input, 1 for anything else.
    """
    try:
        if difference := difference_from_client():
            print(f"warning: {difference}", flush=True)
        yield {output.uri.rstrip("/").rpartition("/")[2]: output.uri for output in outputs}
        for output in outputs:
            metadata.check(output.metadata, output.uri.rstrip("/").rpartition("/")[2])
            path = Path(output.path)
            if path.parent.is_dir() and not path.exists():  # KFP makes the folder
                text = json.dumps(output.metadata, indent=1, ensure_ascii=False)
                path.write_text(f"{text}\n", encoding="utf-8")
    except BaseException as error:
        for output in outputs:
            _remove(Path(output.path))
        if isinstance(error, InputError):
            print(f"error: {as_given(without_secrets(str(error)))}")
            _print_error(name, "input", error.as_dict())
            raise SystemExit(InputError.exit_code) from None
        if isinstance(error, Terminated):
            _print_error(name, "terminated", {"found": str(error)})
            raise SystemExit(Terminated.exit_code) from None
        print(without_secrets(traceback.format_exc()), file=sys.stderr)
        _print_error(name, "internal", {"found": f"{type(error).__name__}: {error}".strip()})
        raise SystemExit(1) from None


def _print_error(step: str, kind: str, parts: dict[str, str]) -> None:
    shown = {part: without_secrets(text) for part, text in parts.items()}
    print(ERROR_LINE, json.dumps({"step": step, "kind": kind, **shown}), flush=True)


def run_of(output_uri: str) -> str:
    """The owner of an output: the same for a retry, different for every other run.

    On a cluster an output is PIPELINE_ROOT/PIPELINE/RUN_ID/TASK/UUID/OUTPUT, where a retry may get
    another UUID; locally it is RUN/steps/STEP/OUTPUT.
    """
    step = output_uri.rstrip("/").rpartition("/")[0]
    parent, _, last = step.rpartition("/")
    return parent if _UUID.fullmatch(last) else step


def is_uuid(name: str) -> bool:
    """Return True if a name has the form of KFP's run ids."""
    return bool(_UUID.fullmatch(name))


def schedulable_cpus() -> int:
    """The number of CPUs in this process's CPU affinity."""
    affinity = getattr(os, "sched_getaffinity", None)  # macOS has none
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def available_cpus() -> int:
    """The number of CPUs for this process: the CPU affinity, or a smaller container quota."""
    cpus = schedulable_cpus()
    with contextlib.suppress(OSError, ValueError):  # cgroup v2
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        if quota != "max":
            cpus = min(cpus, max(1, int(quota) // int(period)))
    with contextlib.suppress(OSError, ValueError):  # cgroup v1
        quota_us = int(Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us").read_text())
        period_us = int(Path("/sys/fs/cgroup/cpu/cpu.cfs_period_us").read_text())
        if quota_us > 0:
            cpus = min(cpus, max(1, quota_us // period_us))
    return cpus


def available_memory() -> int:
    """The memory that this process may use: the machine's, or a smaller container limit.

    Returns:
        The number of bytes; 0 if unknown.
    """
    memory = 0
    with contextlib.suppress(OSError, ValueError, IndexError):
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for limit in ("memory.max", "memory/memory.limit_in_bytes"):  # cgroup v2, v1
        with contextlib.suppress(OSError, ValueError):
            memory = min(memory, int(Path("/sys/fs/cgroup", limit).read_text()))
    return memory


def processor() -> str:
    """The processor's name and its vector instructions, which determine the numeric kernels."""
    name, vectors = platform.processor() or platform.machine(), []
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                name = value.strip()
            if key.strip() in ("flags", "Features"):
                vectors = sorted(f for f in value.split() if f.startswith(_VECTORS))
                break
    return f"{name} ({' '.join(vectors)})" if vectors else name


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
