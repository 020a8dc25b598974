"""`kfp-finetune tensorboard`: the real one, on small logs."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from kfp_finetune.cli import tensorboard
from kfp_finetune.cli.run_folder import RunFolder
from kfp_finetune.components.errors import InputError

COMMAND = Path(sys.executable).with_name("kfp-finetune")


def make_run(runs: Path, name: str, *, status: str = "succeeded", logs: bool = True) -> RunFolder:
    folder = RunFolder.create(runs, name, "finetune", {})
    folder.record.status = status  # type: ignore[assignment]
    folder.save()
    if logs:
        write_logs(folder.path / "steps" / "finetune" / "tensorboard_logs")
    return folder


def write_logs(folder: Path) -> None:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    writer = EventFileWriter(str(folder))
    for step in range(3):
        value = Summary.Value(tag="train/learning_rate", simple_value=1e-3 * step)
        writer.add_event(Event(step=step, wall_time=step, summary=Summary(value=[value])))
    writer.close()


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310
        return answer.read()


def test_it_serves_runs_side_by_side_and_one_still_going(tmp_path: Path) -> None:
    make_run(tmp_path / "runs", "one")
    two = make_run(tmp_path / "other", "two", status="running", logs=False)
    with socket.socket() as taken:  # the first port asked for is in use
        taken.bind(("localhost", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = subprocess.Popen(
            [COMMAND, "tensorboard", "one", "other/two", "--port", str(port)],
            cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stdout
        line = process.stdout.readline()
    try:
        url = line.removeprefix("TensorBoard: ").strip()
        parts = urlsplit(url)
        assert parts.port and parts.port > port
        pinned = json.loads(parse_qs(parts.query)["pinnedCards"][0])
        assert pinned == [{"plugin": "scalars", "tag": "train/learning_rate"}]
        assert parts.fragment == "timeseries"
        assert b"<title>TensorBoard</title>" in get(url)
        write_logs(two.path / "steps" / "finetune" / "tensorboard_logs")
        base = f"http://localhost:{parts.port}"
        deadline = time.monotonic() + 60
        tags: dict[str, Any] = {}
        while set(tags) != {"one", "two"} and time.monotonic() < deadline:
            tags = json.loads(get(f"{base}/data/plugin/scalars/tags"))
            time.sleep(0.2)
        assert {run: list(of) for run, of in tags.items()} == {
            "one": ["train/learning_rate"],
            "two": ["train/learning_rate"],
        }
    finally:
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["gone"], "there is no run 'gone'\n  where:    {runs}\n  expected: one of: bare, whole\n"),
        (["bare"], "run 'bare' has no TensorBoard logs: it failed before finetune was done\n"),
    ],
)
def test_runs_that_cannot_be_shown(tmp_path: Path, names: list[str], message: str) -> None:
    make_run(tmp_path, "whole")
    make_run(tmp_path, "bare", status="failed", logs=False)
    with pytest.raises(InputError) as caught:
        tensorboard.serve(names, tmp_path, "localhost", 6006)
    assert str(caught.value).startswith(message.format(runs=tmp_path))


def test_without_any_run(tmp_path: Path) -> None:
    done = subprocess.run([COMMAND, "tensorboard"], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.match(r"error: there are no runs\n  where:    runs\n", done.stderr)


def test_without_tensorboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorboard, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="TensorBoard is not installed") as caught:
        tensorboard.serve([], tmp_path, "localhost", 6006)
    assert caught.value.remedy == "pip install tensorboard"


def test_the_newest_run_is_the_one_started_last(tmp_path: Path) -> None:
    for name, started in (("b", "2026-01-01"), ("a", "2026-03-01"), ("c", "2026-02-01")):
        run = make_run(tmp_path, name, logs=False)
        run.record.started_at = started
        run.save()
    assert tensorboard.newest(tmp_path).name == "a"


def test_an_address_that_is_not_ours(tmp_path: Path) -> None:
    make_run(tmp_path, "one")
    with pytest.raises(InputError, match="no port to listen on"):
        tensorboard.serve([], tmp_path, "192.0.2.1", 6006)
