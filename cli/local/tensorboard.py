"""Show runs side by side in TensorBoard."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.temporary import temporary_folder
from kfp_finetune.local.processes import Interrupted, interruptible
from kfp_finetune.progress.trials import Trials
from kfp_finetune.runs.folder import STEPS, RunFolder, find, newest

_LOGS = f"{STEPS}/finetune/tensorboard_logs"
_PORTS_TRIED = 50
_SECONDS_TO_START = 600.0  # for a busy machine; an early end is noticed immediately
# Points per curve, more than any run has. By default TensorBoard picks 1,000 at random; with 0,
# which should mean all according to its help, TensorBoard 2.21 draws nothing.
_POINTS = 10**9
# TensorBoard without TensorFlow, which it would import for 5 s only to read files from this disk.
# The module `notf` is TensorBoard's own switch for this.
_START = """
import sys, types
sys.modules["tensorboard.compat.notf"] = types.ModuleType("notf")
from tensorboard.main import run_main
run_main()
"""
_ENDED = {
    "succeeded": "has no step that writes them",
    "failed": "failed before finetune was done",
    "interrupted": "was interrupted before finetune was done",
}
# Pins the learning rate at the top.
_PINNED = json.dumps([{"plugin": "scalars", "tag": "train/learning_rate"}], separators=(",", ":"))


def serve(names: Sequence[str], runs_dir: Path, bind: str, port: int) -> None:
    """Show runs in TensorBoard until interrupted.

    Args:
        names: Names of runs in `runs_dir`, or folders of runs; empty for the newest.
        runs_dir: The folder of runs.
        bind: The address to listen on.
        port: The first port to try.

    Raises:
        InputError: If a run does not exist or has no logs, no port is free, or TensorBoard is
            missing.
    """
    check_installed()
    folders = [find(name, runs_dir) for name in names] or [newest(runs_dir)]
    shown: dict[Path, Path] = {}
    for folder in dict.fromkeys(folders):
        shown |= logs_of(folder)
    serve_logs(shown, bind, port)


def check_installed() -> None:
    """Check that TensorBoard is installed.

    Raises:
        InputError: If it is not installed.
    """
    if find_spec("tensorboard") is None:
        raise InputError(
            "TensorBoard is not installed",
            where="this Python environment",
            expected="the extra [tensorboard]",
            remedy="pip install 'kfp-finetune[tensorboard]'",
        )


def serve_logs(logs: Mapping[Path, Path], bind: str, port: int) -> None:
    """Show folders of event files in TensorBoard until interrupted.

    Args:
        logs: The folders of event files, by the runs' folders, which determine their names.
        bind: The address to listen on.
        port: The first port to try.

    Raises:
        InputError: If no port is free.
    """
    port = _free_port(bind, port)
    with (
        contextlib.suppress(Interrupted),  # the usual end
        interruptible(),
        temporary_folder() as temporary,
    ):
        shown = Path(temporary, "runs")
        shown.mkdir()
        for name, log_folder in zip(_titles(list(logs)), logs.values(), strict=True):
            (shown / name).symlink_to(log_folder, target_is_directory=True)
        _serve(shown, Path(temporary, "log"), bind, port)


def logs_of(folder: Path) -> dict[Path, Path]:
    """The folders of a run's event files, by name; several for a comparison.

    Raises:
        InputError: If the run has ended without event files.
    """
    record = RunFolder.open(folder).record
    trials = Trials(record.parameters.get("candidates") or [])
    compared = {
        folder / trials.name(int(key.partition("/")[0])): folder / path
        for key, path in record.artifacts.items()
        if key.endswith("/finetune.tensorboard_logs")
    }
    if compared:
        return compared
    logs = folder / record.artifacts.get("tensorboard_logs", _LOGS)
    # A running run may not have any yet.
    if record.status != "running" and not logs.is_dir():
        raise InputError(
            f"run '{record.name}' has no TensorBoard logs: it {_ENDED[record.status]}",
            where=str(logs),
            expected="a run that has finished its step finetune",
            remedy="choose another run; kfp-finetune runs lists them",
        )
    return {folder: logs}


def _titles(folders: Sequence[Path]) -> list[str]:
    """A name for each run; by default the name of its folder, if that is unique."""
    names = [folder.name for folder in folders]
    return [
        name if names.count(name) == 1 else f"{folder.parent.name}-{name}-{number}"
        for number, (name, folder) in enumerate(zip(names, folders, strict=True), start=1)
    ]


def _free_port(bind: str, first: int) -> int:
    for port in range(first, min(first + _PORTS_TRIED, 65536)):
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(
                bind, port, type=socket.SOCK_STREAM
            )[0]
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
                return int(probe.getsockname()[1])
        except socket.gaierror:
            break
        except OSError:
            continue
    raise InputError(
        f"cannot listen on any port from {first}",
        where=f"--bind {bind} --port {first}",
        expected="an address of this machine and a free port",
        remedy="use another --port or --bind",
    )


def _serve(logs: Path, output: Path, bind: str, port: int) -> None:
    command = [sys.executable, "-c", _START, "--logdir", str(logs)]
    command += ["--samples_per_plugin", f"scalars={_POINTS}"]
    command += ["--host", bind, "--port", str(port)]
    with output.open("w", encoding="utf-8") as file:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=os.environ | {"PYTHONSAFEPATH": "1"},
            process_group=0,  # Ctrl-C ends this command, which ends the server
        )
    try:
        _wait_until_it_listens(process, bind, port)
        if process.poll() is None:
            shown = "localhost" if bind in ("0.0.0.0", "::") else bind  # noqa: S104
            address = f"[{shown}]" if ":" in shown else shown
            print(f"TensorBoard: http://{address}:{port}/?pinnedCards={quote(_PINNED)}#timeseries")
            print("Press Ctrl-C to stop.", flush=True)
        process.wait()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)  # including its data server
        process.wait()
    last = output.read_text(encoding="utf-8", errors="replace")[-2000:].strip()
    raise RuntimeError(f"TensorBoard ended unexpectedly:\n{last}")


def _wait_until_it_listens(process: subprocess.Popen[bytes], bind: str, port: int) -> None:
    deadline = time.monotonic() + _SECONDS_TO_START
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection((bind, port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
