"""`kfp-finetune tensorboard`: the real one, on small logs."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest

from kfp_finetune.cli.local import tensorboard
from kfp_finetune.components.errors import InputError
from kfp_finetune.runs.folder import RunFolder
from tests.evaluate.browser import CHROMIUM, Chromium

COMMAND = Path(sys.executable).with_name("kfp-finetune")


def make_run(runs: Path, name: str, *, status: str = "succeeded", logs: bool = True) -> RunFolder:
    folder = RunFolder.create(runs, name, "finetune", {})
    folder.record.status = status  # type: ignore[assignment]
    folder.save()
    if logs:
        write_logs(folder.path / "steps" / "finetune" / "tensorboard_logs")
    return folder


def rate(step: int) -> float:
    return 1e-3 * (step + 1)


def write_logs(folder: Path, steps: int = 3) -> None:
    """An event file; TensorBoard's own writer takes 15 s for 100,000 steps."""
    import google_crc32c
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary

    def checked(data: bytes) -> bytes:
        crc = google_crc32c.value(data)
        masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
        return data + struct.pack("<I", masked)

    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "events.out.tfevents.1.here").open("wb") as file:
        for step in range(-1, steps):
            event = Event(step=step, wall_time=step, file_version="brain.Event:2")
            if step >= 0:
                value = Summary.Value(tag="train/learning_rate", simple_value=rate(step))
                event = Event(step=step, wall_time=step, summary=Summary(value=[value]))
            record = event.SerializeToString()
            file.write(checked(struct.pack("<Q", len(record))) + checked(record))


@contextlib.contextmanager
def served(folder: Path, *arguments: str) -> Iterator[str]:
    """The command at work; gives the URL that it prints."""
    process = subprocess.Popen(
        [COMMAND, "tensorboard", *arguments],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout
    try:
        yield process.stdout.readline().removeprefix("TensorBoard: ").strip()
    finally:
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")


def points(url: str, run: str, count: int) -> list[Any]:
    """The learning rate's points as the page is given them, once there are so many."""
    parts = urlsplit(url)
    query = f"run={run}&tag=train%2Flearning_rate"
    found: list[Any] = []
    deadline = time.monotonic() + 60
    while len(found) < count and time.monotonic() < deadline:
        with contextlib.suppress(urllib.error.HTTPError):  # the run is not read yet
            address = f"http://localhost:{parts.port}/data/plugin/scalars/scalars?{query}"
            found = json.loads(get(address))
        time.sleep(0.2)
    return found


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
        with served(tmp_path, "one", "other/two", "--port", str(port)) as url:
            parts = urlsplit(url)
            assert parts.port and parts.port > port
            pinned = json.loads(parse_qs(parts.query)["pinnedCards"][0])
            assert pinned == [{"plugin": "scalars", "tag": "train/learning_rate"}]
            assert parts.fragment == "timeseries"
            assert b"<title>TensorBoard</title>" in get(url)
            write_logs(two.path / "steps" / "finetune" / "tensorboard_logs")
            for run in ("one", "two"):
                assert [step for _, step, _ in points(url, run, 3)] == [0, 1, 2]


def test_every_step_of_a_long_run_is_given_to_the_page(tmp_path: Path) -> None:
    make_run(tmp_path / "runs", "long", logs=False)
    write_logs(tmp_path / "runs/long/steps/finetune/tensorboard_logs", 100_000)
    with served(tmp_path, "long", "--port", "0") as url:
        found = points(url, "long", 100_000)
    assert [step for _, step, _ in found] == list(range(100_000))
    assert [value for _, _, value in found] == pytest.approx([rate(s) for s in range(100_000)])


def test_the_learning_rate_is_drawn_in_a_browser(tmp_path: Path) -> None:
    if not CHROMIUM:
        pytest.skip("chromium is not installed: no page is opened in a browser")
    make_run(tmp_path / "runs", "one", logs=False)
    write_logs(tmp_path / "runs/one/steps/finetune/tensorboard_logs", 3000)
    browser = Chromium(tmp_path / "chromium")
    try:
        with served(tmp_path, "one", "--port", "0") as url:
            assert len(points(url, "one", 3000)) == 3000
            browser.open(url, 1200)
            drawn = chart(browser, lambda line: line.any(axis=0).sum() > 300)
            # An empty chart to compare with: the same one without what is drawn on it.
            browser.run("document.querySelector('line-chart canvas').style.visibility = 'hidden'")
            empty = chart(browser, lambda line: not line.any())
    finally:
        browser.close()
    assert not empty.any()
    assert drawn.any(axis=0).mean() > 0.7  # a line over all steps; the chart has margins
    heights = drawn.argmax(axis=0)[drawn.any(axis=0)]  # from the top, column by column
    assert (abs(heights - np.linspace(heights[0], heights[-1], len(heights))) < 5).all()
    assert heights[0] - heights[-1] > 150  # straight, from the bottom to the top: as `rate` is


def chart(browser: Chromium, looks: Callable[[Any], bool]) -> Any:
    """Which pixels of the pinned chart are a line's, once it looks as expected: it is animated.

    Lines have colours; axes and the grid are grey.
    """
    deadline = time.monotonic() + 60
    while True:
        line = np.zeros((1, 1), dtype=bool)
        if browser.run("document.querySelector('line-chart .series-view') !== null"):
            line = np.ptp(browser.picture("line-chart .series-view"), axis=2) > 20
        if looks(line) or time.monotonic() > deadline:
            return line
        time.sleep(0.5)


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
    assert caught.value.remedy == "pip install 'kfp-finetune[tensorboard]'"


def test_the_newest_run_is_the_one_started_last(tmp_path: Path) -> None:
    for name, started in (("b", "2026-01-01"), ("a", "2026-03-01"), ("c", "2026-02-01")):
        run = make_run(tmp_path, name, logs=False)
        run.record.started_at = started
        run.save()
    assert tensorboard.newest(tmp_path).name == "a"


def test_an_address_that_is_not_ours(tmp_path: Path) -> None:
    make_run(tmp_path, "one")
    with pytest.raises(InputError, match="cannot listen on any port from"):
        tensorboard.serve([], tmp_path, "192.0.2.1", 6006)
