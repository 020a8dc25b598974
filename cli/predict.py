"""Says what a trained model makes of texts."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kfp_finetune.cli.models import find_model
from kfp_finetune.cli.preflight import check_installed
from kfp_finetune.cli.processes import Interrupted, interruptible
from kfp_finetune.cli.quiet import import_tensorflow
from kfp_finetune.cli.screen import clean
from kfp_finetune.components.artifacts import model as model_artifact
from kfp_finetune.components.artifacts.model import ModelManifest
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.tasks import get_task
from kfp_finetune.components.tasks.problem_types import ENTITIES, MULTI_LABEL, REGRESSION
from kfp_finetune.components.uris import hide

if TYPE_CHECKING:
    from kfp_finetune.components.load_data.texts import Texts
    from kfp_finetune.components.tasks.predictions import Prediction

STDIN = "-"


def predict(
    model: str,
    texts: Sequence[str],
    *,
    runs_dir: Path,
    file: str | None,
    text_column: str | None,
    text_pair_column: str | None,
    batch_size: int,
    top_k: int | None,
    calibrated: bool,
) -> None:
    """Print a prediction for every text: readable for texts given here, JSON lines for a file's.

    Args:
        model: A run's name, a run's folder, or a model's folder.
        texts: From the command line; of a model for pairs, two make one.
        runs_dir: The folder of runs.
        file: A file of texts, or "-" for lines on standard input.
        text_column: Its column of texts; None: the one that the model was trained on.
        text_pair_column: The same for the second text of a pair.
        batch_size: Texts per batch.
        top_k: How many labels are told with their probabilities; None: those that are predicted.
        calibrated: Whether probabilities are made with the temperature that was fitted.

    Raises:
        InputError: If there is no such model, no text, or one cannot be read.
        Interrupted: If a signal ended it, or nobody reads on.
    """
    check_installed()
    folder = find_model(model, runs_dir)
    manifest = model_artifact.read(folder)
    columns = _columns(manifest, file, text_column, text_pair_column)
    if bool(texts) == (file is not None):
        raise InputError(
            "there are texts and a file" if texts else "there is nothing to predict for",
            where="the command line",
            expected="one or more texts, or --file",
            remedy="leave one of them out" if texts else 'kfp-finetune predict MODEL "a text"',
        )
    of_words = get_task(manifest.task).PER_WORD
    if top_k is not None and (of_words or manifest.problem_type == REGRESSION):
        gives = "tags to words" if of_words else "a number, and no labels"
        raise InputError(
            f"the model gives {gives}",
            where="--top-k",
            expected="a model for labels of texts",
            remedy="leave --top-k out",
        )
    with interruptible():
        given = (
            _of_command_line(texts, manifest)
            if file is None
            else _of_file(hide(file), columns, of_words=of_words)
        )
        import_tensorflow()
        from kfp_finetune.components.evaluate.predictor import Predictor
        from kfp_finetune.components.finetune import devices

        devices.configure(manifest.seed)
        predictor = Predictor.load(folder, calibrated=calibrated)
        try:
            for text, prediction in predictor.stream(given, batch_size):
                answer = told(prediction, manifest.problem_type, top_k)
                print(json.dumps(answer) if file else _readable(text, answer))
            sys.stdout.flush()
        except BrokenPipeError:
            raise Interrupted(signal.SIGPIPE) from None


def told(prediction: Prediction, problem_type: str, top_k: int | None) -> dict[str, Any]:
    """A prediction as the object of a JSON line.

    Returns:
        `label` and `probability`, or `labels`, or `value`; with `probabilities` of the most
        probable labels where there are several. Of a model for words `entities`, or `words`: each
        with its label, text, first character, the one after its last, and probability.
    """
    if prediction.spans is not None:
        spans = [asdict(s) | {"probability": round(s.probability, 6)} for s in prediction.spans]
        return {"entities" if problem_type == ENTITIES else "words": spans}
    if problem_type == REGRESSION:
        return {"value": prediction.value}
    probabilities = {name: round(p, 6) for name, p in prediction.probabilities.items()}
    shown = list(probabilities)[:top_k] if top_k else prediction.labels
    answer: dict[str, Any] = {"labels": list(prediction.labels)}
    if problem_type != MULTI_LABEL:
        label = prediction.labels[0]
        answer = {"label": label, "probability": probabilities[label]}
        if top_k is None:
            return answer
    return answer | {"probabilities": {name: probabilities[name] for name in shown}}


def _readable(text: Any, answer: dict[str, Any]) -> str:
    """The text, and under it what was predicted, the most probable first."""
    parts = (text,) if isinstance(text, str) else text
    spans = answer.get("entities", answer.get("words"))
    if spans is not None:
        width = max((len(span["label"]) for span in spans), default=0)
        lines = [
            f"  {span['probability']:6.1%}  {clean(span['label']):<{width}}  {clean(span['text'])}"
            for span in spans
        ] or ["  no entity"]
    elif "value" in answer:
        lines = [f"  {answer['value']:g}"]
    else:
        shown = answer.get("probabilities", {answer.get("label"): answer.get("probability")})
        lines = [f"  {probability:6.1%}  {clean(name)}" for name, probability in shown.items()]
    return "\n".join([*map(clean, parts), *(lines or ["  no label"])])


def _columns(
    manifest: ModelManifest, file: str | None, text: str | None, pair: str | None
) -> list[str]:
    """The columns to read; those that the model was trained on, unless others are named."""
    pairs = manifest.text_pair_column is not None
    wrong = "--text-pair-column" if pair is not None and not pairs else ""
    if (text or pair) and (file in (None, STDIN)):
        wrong = "--text-column" if text else "--text-pair-column"
    if wrong:
        raise InputError(
            "there are no columns" if file in (None, STDIN) else "the model reads one text",
            where=wrong,
            expected="a file with columns, and a model for pairs if there are two of texts",
            remedy=f"leave {wrong} out",
        )
    first = text or manifest.text_column
    return [first, pair or str(manifest.text_pair_column)] if pairs else [first]


def _of_command_line(texts: Sequence[str], manifest: ModelManifest) -> Texts:
    if manifest.text_pair_column is None:
        return iter(texts)
    if len(texts) % 2:
        raise InputError(
            "the second text of the last pair is missing",
            where="the command line",
            expected="two texts for every prediction: the model was trained on pairs",
            remedy='kfp-finetune predict MODEL "first text" "second text"',
        )
    return zip(texts[::2], texts[1::2], strict=True)


def _of_file(file: str, columns: Sequence[str], *, of_words: bool) -> Texts:
    from kfp_finetune.components.load_data.texts import of_lines, read_texts

    if file == STDIN:
        return of_lines(_lines_of_stdin(), "standard input", len(columns) == 2)
    return read_texts(file, columns, of_words=of_words)


def _lines_of_stdin() -> Iterator[str]:
    for number, line in enumerate(sys.stdin.buffer, start=1):
        try:
            yield line.decode("utf-8").rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise InputError(
                f"not UTF-8: byte 0x{error.object[error.start]:02x}, {error.reason}",
                where=f"standard input, line {number:,}",
                expected="lines of text encoded as UTF-8",
                remedy="convert them, for instance with iconv",
            ) from None
