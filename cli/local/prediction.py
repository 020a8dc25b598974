"""Predict labels for texts with a trained model."""

from __future__ import annotations

import json
import signal
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kfp_finetune.components.artifacts import model as model_artifact
from kfp_finetune.components.artifacts.model import ModelManifest
from kfp_finetune.components.counts import counted
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.quiet import import_tensorflow
from kfp_finetune.components.tasks.registry import get_problem_type
from kfp_finetune.local.processes import Interrupted, interruptible
from kfp_finetune.pipelines.checks import check_installed
from kfp_finetune.progress.lines import clean
from kfp_finetune.runs.trained_models import find_model

if TYPE_CHECKING:
    from kfp_finetune.components.load_data.prediction_rows import Row

_MOST_SHOWN = 5


@dataclass(frozen=True)
class Output:
    """The settings of predictions and their output.

    Attributes:
        batch_size: Texts per batch.
        top_k: Number of labels to print with their probabilities; None for the predicted ones.
        calibrated: Whether to calibrate probabilities with the fitted temperature.
        with_texts: Whether to print the texts of a file beside their predictions.
    """

    batch_size: int = 32
    top_k: int | None = None
    calibrated: bool = True
    with_texts: bool = True


def predict_texts(
    model: str,
    texts: Sequence[str],
    flags: Mapping[str, Any],
    *,
    runs_dir: Path,
    file: str | None,
    output: Output,
) -> None:
    """Print a prediction for every text: as text for those given here, as JSON lines for a file.

    Args:
        model: A run's name, a run's folder, or a model's folder.
        texts: From the command line; for a model of text pairs, two make one example.
        flags: `precision`, and the given parameters of load_data for reading the file.
        runs_dir: The folder of runs.
        file: A file of texts, or "-" for standard input.
        output: How to predict and print.

    Raises:
        InputError: If there is no such model, no text, or a row cannot be read; the predictions
            for the rows before it have been printed.
        Interrupted: If a signal interrupted it, or standard output was closed.
    """
    check_installed()
    folder = find_model(model, runs_dir)
    flags = dict(flags)
    precision = flags.pop("precision", "auto")
    manifest = model_artifact.read(folder)
    kind = get_problem_type(manifest.problem_type)
    _check(manifest, texts, file, flags, output.top_k)
    with interruptible():
        rows = _Rows(_of_command_line(texts, manifest))
        notes: tuple[str, ...] = ()
        if file is not None:
            rows, notes = _of_file(file, manifest, folder, flags)
        for note in notes:
            print(clean(note), file=sys.stderr)
        import_tensorflow()
        from kfp_finetune.components.evaluate.predictor import Predictor
        from kfp_finetune.components.finetune import devices

        devices.configure(manifest.seed)
        predictor = Predictor.load(folder, calibrated=output.calibrated, precision=precision)
        try:
            for text, prediction in predictor.stream(rows.texts(), output.batch_size):
                answer = kind.record(prediction, output.top_k)
                row = {"row": rows.numbers.popleft()}
                if output.with_texts:
                    row |= _named(text)
                print(json.dumps(row | answer) if file else _readable(text, kind.lines(answer)))
            sys.stdout.flush()
        except BrokenPipeError:
            raise Interrupted(signal.SIGPIPE) from None
    rows.finish()


class _Rows:
    """Rows to predict for, with their numbers, up to the first bad one or without the bad ones.

    Args:
        rows: The rows.
        drop: Whether to omit bad rows.
    """

    def __init__(self, rows: Iterator[Row], *, drop: bool = False) -> None:
        self._rows = rows
        self._drop = drop
        self._bad: Row | None = None
        self._left_out: list[str] = []
        self._count = 0
        self.numbers: deque[int] = deque()

    def texts(self) -> Iterator[Any]:
        """Yield the texts; the number of the current one is the last in `numbers`."""
        for row in self._rows:
            if not row.problem:
                self.numbers.append(row.number)
                yield row.text
            elif self._drop:
                self._count += 1
                if len(self._left_out) < _MOST_SHOWN:
                    self._left_out.append(f"{row.number:,} ({row.problem})")
            else:
                self._bad = row
                return

    def finish(self) -> None:
        """Print the omitted rows.

        Raises:
            InputError: If a bad row stopped the prediction.
        """
        if self._bad is not None:
            raise InputError(
                self._bad.problem,
                where=self._bad.place,
                expected="a text in every row, or two for a model of pairs; the rows before it have"
                " been predicted",
                remedy="fix the row, or add --on-bad-row drop to omit such rows",
            )
        if self._count:
            more = ", ..." * (self._count > len(self._left_out))
            left_out = counted(self._count, "row")
            print(clean(f"{left_out} omitted: {', '.join(self._left_out)}{more}"), file=sys.stderr)


