"""A trained model, by the run that made it or by its folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kfp_finetune.cli.run_folder import RECORD, RunFolder
from kfp_finetune.components.artifacts import model as model_artifact
from kfp_finetune.components.errors import InputError

_MADE = "model"


@dataclass(frozen=True)
class Trained:
    """Where a trained model is.

    Attributes:
        folder: The run's folder, or the model's own.
        model: The model's folder.
        parameters: The run's; empty where there is no run.
    """

    folder: Path
    model: Path
    parameters: dict[str, Any] = field(default_factory=dict)


def find_model(name: str, runs_dir: Path) -> Trained:
    """Find a trained model.

    Args:
        name: A run's name, its folder, or the folder of a model that finetune wrote.
        runs_dir: The folder of runs.

    Raises:
        InputError: If it is neither, or the run has no model.
    """
    for path in (runs_dir / name, Path(name)):
        if (path / RECORD).is_file():
            return _of_run(RunFolder.open(path.resolve()))
    folder = Path(name)
    if not (folder / model_artifact.MANIFEST).is_file():
        raise InputError(
            f"'{name}' is neither a run nor a model",
            where=str(folder if folder.is_dir() else runs_dir),
            expected=f"a run in {runs_dir}, a run's folder, or a model's folder with"
            f" {model_artifact.MANIFEST}, as finetune writes it",
            remedy="kfp-finetune runs lists the runs; or give another --runs-dir",
        )
    return Trained(folder.resolve(), folder.resolve())


def _of_run(run: RunFolder) -> Trained:
    path = run.path / run.record.artifacts.get(_MADE, _MADE)
    if not (path / model_artifact.MANIFEST).is_file():
        raise InputError(
            f"run '{run.record.name}' has no model",
            where=str(run.path),
            expected="a run whose step finetune has ended",
            remedy=f"kfp-finetune resume {run.record.name}, or give another run",
        )
    return Trained(run.path, path, run.record.parameters)
