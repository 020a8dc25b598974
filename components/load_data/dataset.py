"""From any text dataset to a tokenized one: read, check, split, tokenize, write."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kfp_finetune.components.artifacts import tokenized_dataset as artifact
from kfp_finetune.components.artifacts.tokenized_dataset import SPLITS, SplitCounts
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data import pretrained, sources
from kfp_finetune.components.load_data.columns import ColumnMapping, map_columns
from kfp_finetune.components.load_data.labels import MISSING, LabelIds, check_labels
from kfp_finetune.components.load_data.sources import Source
from kfp_finetune.components.load_data.splits import assign_splits, stratified_sample
from kfp_finetune.components.load_data.tokenization import Tokenize, check_max_length
from kfp_finetune.components.runtime import Progress, emit
from kfp_finetune.components.tasks import get_task

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

_STEP = "load_data"
_LEFT_OUT = -1
_ROWS_SHOWN = 5
OVER_THE_CAP = "over max_train_samples"


@dataclass
class _Part:
    """One source, what its rows were found to be, and the split each of them goes to."""

    source: Source
    labels: NDArray[np.int32]  # shape [rows read]; MISSING where the row is left out
    dropped: Counter[str]
    assignment: NDArray[np.int8]  # index into SPLITS, or _LEFT_OUT


def load_data(
    *,
    dataset: str,
    model: str,
    output_path: str,
    validation_dataset: str | None = None,
    test_dataset: str | None = None,
    dataset_config: str | None = None,
    dataset_revision: str | None = None,
    train_split: str = "train",
    validation_split: str | None = None,
    test_split: str | None = None,
    validation_fraction: float = 0.1,
    test_fraction: float = 0.1,
    task: str = "text-classification",
    text_column: str | None = None,
    text_pair_column: str | None = None,
    label_column: str | None = None,
    on_bad_row: str = "error",
    max_train_samples: int | None = None,
    model_revision: str | None = None,
    max_length: int = 128,
    seed: int = 42,
    dataset_fingerprint: str = "",
    model_fingerprint: str = "",
) -> artifact.TokenizedDatasetManifest:
    """Read a text dataset, make its splits and tokenize it.

    Args:
        dataset: The training data: a file, a folder, or a Hub id.
        model: Whose tokenizer: a folder or a Hub id.
        output_path: The folder that the tokenized dataset is written to.
        validation_dataset: Validation data of its own.
        test_dataset: Test data of its own.
        dataset_config: The Hub dataset's configuration.
        dataset_revision: The Hub dataset's revision.
        train_split: The training split's name, where the dataset has splits.
        validation_split: The validation split's name; "validation" is used where there is one.
        test_split: The test split's name; "test" is used where there is one.
        validation_fraction: The share of the training rows that becomes the validation split,
            where none is given.
        test_fraction: The same for the test split.
        task: What is learned.
        text_column: The column that holds the text.
        text_pair_column: The column that holds the second text of a pair.
        label_column: The column that holds the label.
        on_bad_row: What happens to a row without text or label: "error" or "drop".
        max_train_samples: Use at most so many training rows, chosen by label and seed.
        model_revision: The Hub model's revision.
        max_length: Tokens per example, special tokens included; longer ones are cut.
        seed: For the splits.
        dataset_fingerprint: The data's content, recorded in the manifest.
        model_fingerprint: The model's content, recorded in the manifest.

    Returns:
        The written dataset's manifest.

    Raises:
        InputError: If anything about the data, the columns or the model is wrong.
    """
    _check_parameters(validation_fraction, test_fraction, on_bad_row, max_train_samples, max_length)
    problem_type = get_task(task).PROBLEM_TYPE
    folder = pretrained.resolve(model, model_revision, weights=False)
    config = pretrained.read_config(folder)
    tokenizer = pretrained.load_tokenizer(folder)
    check_max_length(max_length, config, tokenizer)

    opened = _open_splits(
        dataset,
        {"validation": validation_dataset, "test": test_dataset},
        {"train": train_split, "validation": validation_split, "test": test_split},
        dataset_config,
        dataset_revision,
    )
    columns = map_columns(opened["train"], text_column, text_pair_column, label_column)
    for note in columns.notes:
        emit("note", _STEP, text=note)
    label_ids = LabelIds(opened["train"], columns.label)
    parts = {name: _scan(source, columns, label_ids, on_bad_row) for name, source in opened.items()}
    label_names = _finish_labels(parts, label_ids, columns.label)
    _assign(parts, validation_fraction, test_fraction, max_train_samples, seed)

    tokenize = Tokenize(tokenizer, max_length, pairs=columns.text_pair is not None)
    out = Path(output_path)
    out.mkdir(parents=True, exist_ok=True)
    tokenizer.save_pretrained(out / artifact.TOKENIZER)
    total = sum(int((part.assignment != _LEFT_OUT).sum()) for part in parts.values())
    progress = Progress(_STEP, total, "rows")
    counts: dict[str, SplitCounts] = {}
    truncated = written = 0
    for number, split in enumerate(SPLITS):
        part = parts.get(split, parts["train"])
        writer = _SplitWriter(tokenize, columns, keep_text=split != "train")
        before = written
        rows = artifact.write_split(
            out,
            split,
            writer.batches(part, number, lambda done, base=before: progress.update(base + done)),
        )
        written += rows
        truncated += writer.truncated
        dropped = dict(part.dropped) if split in parts else {}
        counts[split] = SplitCounts(
            rows_read=rows + sum(dropped.values()), rows=rows, dropped=dropped
        )
    manifest = artifact.TokenizedDatasetManifest(
        task=task,
        problem_type=problem_type,
        label_names=label_names,
        text_column=columns.text,
        text_pair_column=columns.text_pair,
        label_column=columns.label,
        max_length=max_length,
        pad_token_id=tokenizer.pad_token_id,
        has_token_type_ids=tokenize.has_token_type_ids,
        truncated_share=truncated / written,
        dataset=dataset,
        model=model,
        dataset_fingerprint=dataset_fingerprint,
        model_fingerprint=model_fingerprint,
        splits=counts,
    )
    artifact.write(out, manifest)
    emit("note", _STEP, text=_summary(manifest))
    return manifest


def _summary(manifest: artifact.TokenizedDatasetManifest) -> str:
    sizes = " / ".join(f"{manifest.splits[split].rows:,}" for split in SPLITS)
    return (
        f"{sizes} train / validation / test rows, {len(manifest.label_names)} labels, "
        f"{manifest.truncated_share:.1%} cut at {manifest.max_length} tokens"
    )


def _check_parameters(
    validation_fraction: float,
    test_fraction: float,
    on_bad_row: str,
    max_train_samples: int | None,
    max_length: int,
) -> None:
    for name, fraction in (
        ("validation_fraction", validation_fraction),
        ("test_fraction", test_fraction),
    ):
        if not 0 <= fraction < 1:
            raise InputError(
                f"{name} is {fraction:g}",
                where=name,
                expected="a share of the rows, at least 0 and below 1",
                remedy=f"--{name.replace('_', '-')} 0.1",
            )
    if validation_fraction + test_fraction >= 1:
        raise InputError(
            f"validation and test would take {validation_fraction + test_fraction:.0%} of the rows",
            where="validation_fraction, test_fraction",
            expected="shares that leave rows to train on",
            remedy="smaller fractions",
        )
    if on_bad_row not in ("error", "drop"):
        raise InputError(
            f"on_bad_row is '{on_bad_row}'",
            where="on_bad_row",
            expected="error or drop",
            remedy="--on-bad-row drop",
        )
    for name, value in (("max_train_samples", max_train_samples), ("max_length", max_length)):
        if value is not None and value < 1:
            raise InputError(
                f"{name} is {value}",
                where=name,
                expected="a whole number of at least 1",
                remedy=f"--{name.replace('_', '-')} 128",
            )


def _open_splits(
    dataset: str,
    own: dict[str, str | None],
    names: dict[str, str | None],
    config: str | None,
    revision: str | None,
) -> dict[str, Source]:
    """Open the training data, and the validation and test data where they are given."""
    declared = sources.split_names(dataset, config, revision)
    opened = {
        "train": sources.open_source(
            dataset, split=names["train"] if declared else None, config=config, revision=revision
        )
    }
    for split, path in own.items():
        if path is not None:
            opened[split] = sources.open_source(path, split=names[split] or split)
        elif names[split] or split in declared:
            opened[split] = sources.open_source(
                dataset, split=names[split] or split, config=config, revision=revision
            )
            if not names[split]:
                emit("note", _STEP, text=f"using the dataset's own {split} split")
    return opened


def _scan(source: Source, columns: ColumnMapping, label_ids: LabelIds, on_bad_row: str) -> _Part:
    """Read a source once: the labels of its rows, and which rows cannot be used."""
    used = [c for c in (columns.text, columns.text_pair, columns.label) if c is not None]
    for column in used:
        if column not in source.columns:
            raise InputError(
                f"there is no column '{column}'",
                where=source.name,
                expected="the columns of the training data; it has "
                + ", ".join(map(repr, source.columns)),
                remedy="rename the column",
            )
    labels: list[int] = []
    bad: dict[str, list[int]] = {}
    for batch in source.read():
        texts = zip(*(batch[column] for column in used[:-1]), strict=True)
        for cells, value in zip(texts, batch[columns.label], strict=True):
            label = label_ids.number(value)
            problem = _problem(cells, used) or (
                f"no label in column '{columns.label}'" if label == MISSING else None
            )
            if problem:
                bad.setdefault(problem, []).append(len(labels) + 1)
                label = MISSING
            labels.append(label)
    if bad and on_bad_row == "error":
        raise InputError(
            "; ".join(f"{_number_of(rows)} with {problem}" for problem, rows in bad.items()),
            where=source.name,
            expected="a text and a label in every row",
            remedy="mend the rows, or --on-bad-row drop to leave them out",
        )
    if len(labels) == sum(map(len, bad.values())):
        raise InputError(
            "no row can be used",
            where=source.name,
            expected="rows with a text and a label",
            remedy="check the columns",
        )
    return _Part(
        source=source,
        labels=np.array(labels, np.int32),
        dropped=Counter({problem: len(rows) for problem, rows in bad.items()}),
        assignment=np.zeros(len(labels), np.int8),
    )


def _problem(cells: tuple[Any, ...], columns: list[str]) -> str | None:
    for cell, column in zip(cells, columns, strict=False):
        if cell is None or cell == "" or (isinstance(cell, str) and not cell.strip()):
            return f"no text in column '{column}'"
        if not isinstance(cell, str):
            return f"a {type(cell).__name__} for a text in column '{column}'"
    return None


def _number_of(rows: list[int]) -> str:
    shown = ", ".join(f"{row:,}" for row in rows[:_ROWS_SHOWN])
    more = ", ..." if len(rows) > _ROWS_SHOWN else ""
    return f"{len(rows):,} row{'s' * (len(rows) > 1)} ({shown}{more})"


def _finish_labels(parts: dict[str, _Part], label_ids: LabelIds, column: str) -> list[str]:
    """Turn the labels' numbers into their final ids; all of them must be in the training data."""
    final = np.array(label_ids.final_ids(), np.int32)
    names = label_ids.names()
    for part in parts.values():
        present = part.labels != MISSING
        part.labels[present] = final[part.labels[present]]
        part.assignment[~present] = _LEFT_OUT
    train = parts["train"]
    seen = set(np.unique(train.labels[train.labels != MISSING]).tolist())
    check_labels(
        [names[i] for i in sorted(seen)],
        int((train.labels != MISSING).sum()),
        column,
        train.source.name,
    )
    for split, part in parts.items():
        unseen = set(np.unique(part.labels[part.labels != MISSING]).tolist()) - seen
        if unseen:
            shown = ", ".join(repr(names[i]) for i in sorted(unseen)[:_ROWS_SHOWN])
            raise InputError(
                f"{len(unseen)} label{'s' * (len(unseen) > 1)} not in the training data: {shown}",
                where=f"{part.source.name} ({split})",
                expected="labels that the model can learn",
                remedy="add rows with these labels to the training data, or take them out here",
            )
    return names


