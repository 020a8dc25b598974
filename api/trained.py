"""Score trained models on other data and predict with them, from Python."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kfp_finetune.calling import call, load
from kfp_finetune.finetuning import RUNS, plain
from kfp_finetune.progress.display import screen_for
from kfp_finetune.results import Evaluation, Run

if TYPE_CHECKING:
    from kfp_finetune.components.tasks.predictions import Prediction


def evaluate(
    model: Run | str | Path,
    dataset: str | Path,
    *,
    split: str | None = None,
    runs_dir: str | Path = RUNS,
    output: str | Path | None = None,
    progress: bool = True,
    **settings: Any,
) -> Evaluation:
    """Score a trained model on other data, in a separate process.

    Args:
        model: A run, its name or folder, or the folder of a trained model.
        dataset: Labelled data: a file, a folder, a URI or a Hub id.
        split: The split to use; None for "test" if there is one, else all rows.
        runs_dir: The folder of runs.
        output: The folder to write metrics.json and report.html to; None for a new one beside the
            run.
        progress: Whether to show progress.
        **settings: Parameters for reading data, such as `text_column`, and `precision`.

    Returns:
        The scores.

    Raises:
        InputError: If an argument, the model or the data is wrong.
        LoggedError: If the evaluation failed for another reason.
        KeyboardInterrupt: If Ctrl-C interrupted it; nothing is written.
    """
    from kfp_finetune.local.scoring import score
    from kfp_finetune.pipelines import catalog, parameters

    with call():
        known = parameters.load(catalog.PIPELINES["finetune"].definition)
        values = {n: plain(v) for n, v in settings.items() if v is not None}
        given = parameters.check(
            known, {**values, "dataset": plain(dataset)}, "evaluate()", "help(finetune)"
        )
        job = {
            "name": plain(model),
            "flags": given,
            "split": split,
            "runs_dir": str(runs_dir),
            "output": None if output is None else str(output),
        }
        folder, scored, metrics = score(job, screen_for(progress))
        return Evaluation(scored, given["dataset"], folder, metrics.metrics, metrics.num_examples)


def predict(
    model: Run | str | Path,
    texts: Sequence[str | tuple[str, str] | list[str]],
    *,
    runs_dir: str | Path = RUNS,
    batch_size: int = 32,
    calibrated: bool = True,
    precision: str = "float32",
) -> list[Prediction]:
    """Predict for texts with a trained model.

    This imports TensorFlow into the calling process and loads the model. To predict many times,
    load it once: `predictor = Predictor.load(run.model)`, then `predictor(texts)`.

    Args:
        model: A run, its name or folder, or the folder of a trained model.
        texts: The texts; tuples of two for a model of text pairs.
        runs_dir: The folder of runs.
        batch_size: Texts per batch.
        calibrated: Whether to calibrate probabilities with the temperature fitted in training.
        precision: Precision of matrix products: "float32", "bfloat16" or "auto".

    Returns:
        A prediction per text, in their order: `labels` and `probabilities`, `value` of a regression
        model, or `spans` of a tagging model.

    Raises:
        InputError: If there is no such model, or a text is not what the model reads.
    """
    from kfp_finetune.runs.trained_models import find_model

    with call():
        folder = find_model(plain(model), Path(runs_dir))
        predictor = load("kfp_finetune.components.evaluate.predictor", "Predictor").load(
            folder, calibrated=calibrated, precision=precision
        )
        if isinstance(texts, str):
            texts = [texts]
        return predictor(texts, batch_size)  # type: ignore[no-any-return]
