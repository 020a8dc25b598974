"""From any text dataset to a tokenized one: open, read, understand, split, tokenize, write."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kfp_finetune.components.artifacts import data_report as report_artifact
from kfp_finetune.components.artifacts import tokenized_dataset as artifact
from kfp_finetune.components.artifacts.tokenized_dataset import (
    SPLITS,
    SplitCounts,
    TokenizedDatasetManifest,
)
from kfp_finetune.components.chosen import (
    choose_max_length,
    longest_max_length,
    max_length_note,
)
from kfp_finetune.components.counts import counted
from kfp_finetune.components.load_data import model_location, pretrained
from kfp_finetune.components.load_data.findings import describe_data
from kfp_finetune.components.load_data.fingerprints import check_unchanged
from kfp_finetune.components.load_data.number_bins import distribution
from kfp_finetune.components.load_data.overlap import count_overlaps
from kfp_finetune.components.load_data.parameters import Parameters
from kfp_finetune.components.load_data.report_page import render_data_report
from kfp_finetune.components.load_data.understanding import (
    Understood,
    understand,
    understand_for_evaluation,
)
from kfp_finetune.components.load_data.writing import DatasetWriter
from kfp_finetune.components.models.sizes import check_against_weights
from kfp_finetune.components.repeating import changed
from kfp_finetune.components.runtime import Progress, emit
from kfp_finetune.components.storage.files import write_text
from kfp_finetune.components.storage.uris import without_secrets
from kfp_finetune.components.tasks.positive_label import check_name, check_types
from kfp_finetune.components.tasks.registry import get_task
from kfp_finetune.components.tasks.tokenization import check_max_length, highest_id

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

_STEP = "load_data"


def load_data(
    parameters: Parameters, output_path: str, report_path: str
) -> TokenizedDatasetManifest:
    """Read a text dataset, make its splits and tokenize it.

    Args:
        parameters: The data, the model and the options for reading.
        output_path: The folder to write the tokenized dataset to, with the data report as JSON.
        report_path: The HTML file to write the data report to.

    Returns:
        The manifest of the tokenized dataset.

    Raises:
        InputError: If anything about the data, the columns or the model is wrong.
    """
    base = _open_model(parameters)
    data = understand(parameters)
    labels, task = data.targets.labels, get_task(parameters.task)
    check_types(parameters.positive_label, task.types_for(labels.problem_type), task.problem_types)
    check_name(parameters.positive_label, labels.names)
    data.notes.extend(base.notes)
    return _write(parameters, base, data, output_path, report_path)


def load_evaluation_data(
    parameters: Parameters,
    label_names: list[str],
    problem_type: str,
    output_path: str,
    report_path: str,
) -> TokenizedDatasetManifest:
    """Read a text dataset as the test split, to score a trained model on it.

    Args:
        parameters: The data, the model and the options for reading. If the dataset has splits,
            `test_split` is read, or by default the split named "test", else `train_split`.
            Parameters that make splits or name labels are ignored: the other datasets,
            fractions, `split_column`, `group_column`, `drop_overlap`, `max_train_samples`,
            `problem_type` and `label_names`.
        label_names: The model's labels, in the order of their ids; empty for regression.
        problem_type: The model's problem type.
        output_path: The folder to write the tokenized dataset to; its train and validation
            splits are empty.
        report_path: The HTML file to write the data report to.

    Returns:
        The manifest of the tokenized dataset, with the model's labels.

    Raises:
        InputError: If anything about the data, the columns or the tokenizer is wrong, or a label is
            not one of the model's.
    """
    base = _open_model(parameters)
    data = understand_for_evaluation(parameters, label_names, problem_type)
    return _write(parameters, base, data, output_path, report_path)


@dataclass(frozen=True)
class _Base:
    """The base model, as far as load_data knows it.

    Attributes:
        tokenizer: Its tokenizer.
        hidden_size: Width of its encoder.
        longest: The most tokens that examples may have: max_length, or the most that it could be.
        notes: What a person should know about the tokenizer.
    """

    tokenizer: PreTrainedTokenizerFast
    hidden_size: int
    longest: int
    notes: list[str]


def _write(
    parameters: Parameters,
    base: _Base,
    data: Understood,
    output_path: str,
    report_path: str,
) -> TokenizedDatasetManifest:
    """Tokenize the rows, and write them and the report."""
    task, tokenizer = get_task(parameters.task), base.tokenizer
    tokenize = task.row_tokenizer(
        tokenizer,
        base.longest,
        pairs=data.columns.text_pair is not None,
        labels=data.targets.labels,
    )
    out = Path(output_path)
    out.mkdir(parents=True, exist_ok=True)
    pretrained.save_tokenizer(tokenizer, out / artifact.TOKENIZER)
    total = sum(len(data.part_of(split).of(split)) for split in SPLITS)
    progress = Progress(_STEP, total, "rows")
    writer = DatasetWriter(task, tokenize, data.columns, data.targets, progress)
    writer.write(out, data.parts.values())
    check_unchanged(vars(parameters))  # only now has everything been read
    max_length = parameters.max_length or choose_max_length(tokenize.longest, base.longest)
    manifest = TokenizedDatasetManifest(
        task=parameters.task,
        problem_type=data.targets.labels.problem_type,
        label_names=data.targets.labels.names,
        positive_label=parameters.positive_label,
        text_column=data.columns.text,
        text_pair_column=data.columns.text_pair,
        label_column=",".join(data.columns.labels),
        slice_columns=list(data.columns.slices),
        max_length=max_length,
        hidden_size=base.hidden_size,
        pad_token_id=tokenizer.pad_token_id,
        vocab_size=highest_id(tokenizer) + 1,
        has_token_type_ids=tokenize.has_token_type_ids,
        longest=tokenize.percentile(1),
        truncated_share=tokenize.truncated_share,
        dataset=parameters.dataset,
        model=parameters.model,
        dataset_fingerprint=parameters.dataset_fingerprint,
        model_fingerprint=parameters.model_fingerprint,
        splits={split: _counts(writer, data, split) for split in SPLITS},
        parameters=changed({**vars(parameters), "max_length": max_length}, Parameters),
    )
    report = describe_data(manifest, writer.labels, tokenize, writer.shown)
    notes = [*data.notes, *tokenize.notes]
    if parameters.max_length is None:
        notes.append(max_length_note(tokenize.longest, max_length, tokenize.truncated_share))
    report.notes.extend(notes)
    report.numbers = distribution(writer.numbers)
    report.overlaps, shared = count_overlaps(data.parts)
    report.warnings.extend([*data.warnings, *shared])
    for text in [*notes, *(f"warning: {w}" for w in report.warnings), _summary(manifest)]:
        emit("note", _STEP, text=text)
    write_text(Path(report_path), render_data_report(report))
    report_artifact.write(out, report)
    artifact.write(out, manifest)
    return manifest


def _counts(writer: DatasetWriter, data: Understood, split: str) -> SplitCounts:
    dropped = data.part_of(split).dropped.get(split, {})
    return SplitCounts(
        source=without_secrets(data.part_of(split).rows.source.name),
        rows_read=writer.rows[split] + sum(dropped.values()),
        rows=writer.examples[split],
        divided=writer.examples[split] - writer.rows[split],
        dropped=dropped,
    )


def _open_model(parameters: Parameters) -> _Base:
    """Read the base model's configuration and open its tokenizer."""
    folder = model_location.resolve(parameters.model, parameters.model_revision, weights=False)
    config = pretrained.read_config(folder)
    check_against_weights(config, folder)  # finds a wrong size before training starts
    tokenizer = pretrained.load_tokenizer(folder)
    limit = pretrained.longest(config, tokenizer)
    longest = parameters.max_length or longest_max_length(limit)
    check_max_length(longest, limit, tokenizer)
    said = tokenizer.init_kwargs.get("model_max_length")
    notes = []
    if said is not None and not pretrained.is_length(said, tokenizer):
        notes.append(f"ignored the tokenizer's model_max_length: {said!r} is not a valid length")
    hidden_size = int(getattr(config, "hidden_size", 0))
    return _Base(tokenizer, hidden_size, longest, notes)


def _summary(manifest: TokenizedDatasetManifest) -> str:
    sizes = " / ".join(f"{manifest.splits[split].rows:,}" for split in SPLITS)
    labels = (
        counted(len(manifest.label_names), "label")
        if manifest.label_names
        else manifest.problem_type
    )
    return (
        f"{sizes} train / validation / test rows, {labels}, "
        f"{manifest.truncated_share:.1%} truncated at {manifest.max_length} tokens"
    )