def _assign(
    parts: dict[str, _Part],
    validation_fraction: float,
    test_fraction: float,
    max_train_samples: int | None,
    seed: int,
) -> None:
    """Say of every row which split it goes to; made splits come out of the training rows."""
    train = parts["train"]
    for number, split in enumerate(SPLITS):
        if split != "train" and split in parts:
            part = parts[split]
            part.assignment[part.labels != MISSING] = number
    fractions = {"validation": validation_fraction, "test": test_fraction}
    made = {split: share for split, share in fractions.items() if split not in parts}
    usable = np.flatnonzero(train.labels != MISSING)
    assigned = assign_splits(train.labels[usable], made, seed)
    numbers = np.array([0, *(SPLITS.index(split) for split in made)], np.int8)
    train.assignment[usable] = numbers[assigned]
    rows = np.flatnonzero(train.assignment == 0)
    if max_train_samples is not None and len(rows) > max_train_samples:
        labels = np.unique(train.labels[rows])
        if max_train_samples < len(labels):
            raise InputError(
                f"max_train_samples is {max_train_samples:,}, and there are {len(labels):,} labels",
                where="max_train_samples",
                expected="at least one row per label",
                remedy=f"--max-train-samples {4 * len(labels)}",
            )
        over = stratified_sample(train.labels, rows, len(rows) - max_train_samples, seed)
        train.assignment[over] = _LEFT_OUT
        train.dropped[OVER_THE_CAP] = len(over)


