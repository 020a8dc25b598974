"""Fixtures: the command line on the toy pipeline, which is the real one's code without training."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from kfp_finetune.pipelines.catalog import Pipeline

_RUN = ("run", "--dataset", "data.csv", "--model", "model.bin")
# The whole command, with the toy in the real pipeline's place.
_COMMAND = """
from kfp_finetune.pipelines import catalog
toy = catalog.Pipeline("toy", "toy_pipeline", "toy")
catalog.PIPELINES |= {"finetune": toy, "toy": toy}  # a run says which it was
from kfp_finetune.cli.main import main
main()
"""


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """The toy pipeline, compiled."""
    from kfp_finetune.cli.pipeline.compilation import compile_pipeline
    from kfp_finetune.pipelines.catalog import Pipeline

    folder = tmp_path_factory.mktemp("toy")
    shutil.copy(Path(__file__).with_name("pipeline.py"), folder / "toy_pipeline.py")
    sys.path.insert(0, str(folder))
    pipeline = Pipeline("toy", "toy_pipeline", "toy")
    compile_pipeline(pipeline, folder / "pipeline.yaml")
    sample = folder / "sample"
    sample.mkdir()
    (sample / "data.csv").write_text("sample\n")
    (sample / "model").mkdir()
    (sample / "model" / "config.json").write_text("{}")
    (sample / "sample.yaml").write_text("dataset: data.csv\nmodel: model\nlearning_rate: 1e-3\n")
    return pipeline


@dataclass
class Cli:
    """Runs the command in a folder with a small dataset and a model."""

    folder: Path
    modules: Path

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        environment = {k: v for k, v in os.environ.items() if k not in ("CI", "NO_COLOR")}
        environment |= {"PYTHONPATH": str(self.modules)} | options.pop("environment", {})
        return subprocess.Popen(
            [sys.executable, "-c", _COMMAND, *arguments],
            cwd=self.folder,
            env=environment,
            text=True,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options,
        )

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=120)
        return process.returncode, out, err

    def run(self, *arguments: str) -> tuple[int, str, str]:
        return self(*_RUN, *arguments)

    def start_run(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        return self.start(*_RUN, *arguments, **options)

    def record(self, name: str) -> dict[str, Any]:
        record: dict[str, Any] = json.loads((self.folder / "runs" / name / "run.json").read_text())
        return record

    def cached(self, name: str) -> dict[str, bool]:
        return {step: r["cached"] for step, r in self.record(name)["steps"].items()}


@pytest.fixture
def cli(toy: Pipeline, tmp_path: Path) -> Cli:
    """The command on the toy pipeline, in a folder of its own."""
    (tmp_path / "data.csv").write_text("one\ntwo\nthree\n")
    (tmp_path / "model.bin").write_text("weights")
    return Cli(tmp_path, toy.folder)