def _check(
    manifest: ModelManifest,
    texts: Sequence[str],
    file: str | None,
    flags: Mapping[str, Any],
    top_k: int | None,
) -> None:
    """Check everything that can be checked before the model is loaded."""
    if bool(texts) == (file is not None):
        raise InputError(
            "both texts and a file are given" if texts else "there is nothing to predict for",
            where="the command line",
            expected="one or more texts, or --file",
            remedy="omit --file or the texts" if texts else 'kfp-finetune predict MODEL "a text"',
        )
    if file is None and flags:
        flag = f"--{next(iter(flags)).replace('_', '-')}"
        raise InputError(
            "there is no file",
            where=flag,
            expected="options about a file only with --file",
            remedy=f"omit {flag}",
        )
    if "text_pair_column" in flags and manifest.text_pair_column is None:
        raise InputError(
            "the model reads one text",
            where="--text-pair-column",
            expected="a second column only for a model of pairs",
            remedy="omit --text-pair-column",
        )
    instead = get_problem_type(manifest.problem_type).no_top_k
    if top_k is not None and instead:
        raise InputError(
            f"the model predicts {instead}",
            where="--top-k",
            expected="a model that predicts labels of texts",
            remedy="omit --top-k",
        )


def _named(text: Any) -> dict[str, Any]:
    """A text or a pair of texts, under the names in the data report."""
    return {"text": text[0], "text_pair": text[1]} if isinstance(text, tuple) else {"text": text}


def _readable(text: Any, lines: list[tuple[float | None, str]]) -> str:
    """The text, followed by the lines of its prediction with their probabilities."""
    parts = (text,) if isinstance(text, str) else text
    shown = [
        f"  {clean(line)}" if probability is None else f"  {probability:6.1%}  {clean(line)}"
        for probability, line in lines
    ]
    return "\n".join([*map(clean, parts), *shown])


def _of_command_line(texts: Sequence[str], manifest: ModelManifest) -> Iterator[Row]:
    given: Iterable[Any] = texts
    if manifest.text_pair_column is not None:
        if len(texts) % 2:
            raise InputError(
                "the second text of the last pair is missing",
                where="the command line",
                expected="two texts for every prediction: the model was trained on pairs",
                remedy='kfp-finetune predict MODEL "first text" "second text"',
            )
        given = zip(texts[::2], texts[1::2], strict=True)
    from kfp_finetune.components.load_data.prediction_rows import Row

    return (Row(number, text) for number, text in enumerate(given, start=1))


def _of_file(
    file: str, manifest: ModelManifest, folder: Path, flags: Mapping[str, Any]
) -> tuple[_Rows, tuple[str, ...]]:
    """The rows of a file; also prints the assumptions about it."""
    from kfp_finetune.components.load_data.parameters import Parameters
    from kfp_finetune.components.load_data.prediction_rows import open_rows

    parameters = Parameters(dataset=file, model=str(folder), task=manifest.task, **flags)
    columns = [c for c in (manifest.text_column, manifest.text_pair_column) if c is not None]
    try:
        opened = open_rows(parameters, columns, stdin=sys.stdin.buffer)
    except InputError as error:
        raise _about_file(error) from None
    return _Rows(opened.read, drop=parameters.on_bad_row != "error"), opened.notes


def _about_file(error: InputError) -> InputError:
    """The error with the option of this command instead of the parameter of load_data."""
    if error.where != "dataset":
        return error
    remedy = error.remedy.replace("--dataset", "--file")
    return InputError.from_dict(error.as_dict() | {"where": "--file", "remedy": remedy})