class _SplitWriter:
    """Tokenizes the rows of one split, batch by batch."""

    def __init__(self, tokenize: Tokenize, columns: ColumnMapping, *, keep_text: bool) -> None:
        self._tokenize = tokenize
        self._columns = columns
        self._keep_text = keep_text
        self._schema = artifact.schema(
            has_token_type_ids=tokenize.has_token_type_ids,
            keep_text=keep_text,
            has_text_pair=columns.text_pair is not None,
        )
        self.truncated = 0

    def batches(self, part: _Part, split: int, progress: Any) -> Iterator[pa.RecordBatch]:
        """Record batches of the part's rows that go to the split; at least one, if empty."""
        import pyarrow as pa

        start = done = 0
        yield pa.RecordBatch.from_pylist([], self._schema)
        for batch in part.source.read():
            size = len(batch[self._columns.text])
            assignment = part.assignment[start : start + size]
            chosen = np.flatnonzero(assignment == split)
            if len(chosen):
                yield self._record_batch(batch, chosen, start, part.labels)
                done += len(chosen)
                progress(done)
            start += size

    def _record_batch(
        self,
        batch: sources.Columns,
        chosen: NDArray[np.int64],
        start: int,
        labels: NDArray[np.int32],
    ) -> pa.RecordBatch:
        import pyarrow as pa

        def values(column: str) -> list[str]:
            cells = batch[column]
            return [cells[i] for i in chosen]

        texts = values(self._columns.text)
        pairs = values(self._columns.text_pair) if self._columns.text_pair else None
        tokens = self._tokenize(texts, pairs)
        self.truncated += tokens.truncated
        arrays = {
            "row": chosen + start,
            "label": labels[chosen + start],
            "input_ids": tokens.input_ids,
            "token_type_ids": tokens.token_type_ids,
            "text": texts,
            "text_pair": pairs,
        }
        return pa.RecordBatch.from_arrays(
            [pa.array(arrays[f.name], f.type) for f in self._schema], schema=self._schema
        )
