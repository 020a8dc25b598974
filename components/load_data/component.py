"""The KFP components load_data and count_steps."""

from typing import NamedTuple

from kfp import dsl

from kfp_finetune.components.image import IMAGE, versioned


@versioned
@dsl.component(base_image=IMAGE, install_kfp_package=False)
def load_data(
    dataset: str,
    model: str,
    tokenized_dataset: dsl.Output[dsl.Dataset],
    data_report: dsl.Output[dsl.HTML],
    validation_dataset: str = "",
    test_dataset: str = "",
    dataset_config: str = "",
    dataset_revision: str = "",
    train_split: str = "train",
    validation_split: str = "",
    test_split: str = "",
    split_column: str = "",
    group_column: str = "",
    validation_fraction: float = 0.1,
    test_fraction: float = 0.1,
    task: str = "text-classification",
    problem_type: str = "auto",
    text_column: str = "",
    text_pair_column: str = "",
    label_column: str = "",
    label_names: str = "",
    positive_label: str = "",
    slice_columns: str = "",
    column_names: str = "",
    delimiter: str = "",
    quoting: str = "auto",
    encoding: str = "",
    on_bad_row: str = "error",
    drop_duplicates: bool = False,
    drop_overlap: bool = False,
    max_train_samples: int = 0,
    model_revision: str = "",
    max_length: int = 0,
    seed: int = 42,
    dataset_fingerprint: str = "",
    model_fingerprint: str = "",
) -> NamedTuple(
    "Counts",
    [
        ("num_train_examples", int),
        ("num_validation_examples", int),
        ("num_test_examples", int),
        ("num_labels", int),
        ("hidden_size", int),
        ("max_length", int),
        ("artifact_uris", dict),
    ],
):
    """Read a text dataset, make its splits and tokenize it once.

    Args:
        dataset: Training data: a file, a folder, a pattern such as data/*.csv, a URI, or a Hub id.
        model: Base model, whose tokenizer is used: a folder or a Hub id.
        validation_dataset: Validation data, if it is separate from the training data.
        test_dataset: Test data, if it is separate from the training data.
        dataset_config: Configuration of a Hub dataset.
        dataset_revision: Revision of a Hub dataset.
        train_split: Name of the training split, if the dataset has splits.
        validation_split: Name of the validation split; by default "validation" if there is one.
        test_split: Name of the test split; by default "test" if there is one.
        split_column: Column that names the split of each row: train, validation or test.
        group_column: Column by which rows are grouped: rows with the same value stay in one split.
        validation_fraction: Share of the training rows to validate on, if the data has no
            validation split.
        test_fraction: Share of the training rows to test on, if the data has no test split.
        task: text-classification, or token-classification to tag every word.
        problem_type: auto, single_label_classification, multi_label_classification or regression;
            for tagged words entity_recognition or word_tagging.
        text_column: Column of the text, or of the list of words; by default inferred if only one
            column qualifies.
        text_pair_column: Column of the second text, for pairs of texts.
        label_column: Column of the label; by default inferred if only one column qualifies. Several
            columns, separated by commas, are read as one 0/1 column per label.
        label_names: File of all labels in order, one per line or as a JSON list; numeric labels are
            indices into it.
        positive_label: The positive one of two labels, whose precision, recall and F1 are reported;
            metric_for_best_model may then be f1.
        slice_columns: Columns by which the report breaks down the scores, separated by commas.
        column_names: Column names for files without a header, separated by commas.
        delimiter: Delimiter of .csv and .tsv files, such as ; or tab; by default detected.
        quoting: Quoting in .csv and .tsv files: auto, minimal (RFC 4180) or none (quotes are plain
            characters).
        encoding: Encoding of text files; by default UTF-8, or what the byte order mark indicates.
        on_bad_row: Rows without text or label: error stops, drop omits them; for tagged words,
            repair also repairs out-of-order tags and omits empty words (formerly mend).
        drop_duplicates: Drop rows that repeat the text and label of an earlier row.
        drop_overlap: Drop training rows whose text also occurs in another split.
        max_train_samples: Train on at most this many rows; 0: not limited.
        model_revision: Revision of a Hub model.
        max_length: Maximum tokens per example, including special tokens; longer texts are
            truncated, and longer sentences of tagged words are split. 0: chosen from the longest
            text.
        seed: Seed for the splits, the new head's weights, dropout and the order of the rows.
        dataset_fingerprint: Hash of the data, to detect changes; filled in by kfp-finetune and
            verified after reading.
        model_fingerprint: Hash of the model, to detect changes; filled in by kfp-finetune.

    Returns:
        tokenized_dataset: Token ids and labels per split (Arrow), the tokenizer and a manifest.
        data_report: Report on the data: columns, labels, lengths, repeats, warnings, examples.
        num_train_examples: Number of training rows.
        num_validation_examples: Number of validation rows.
        num_test_examples: Number of test rows.
        num_labels: Number of labels; 0 for regression.
        hidden_size: Width of the model's encoder.
        max_length: Maximum tokens per example, as given or chosen.
        artifact_uris: The URI of each output artifact, by name; KFP's cache keeps them.
    """
    from kfp_finetune.components import runtime

    with runtime.step("load_data", tokenized_dataset, data_report) as uris:
        from kfp_finetune.components.load_data import dataset as module
        from kfp_finetune.components.load_data.parameters import Parameters
        from kfp_finetune.components.not_given import given

        parameters = given(
            dataset=dataset,
            model=model,
            validation_dataset=validation_dataset,
            test_dataset=test_dataset,
            dataset_config=dataset_config,
            dataset_revision=dataset_revision,
            train_split=train_split,
            validation_split=validation_split,
            test_split=test_split,
            split_column=split_column,
            group_column=group_column,
            validation_fraction=validation_fraction,
            test_fraction=test_fraction,
            task=task,
            problem_type=problem_type,
            text_column=text_column,
            text_pair_column=text_pair_column,
            label_column=label_column,
            label_names=label_names,
            positive_label=positive_label,
            slice_columns=slice_columns,
            column_names=column_names,
            delimiter=delimiter,
            quoting=quoting,
            encoding=encoding,
            on_bad_row=on_bad_row,
            drop_duplicates=drop_duplicates,
            drop_overlap=drop_overlap,
            max_train_samples=max_train_samples,
            model_revision=model_revision,
            max_length=max_length,
            seed=seed,
            dataset_fingerprint=dataset_fingerprint,
            model_fingerprint=model_fingerprint,
        )
        manifest = module.load_data(
            Parameters(**parameters), tokenized_dataset.path, data_report.path
        )
        rows = {split: counts.rows for split, counts in manifest.splits.items()}
        tokenized_dataset.metadata.update(rows=rows, num_labels=len(manifest.label_names))
    sizes = len(manifest.label_names), manifest.hidden_size, manifest.max_length
    return rows["train"], rows["validation"], rows["test"], *sizes, uris


