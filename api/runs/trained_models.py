"""Find a trained model by a run's name, a run's folder, or the model's folder."""

from __future__ import annotations

from pathlib import Path

from kfp_finetune.components.artifacts.model import MANIFEST
from kfp_finetune.components.errors import InputError
from kfp_finetune.runs.folder import RECORD, RunFolder, find


def find_model(name: str, runs_dir: Path) -> Path:
    """The folder of a trained model.

    Args:
        name: A run's name, a run's folder, or a model's folder with its manifest.
        runs_dir: The folder of runs.

    Returns:
        The model's folder, absolute.

    Raises:
        InputError: If there is no such run or model, or the run has no model.
    """
    folder = Path(name)
    if not (runs_dir / name / RECORD).is_file() and folder.is_dir():
        if (folder / MANIFEST).is_file():
            return folder.resolve()
        if not (folder / RECORD).is_file():
            raise InputError(
                f"the folder is not a model trained by kfp-finetune: it has no {MANIFEST}",
                where=name,
                expected="a run, or the model in it; other models must be trained first",
                remedy="kfp-finetune run --model " + name,
            )
    run = RunFolder.open(find(name, runs_dir))
    path = run.path.absolute() / run.record.artifacts.get("model", "")
    if path == run.path.absolute() or not (path / MANIFEST).is_file():
        raise InputError(
            f"run '{run.record.name}' has no model; its status is {run.record.status}",
            where=str(run.path),
            expected="a run whose finetune step has succeeded",
            remedy=f"kfp-finetune resume {run.record.name}, or give another run",
        )
    return path


def base_model(name: str, runs_dir: Path) -> str:
    """Replace the name of an earlier run in `--model` by the folder of its model.

    Raises:
        InputError: If that run has no model.
    """
    is_model = (Path(name) / "config.json").is_file()
    is_run = any((folder / RECORD).is_file() for folder in (runs_dir / name, Path(name)))
    return str(find_model(name, runs_dir)) if is_run and not is_model else name


def run_of(model: Path) -> RunFolder | None:
    """The run that a model's folder belongs to; None if it is not part of a run."""
    for folder in model.parents:
        if (folder / RECORD).is_file():
            run = RunFolder.open(folder)
            return run if folder / run.record.artifacts.get("model", "") == model else None
    return None
