"""From any text dataset to a tokenized one: open, read, understand, split, tokenize, write."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from kfp_finetune.components.artifacts import data_report as report_artifact
from kfp_finetune.components.artifacts import tokenized_dataset as artifact
from kfp_finetune.components.artifacts.files import write_text
from kfp_finetune.components.artifacts.tokenized_dataset import (
    SPLITS,
    SplitCounts,
    TokenizedDatasetManifest,
)
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data import model_source, pretrained
from kfp_finetune.components.load_data.assignment import (
    Assigned,
    assign,
    assign_to_test,
    source_of,
)
from kfp_finetune.components.load_data.columns import ColumnMapping, map_columns
from kfp_finetune.components.load_data.findings import describe_data
from kfp_finetune.components.load_data.fingerprints import check_unchanged
from kfp_finetune.components.load_data.parameters import Parameters
from kfp_finetune.components.load_data.readers.files import expand
from kfp_finetune.components.load_data.readers.json_lines import parse
from kfp_finetune.components.load_data.report import render_data_report
from kfp_finetune.components.load_data.rows import Rows, Values, read_rows
from kfp_finetune.components.load_data.sources import (
    Source,
    check_split,
    open_source,
    split_names,
)
from kfp_finetune.components.load_data.targets import Targets
from kfp_finetune.components.load_data.tokenization import Tokenize, check_max_length
from kfp_finetune.components.load_data.writing import DatasetWriter
from kfp_finetune.components.runtime import Progress, emit
from kfp_finetune.components.tasks.labels import understand_labels

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

_STEP = "load_data"


@dataclass(frozen=True)
class Understood:
    """A dataset that has been read once: everything but the token ids."""

    columns: ColumnMapping
    targets: Targets
    parts: dict[str, Assigned]
    notes: list[str]
    warnings: list[str]

    def part_of(self, split: str) -> Assigned:
        """The source that a split's rows come from."""
        return source_of(self.parts, split)


def load_data(
    parameters: Parameters, output_path: str, report_path: str
) -> TokenizedDatasetManifest:
    """Read a text dataset, make its splits and tokenize it.

    Args:
        parameters: What to read, and how.
        output_path: The folder that the tokenized dataset is written to; the data report is in it
            as JSON.
        report_path: The HTML file that the data report is written to.

    Returns:
        The written dataset's manifest.

    Raises:
        InputError: If anything about the data, the columns or the model is wrong.
    """
    tokenizer = _open_tokenizer(parameters)
    return _write(parameters, tokenizer, _understand(parameters), output_path, report_path)


def load_evaluation_data(
    parameters: Parameters,
    label_names: list[str],
    problem_type: str,
    output_path: str,
    report_path: str,
) -> TokenizedDatasetManifest:
    """Read a text dataset to score a trained model on: all of it is the test split.

    Args:
        parameters: What to read, and how. Of a dataset with splits, `test_split` is read, else the
            split named test, else `train_split`. What only makes splits or names labels has no
            meaning here: the other datasets, fractions, `split_column`, `group_column`,
            `drop_overlap`, `max_train_samples`, `problem_type`, `label_names`.
        label_names: The model's labels, in the order of their ids; none for regression.
        problem_type: The model's.
        output_path: The folder that the tokenized dataset is written to; its train and validation
            splits are empty.
        report_path: The HTML file that the data report is written to.

    Returns:
        The written dataset's manifest, with the model's labels.

    Raises:
        InputError: If anything about the data, the columns or the tokenizer is wrong, or a label is
            not one of the model's.
    """
    tokenizer = _open_tokenizer(parameters)
    data = _understand_for_evaluation(parameters, label_names, problem_type)
    return _write(parameters, tokenizer, data, output_path, report_path)


