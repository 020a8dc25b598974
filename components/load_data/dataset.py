"""From any text dataset to a tokenized one: read, check, split, tokenize, write."""

from __future__ import annotations

from pathlib import Path

from kfp_finetune.components.artifacts import tokenized_dataset as artifact
from kfp_finetune.components.artifacts.tokenized_dataset import SPLITS, SplitCounts
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data import pretrained, sources
from kfp_finetune.components.load_data.columns import map_columns
from kfp_finetune.components.load_data.labels import LabelIds
from kfp_finetune.components.load_data.rows import LEFT_OUT, assign, finish_labels, scan
from kfp_finetune.components.load_data.sources import Source
from kfp_finetune.components.load_data.tokenization import Tokenize, check_max_length
from kfp_finetune.components.load_data.writing import SplitWriter
from kfp_finetune.components.runtime import Progress, emit
from kfp_finetune.components.tasks import get_task

_STEP = "load_data"


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
    _check_parameters(
        validation_fraction, test_fraction, on_bad_row, max_train_samples, max_length, seed
    )
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
    parts = {name: scan(source, columns, label_ids, on_bad_row) for name, source in opened.items()}
    label_names = finish_labels(parts, label_ids, columns.label)
    assign(parts, validation_fraction, test_fraction, max_train_samples, seed)

    tokenize = Tokenize(tokenizer, max_length, pairs=columns.text_pair is not None)
    out = Path(output_path)
    out.mkdir(parents=True, exist_ok=True)
    tokenizer.save_pretrained(out / artifact.TOKENIZER)
    total = sum(int((part.assignment != LEFT_OUT).sum()) for part in parts.values())
    writer = SplitWriter(tokenize, columns, Progress(_STEP, total, "rows"))
    counts: dict[str, SplitCounts] = {}
    for number, split in enumerate(SPLITS):
        part = parts.get(split, parts["train"])
        batches = writer.batches(part, number, keep_text=split != "train")
        rows = artifact.write_split(out, split, batches)
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
        truncated_share=writer.truncated / writer.written,
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
    seed: int,
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
    if not 0 <= seed < 2**32:
        raise InputError(
            f"seed is {seed}",
            where="seed",
            expected="a whole number from 0 to 4294967295, which is what numpy takes",
            remedy="--seed 42",
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
    options = sources.ReadOptions(dataset_config=config, dataset_revision=revision)
    declared = sources.split_names(dataset, options)
    opened = {"train": sources.open_source(dataset, names["train"] if declared else None, options)}
    for split, path in own.items():
        if path is not None:
            opened[split] = sources.open_source(path, names[split] or split)
        elif names[split] or split in declared:
            opened[split] = sources.open_source(dataset, names[split] or split, options)
            if not names[split]:
                emit("note", _STEP, text=f"using the dataset's own {split} split")
    for source in opened.values():
        for note in source.notes:
            emit("note", _STEP, text=note)
    return opened
