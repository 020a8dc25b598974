"""The results of API calls, as typed objects that notebooks show as pages."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kfp_finetune.calling import call
from kfp_finetune.components.artifacts import metrics as metrics_artifact
from kfp_finetune.components.artifacts.metrics import Metrics
from kfp_finetune.components.artifacts.model import read_training_log
from kfp_finetune.components.artifacts.verdict import Verdict
from kfp_finetune.components.errors import InputError
from kfp_finetune.runs.folder import LOG, RunFolder
from kfp_finetune.runs.results import PAGES

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Run:
    """A run of a pipeline on this machine, read from its folder.

    Attributes:
        name: The run's name.
        folder: The run's folder, absolute.
        pipeline: "finetune" or "compare_schedules".
        status: "running", "succeeded", "failed" or "interrupted".
        parameters: A value for every parameter of the pipeline.
        metrics: The metrics of the test split, by name.
        validation_metrics: The metrics of the validation split, by name.
        candidates: One dictionary per candidate of a comparison, the best first; else empty.
        num_train_steps: The number of planned steps; None if they were not counted.
        artifacts: The paths of the steps' artifacts, by name, relative to the folder.
        verdict: The verdict on the training: `kind`, `finding`, `advice`, and `options`, which are
            the parameters to change; None if there is none.
    """

    name: str
    folder: Path
    pipeline: str
    status: str
    parameters: dict[str, Any] = field(repr=False)
    metrics: dict[str, float] = field(repr=False)
    validation_metrics: dict[str, float] = field(repr=False)
    candidates: list[dict[str, Any]] = field(repr=False)
    num_train_steps: int | None = field(repr=False)
    artifacts: dict[str, str] = field(repr=False)
    verdict: Verdict | None = field(default=None, repr=False)

    @classmethod
    def of(cls, folder: RunFolder) -> Run:
        """Read a run's folder."""
        record = folder.record
        steps = record.outputs.get("num_train_steps")
        return cls(
            name=record.name,
            folder=folder.path.absolute(),
            pipeline=record.pipeline,
            status=folder.status(),
            parameters=record.parameters,
            metrics=record.metrics,
            validation_metrics=record.validation_metrics,
            verdict=record.verdict,
            candidates=record.candidates,
            num_train_steps=None if steps is None else int(steps),
            artifacts=record.artifacts,
        )

    @property
    def model(self) -> Path | None:
        """The folder of the trained model; None if the run has none."""
        return self._artifact("model")

    @property
    def report(self) -> Path | None:
        """The HTML report; None if the run has none."""
        page = self.folder / PAGES["report"]
        return page if page.is_file() else None

    @property
    def log(self) -> Path:
        """The log file: all output of the steps and their libraries."""
        return self.folder / LOG

    def history(self) -> list[dict[str, Any]]:
        """The training log: one record per step or evaluation, in order.

        Returns:
            `{"step": 0, "learning_rate": ..., "loss": ...}` of every step, counted from 0, and
            `{"step": 20, "validation": {"loss": ...}}` of every evaluation after that many steps.
        """
        return list(read_training_log(self.model)) if self.model else []

    def frame(self) -> pd.DataFrame:
        """The metrics of the test split, one per row; for a comparison, the candidates.

        Returns:
            A DataFrame with the columns `value`, `low`, `high` (the 95 % interval) and `baseline`,
            NaN if there is none; for a comparison, one row per candidate.

        Raises:
            InputError: If pandas is not installed.
        """
        if self.candidates:
            columns = ("name", "mean", "spread", "diverged", "diagnosis")
            return _pandas().DataFrame(
                [{name: candidate.get(name) for name in columns} for candidate in self.candidates]
            )
        path = self._artifact("metrics_json")
        return _frame(metrics_artifact.read(path) if path else None, self.metrics)

    def resume(self, *, allow_differences: bool = False, progress: bool = True) -> Run:
        """Continue a killed, interrupted or failed run after its last checkpoint.

        Args:
            allow_differences: Continue even if something that determines the result differs.
            progress: Whether to show progress.

        Returns:
            The run.

        Raises:
            InputError: If the run succeeded or is still running, or its data or model changed.
            LoggedError: If a step failed.
        """
        from kfp_finetune.local import execution
        from kfp_finetune.progress.display import screen_for

        with call():
            runs_dir = self.folder.parent
            folder = execution.resume(
                str(self.folder),
                runs_dir,
                allow_differences=allow_differences,
                screen=screen_for(progress),
            )
            return Run.of(folder)

    def _artifact(self, name: str) -> Path | None:
        path = self.folder / self.artifacts[name] if name in self.artifacts else None
        return path if path is not None and path.exists() else None

    def _repr_html_(self) -> str:
        from kfp_finetune.cards import of_run

        return of_run(self)


@dataclass(frozen=True)
class Evaluation:
    """The scores of a trained model on other data.

    Attributes:
        model: The folder of the model.
        dataset: The data that was given.
        folder: The folder with metrics.json and report.html.
        metrics: The metrics by name.
        num_examples: The number of examples.
    """

    model: Path
    dataset: str
    folder: Path
    metrics: dict[str, float]
    num_examples: int

    @property
    def report(self) -> Path:
        """The HTML report."""
        return self.folder / "report.html"

    def frame(self) -> pd.DataFrame:
        """The metrics, one per row; see `Run.frame`.

        Raises:
            InputError: If pandas is not installed.
        """
        return _frame(metrics_artifact.read(self.folder / "metrics.json"), self.metrics)

    def _repr_html_(self) -> str:
        from kfp_finetune.cards import of_evaluation

        return of_evaluation(self)


def _frame(measured: Metrics | None, values: dict[str, float]) -> pd.DataFrame:
    intervals = measured.intervals if measured else {}
    baseline = measured.baseline if measured else {}
    nan = float("nan")
    rows = {
        name: {
            "value": value,
            "low": intervals.get(name, (nan, nan))[0],
            "high": intervals.get(name, (nan, nan))[1],
            "baseline": baseline.get(name, nan),
        }
        for name, value in values.items()
    }
    frame = _pandas().DataFrame.from_dict(rows, orient="index")
    frame.index.name = "metric"
    return frame


def _pandas() -> Any:
    try:
        import pandas as pd
    except ImportError:
        raise InputError(
            "pandas is not installed",
            where="this Python environment",
            expected="pandas, for DataFrames only",
            remedy="pip install pandas, or use the dictionary .metrics",
        ) from None
    return pd
