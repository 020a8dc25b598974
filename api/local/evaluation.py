"""Score a trained model on other data."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kfp_finetune.components.artifacts import model as model_artifact
from kfp_finetune.components.artifacts.metrics import Metrics
from kfp_finetune.components.counts import counted
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.storage.uris import hide, without_secrets
from kfp_finetune.components.temporary import temporary_folder
from kfp_finetune.local.in_process import followed, quiet_libraries
from kfp_finetune.local.processes import interruptible
from kfp_finetune.pipelines import paths
from kfp_finetune.pipelines.checks import check_installed
from kfp_finetune.progress.lines import clean
from kfp_finetune.progress.summary import command_on, shown, verdict_rows
from kfp_finetune.runs import scores
from kfp_finetune.runs.folder import RunFolder, default_name
from kfp_finetune.runs.trained_models import find_model, run_of

# Parameters of the run that also apply to other data.
_COLUMNS = ("text_column", "text_pair_column", "label_column")
METRICS, REPORT = "metrics.json", "report.html"


@dataclass(frozen=True)
class Evaluation:
    """A prepared evaluation.

    Attributes:
        model: The model's folder.
        run: The run that trained it; None if it is not part of a run.
        given: The given parameters for reading data.
        split: The dataset's split; None for "test" if there is one, else all rows.
        folder: The folder to write metrics.json and report.html to.
    """

    model: Path
    run: RunFolder | None
    given: dict[str, Any]
    split: str | None
    folder: Path

    @property
    def name(self) -> str:
        """The name of the run, or of the model's folder."""
        return (self.run.path if self.run else self.model).name

    def score(self) -> Metrics:
        """Score the model, and write metrics.json and report.html.

        Raises:
            InputError: If the data or the output is wrong; nothing is written then.
        """
        with temporary_folder() as temporary:
            metrics = _evaluate(self, Path(temporary))
            _keep(Path(temporary), self.folder)
        return metrics


def prepare(
    name: str, flags: Mapping[str, Any], *, split: str | None, runs_dir: Path, output: Path | None
) -> Evaluation:
    """Check everything that can be checked before a model is scored.

    Args:
        name: A run's name or folder, or a model's folder.
        flags: The given parameters for reading data.
        split: The dataset's split; None for "test" if there is one, else all rows.
        runs_dir: The folder of runs.
        output: The folder to write to; None for a new one beside the run or the model.

    Raises:
        InputError: If the model is wrong, there is no dataset, or the output cannot be written.
    """
    check_installed()
    if "dataset" not in flags:
        raise InputError(
            "no dataset is given",
            where="--dataset",
            expected="the data to score the model on: a file, a folder, a URI or a Hub id",
            remedy="add --dataset DATA",
        )
    model = find_model(name, runs_dir)
    run = run_of(model)
    source = run.path if run else model
    given = {**flags, "dataset": hide(paths.absolute("dataset", flags["dataset"], Path()))}
    folder = output or source.with_name(f"{source.name}-on-{default_name(given['dataset'])}")
    _check_writable(folder)
    return Evaluation(model, run, given, split, folder)


def evaluate_model(
    name: str, flags: Mapping[str, Any], *, split: str | None, runs_dir: Path, output: Path | None
) -> None:
    """Score a model, write metrics.json and report.html, and print the most important metrics.

    Args:
        name: See `prepare`, as for the following arguments.
        flags: See `prepare`.
        split: See `prepare`.
        runs_dir: See `prepare`.
        output: See `prepare`.

    Raises:
        InputError: If the model, the data or the output is wrong; nothing is written then.
        Interrupted: If a signal interrupted it; nothing is written.
    """
    evaluation = prepare(name, flags, split=split, runs_dir=runs_dir, output=output)
    with interruptible(), quiet_libraries(), followed("evaluate"):
        metrics = evaluation.score()
    title, *rest = _scores(metrics, evaluation)
    print("\n".join([clean(title), *(f"  {clean(line)}" for line in rest)]))


def _evaluate(evaluation: Evaluation, temporary: Path) -> Metrics:
    from kfp_finetune.components.load_data.dataset import load_evaluation_data
    from kfp_finetune.components.load_data.parameters import Parameters

    folder, given = evaluation.model, dict(evaluation.given)
    model = model_artifact.read(folder)
    settings = {n: given.pop(n) for n in ("precision", "texts_in_report") if n in given}
    before = evaluation.run.record.parameters if evaluation.run else {}
    columns = {n: before[n] for n in _COLUMNS if before.get(n)}
    parameters = Parameters(
        **{**columns, **given},
        test_split=evaluation.split,
        model=str(folder),
        task=model.task,
        max_length=model.max_length,
    )
    data = temporary / "tokenized_dataset"
    load_evaluation_data(
        parameters,
        model.label_names,
        model.problem_type,
        str(data),
        str(temporary / "data.html"),
    )
    from kfp_finetune.components.evaluate import evaluation as step  # TensorFlow: seconds

    return step.evaluate(
        tokenized_dataset_path=str(data),
        model_path=str(folder),
        metrics_path=str(temporary / METRICS),
        report_path=str(temporary / REPORT),
        **settings,
    )


def _check_writable(folder: Path) -> None:
    """Check the output folder before the work rather than after it."""
    at = folder
    while not at.exists():
        at = at.parent
    if not at.is_dir() or not os.access(at, os.W_OK):
        raise _unwritable(folder, "it is a file" if at.is_file() else "permission denied")


def _keep(temporary: Path, folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in (METRICS, REPORT):
            shutil.copyfile(temporary / name, folder / f".{name}.tmp")
            (folder / f".{name}.tmp").replace(folder / name)
    except OSError as error:
        raise _unwritable(folder, error.strerror or str(error)) from None


def _unwritable(folder: Path, reason: str) -> InputError:
    return InputError(
        f"the output cannot be written: {reason}",
        where=str(folder),
        expected="a writable folder, or a path where one can be created",
        remedy="use another folder: -o FOLDER",
    )


def _scores(metrics: Metrics, evaluation: Evaluation) -> list[str]:
    folder, dataset = evaluation.folder.absolute(), evaluation.given["dataset"]
    rerun = "" if evaluation.run is None else command_on("rerun", evaluation.run)
    rows = scores.lines(metrics) + verdict_rows(metrics.verdict, rerun)
    rows += [(n, shown(folder / f)) for n, f in (("metrics", METRICS), ("report", REPORT))]
    width = max(len(name) for name, _ in rows)
    examples = counted(metrics.num_examples, "example")
    return [
        f"{evaluation.name} on {without_secrets(dataset)}: {examples}",
        *(f"{name:<{width}}  {text}" for name, text in rows),
    ]
