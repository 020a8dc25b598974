"""A cluster, and the command on it, in this process: what it would print, and its exit code."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kfp_finetune.cli import main as command_line
from kfp_finetune.cli.cluster import calls, watch
from tests import tiny
from tests.cli.cluster.kubeflow import Kubeflow, serve
from tests.cli.cluster.replay import Replay


@pytest.fixture
def served() -> Iterator[tuple[str, Kubeflow]]:
    """A Kubeflow's address, and itself."""
    with serve() as served:
        yield served


@pytest.fixture
def kubeflow(served: tuple[str, Kubeflow]) -> Kubeflow:
    return served[1]


@pytest.fixture
def replayed(kubeflow: Kubeflow) -> Callable[..., Replay]:
    """Has the server answer what a real one answered about these runs."""

    def replayed(*names: str) -> Replay:
        kubeflow.replay = Replay(*names)
        return kubeflow.replay

    return replayed


@dataclass
class Cli:
    """Runs the command line; every call gets the host."""

    host: str
    capture: pytest.CaptureFixture[str]

    def __call__(self, *arguments: str, host: bool = True) -> tuple[int, str, str]:
        options = ["--host", self.host] if host else []
        self.capture.readouterr()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sys.argv", ["kfp-finetune", *arguments, *options])
            try:
                command_line.main()
                code = 0
            except SystemExit as end:
                code = int(end.code or 0)
        out, err = self.capture.readouterr()
        return code, out, err


@pytest.fixture
def cli(
    served: tuple[str, Kubeflow],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Cli:
    """The command line in a folder of its own, with a cluster, and little patience."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))  # kfp keeps a context there
    for name in ("KFP_TOKEN", "KFP_COOKIES", "KF_PIPELINES_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(calls, "_SECONDS_BETWEEN_ATTEMPTS", 0.01)
    monkeypatch.setattr(watch, "SECONDS_BETWEEN_LOOKS", 0.01)
    return Cli(served[0], capsys)


@pytest.fixture
def data(cli: Cli, tmp_path: Path) -> dict[str, Path]:
    """A small dataset and a model on this disk."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    (tmp_path / "model" / "vocab.txt").write_text("a\nb\n")
    return {
        "dataset": tiny.write_csv(tmp_path / "train.csv", tiny.rows(20)),
        "model": tmp_path / "model",
    }


@pytest.fixture
def submit(cli: Cli) -> Callable[..., tuple[int, str, str]]:
    """Submits what needs no uploading."""

    def submit(*arguments: str, **parameters: Any) -> tuple[int, str, str]:
        given = {"dataset": "fancyzhx/ag_news", "model": "distilbert/distilbert-base-uncased"}
        options = [part for n, v in (given | parameters).items() for part in (f"--{n}", str(v))]
        return cli("submit", *options, *arguments)

    return submit