def _write(
    parameters: Parameters,
    tokenizer: PreTrainedTokenizerFast,
    data: Understood,
    output_path: str,
    report_path: str,
) -> TokenizedDatasetManifest:
    """Tokenize what has been understood, and write it and the report."""
    tokenize = Tokenize(tokenizer, parameters.max_length, pairs=data.columns.text_pair is not None)
    out = Path(output_path)
    out.mkdir(parents=True, exist_ok=True)
    tokenizer.save_pretrained(out / artifact.TOKENIZER)
    total = sum(len(data.part_of(split).of(split)) for split in SPLITS)
    progress = Progress(_STEP, total, "rows")
    writer = DatasetWriter(tokenize, data.columns, data.targets, progress)
    writer.write(out, data.parts.values())
    check_unchanged(vars(parameters))  # all of it has been read now
    counts: dict[str, SplitCounts] = {}
    for split in SPLITS:
        dropped = data.part_of(split).dropped.get(split, {})
        counts[split] = SplitCounts(
            rows_read=writer.rows[split] + sum(dropped.values()),
            rows=writer.rows[split],
            dropped=dropped,
        )
    manifest = TokenizedDatasetManifest(
        task=parameters.task,
        problem_type=data.targets.labels.problem_type,
        label_names=data.targets.labels.names,
        text_column=data.columns.text,
        text_pair_column=data.columns.text_pair,
        label_column=",".join(data.columns.labels),
        max_length=parameters.max_length,
        pad_token_id=tokenizer.pad_token_id,
        vocab_size=len(tokenizer),
        has_token_type_ids=tokenize.has_token_type_ids,
        truncated_share=tokenize.share_longer_than(parameters.max_length),
        dataset=parameters.dataset,
        model=parameters.model,
        dataset_fingerprint=parameters.dataset_fingerprint,
        model_fingerprint=parameters.model_fingerprint,
        splits=counts,
    )
    report = describe_data(manifest, data.parts, data.targets, tokenize, writer.examples)
    report.notes.extend(data.notes)
    report.warnings.extend(data.warnings)
    for text in [*data.notes, *(f"warning: {w}" for w in report.warnings), _summary(manifest)]:
        emit("note", _STEP, text=text)
    write_text(Path(report_path), render_data_report(report))
    report_artifact.write(out, report)
    artifact.write(out, manifest)
    return manifest


def _open_tokenizer(parameters: Parameters) -> PreTrainedTokenizerFast:
    folder = model_source.resolve(parameters.model, parameters.model_revision, weights=False)
    config = pretrained.read_config(folder)
    tokenizer = pretrained.load_tokenizer(folder)
    check_max_length(parameters.max_length, config, tokenizer)
    return tokenizer


def _understand(parameters: Parameters) -> Understood:
    """Read every source once: columns, labels, what is wrong, which row goes where."""
    notes: list[str] = []
    sources = _open_sources(parameters, notes.append)
    for source in sources.values():
        notes.extend(source.notes)
    columns = map_columns(
        sources["train"],
        parameters.text_column,
        parameters.text_pair_column,
        parameters.label_column,
        parameters.group_column,
        parameters.split_column,
    )
    notes.extend(columns.notes)
    labels, splits = Values(), Values()
    rows = {
        name: _read_rows(source, columns, labels, splits, name) for name, source in sources.items()
    }
    declared = sources["train"].label_names.get(columns.labels[0])
    known = read_label_names(parameters.label_names) if parameters.label_names else None
    understood = understand_labels(
        labels.values,
        parameters.problem_type,
        columns=columns.labels,
        declared=declared,
        known=known,
    )
    if understood.note:
        notes.append(understood.note)
    targets = Targets(understood, columns.label_text)
    parts, warnings = assign(rows, targets, splits, parameters.splitting)
    return Understood(columns, targets, parts, list(dict.fromkeys(notes)), warnings)