@versioned
@dsl.component(base_image=IMAGE, install_kfp_package=False)
def count_steps(
    num_train_examples: int,
    num_labels: int = 0,
    batch_size: int = 32,
    num_train_epochs: float = 0.0,
    max_steps: int = 0,
    gradient_accumulation_steps: int = 1,
    drop_remainder: bool = False,
) -> NamedTuple(
    "Steps",
    [("steps_per_epoch", int), ("num_train_steps", int), ("num_train_epochs", float)],
):
    """Count the optimizer steps of the run, which is the length of the schedule.

    Args:
        num_train_examples: Number of training rows.
        num_labels: Number of labels; 0 for regression, or if unknown.
        batch_size: Examples per batch, across all devices.
        num_train_epochs: Passes over the training rows; may be fractional. 0: chosen from the
            numbers of rows and labels.
        max_steps: Number of optimizer steps, regardless of the epochs; 0: num_train_epochs decides.
        gradient_accumulation_steps: Batches per optimizer step.
        drop_remainder: Drop the last, smaller batch of an epoch.

    Returns:
        steps_per_epoch: Optimizer steps in one pass over the training rows.
        num_train_steps: Optimizer steps of the whole run.
        num_train_epochs: Passes over the training rows, as given or chosen.
    """
    from kfp_finetune.components import runtime

    with runtime.step("count_steps"):
        from kfp_finetune.components.load_data import steps
        from kfp_finetune.components.not_given import given

        parameters = given(
            num_train_examples=num_train_examples,
            num_labels=num_labels,
            batch_size=batch_size,
            num_train_epochs=num_train_epochs,
            max_steps=max_steps,
            gradient_accumulation_steps=gradient_accumulation_steps,
            drop_remainder=drop_remainder,
        )
        plan = steps.plan_steps(**parameters)
    return plan.steps_per_epoch, plan.num_train_steps, float(plan.num_train_epochs)