def _understand_for_evaluation(
    parameters: Parameters, label_names: list[str], problem_type: str
) -> Understood:
    """The same of one source whose labels are those of a model."""
    notes: list[str] = []
    options = parameters.read_options
    split = parameters.test_split
    if split is None and "test" in split_names(parameters.dataset, options):
        split = "test"
        notes.append("using the dataset's own test split")
    source = open_source(parameters.dataset, split or parameters.train_split, options)
    notes.extend(source.notes)
    columns = map_columns(
        source, parameters.text_column, parameters.text_pair_column, parameters.label_column
    )
    notes.extend(columns.notes)
    labels = Values()
    rows = _read_rows(source, columns, labels, Values(), "test")
    understood = understand_labels(
        labels.values,
        problem_type,
        columns=columns.labels,
        known=label_names or None,
        known_from="score a model that was trained with them",
    )
    if understood.problem_type != problem_type:
        raise InputError(
            f"{len(columns.labels)} label columns, of 0 and 1",
            where=f"{source.name} (label_column)",
            expected=f"one label column: the model's problem type is {problem_type}",
            remedy=f"--label-column {columns.labels[0]}",
        )
    targets = Targets(understood, columns.label_text)
    parts, warnings = assign_to_test(rows, targets, parameters.splitting)
    return Understood(columns, targets, parts, list(dict.fromkeys(notes)), warnings)


def _read_rows(
    source: Source, columns: ColumnMapping, labels: Values, splits: Values, split: str
) -> Rows:
    """Read a source, and show how far that is."""
    progress = Progress(_STEP, source.rows, "rows")
    return read_rows(
        source, columns, labels, splits, lambda done: progress.update(done, f"reading {split}")
    )


def read_label_names(path: str) -> list[str]:
    """All labels there may be, in order: one a line, or a JSON list.

    Raises:
        InputError: If the file cannot be read, is empty, or names a label twice.
    """
    try:
        text = expand(path).read_text(encoding="utf-8-sig")
        listed = parse(text) if path.endswith(".json") else text.split("\n")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise InputError(
            f"the label names cannot be read: {reason or error}",
            where=path,
            expected="a UTF-8 text file with one label a line, or a .json list of them",
            remedy="check --label-names",
        ) from None
    if not isinstance(listed, list) or not all(isinstance(n, str | int) for n in listed):
        raise InputError(
            "the label names are not a list of names",
            where=path,
            expected='a JSON list, e.g. ["first", "second"]',
            remedy="mend the file, or write one label a line in a .txt file",
        )
    names = [str(name).strip() for name in listed if str(name).strip()]
    twice = sorted({name for name in names if names.count(name) > 1})
    if not names or twice:
        found = f"{twice[0]!r} is named twice" if twice else "there are no label names"
        raise InputError(
            found,
            where=path,
            expected="every label once, one a line or in a JSON list",
            remedy="mend the file",
        )
    return names


def _open_sources(parameters: Parameters, note: Callable[[str], None]) -> dict[str, Source]:
    """Open the training data, and the validation and test data where they are given."""
    options = parameters.read_options
    declared = split_names(parameters.dataset, options)
    named = {
        "train": parameters.train_split,
        "validation": parameters.validation_split,
        "test": parameters.test_split,
    }
    own = {"validation": parameters.validation_dataset, "test": parameters.test_dataset}
    others = replace(options, dataset_revision=None)  # of another dataset on the Hub: its newest
    if parameters.train_split != "train":
        check_split(parameters.dataset, parameters.train_split, declared, "train_split")
    opened = {"train": open_source(parameters.dataset, named["train"], options)}
    for split, path in own.items():
        if path is not None:
            try:
                opened[split] = open_source(
                    path,
                    named[split] or split,
                    options if path == parameters.dataset else others,
                )
            except InputError as error:
                error.where = f"{split}_dataset" if error.where == "dataset" else error.where
                raise
        elif (name := named[split]) or split in declared:
            if name:
                check_split(parameters.dataset, name, declared, f"{split}_split")
            opened[split] = open_source(parameters.dataset, name or split, options)
            if not name:
                note(f"using the dataset's own {split} split")
    return opened


def _summary(manifest: TokenizedDatasetManifest) -> str:
    sizes = " / ".join(f"{manifest.splits[split].rows:,}" for split in SPLITS)
    labels = f"{len(manifest.label_names)} labels" if manifest.label_names else "regression"
    return (
        f"{sizes} train / validation / test rows, {labels}, "
        f"{manifest.truncated_share:.1%} cut at {manifest.max_length} tokens"
    )
