"""load_data and count_steps → build_optimizer → finetune → evaluate → record_artifacts."""

from kfp import dsl

from kfp_finetune.components.build_optimizer.component import build_optimizer
from kfp_finetune.components.evaluate.component import evaluate
from kfp_finetune.components.finetune.component import finetune as finetune_model
from kfp_finetune.components.load_data.component import count_steps, load_data
from kfp_finetune.components.record_artifacts.component import record_artifacts


@dsl.pipeline(
    name="kfp-finetune",
    display_name="Fine-tune a Transformers model",
    description="Fine-tune a Transformers model on TensorFlow with a learning rate that decays over"
    " exactly the steps that the data makes.",
)
def finetune(
    dataset: str,
    model: str,
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
    max_length: int = 128,
    seed: int = 42,
    batch_size: int = 32,
    num_train_epochs: float = 3.0,
    max_steps: int = 0,
    gradient_accumulation_steps: int = 1,
    drop_remainder: bool = False,
    optimizer: str = "adam",
    learning_rate: float = 5e-5,
    lr_scheduler_type: str = "polynomial",
    end_learning_rate: float = 0.0,
    power: float = 1.0,
    num_cycles: int = 2,
    decay_rate: float = 0.1,
    decay_ratio: float = 0.1,
    lr_boundaries: str = "",
    warmup_ratio: float = 0.0,
    warmup_steps: int = 0,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    adam_beta1: float = 0.9,
    adam_beta2: float = 0.999,
    adam_epsilon: float = 1e-7,
    max_grad_norm: float = 0.0,
    precision: str = "auto",
    jit_compile: bool = False,
    gradient_checkpointing: bool = False,
    label_smoothing_factor: float = 0.0,
    class_weights: str = "none",
    label_all_tokens: bool = False,
    metric_for_best_model: str = "loss",
    load_best_model_at_end: bool = False,
    early_stopping_patience: int = 0,
    on_divergence: str = "fail",
    texts_in_report: bool = True,
    checkpoint_dir: str = "",
    checkpoint_every_steps: int = 0,
    checkpoint_every_minutes: float = 5.0,
    checkpoints_to_keep: int = 2,
    resume_from_checkpoint: str = "retry",
    tensorboard_dir: str = "",
    dataset_fingerprint: str = "",
    model_fingerprint: str = "",
):
    """Fine-tune a Transformers model on a text dataset.

    Args:
        dataset: Training data: a file, a folder, a pattern such as data/*.csv, a URI, or a Hub id.
        model: Base model: a folder or a Hub id.
        validation_dataset: Validation data, if it is separate from the training data.
        test_dataset: Test data, if it is separate from the training data.
        dataset_config: Configuration of a Hub dataset.
        dataset_revision: Revision of a Hub dataset.
        train_split: Name of the training split, if the dataset has splits.
        validation_split: Name of the validation split; by default "validation" if there is one.
        test_split: Name of the test split; by default "test" if there is one.
        split_column: Column that names the split of each row: train, validation or test.
        group_column: Column whose equal values are kept in the same split.
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
        slice_columns: Columns by which the report breaks down the scores, separated by commas.
        column_names: Column names for files without a header, separated by commas.
        delimiter: Delimiter of .csv and .tsv files, such as ; or tab; by default detected.
        quoting: Quoting in .csv and .tsv files: auto, minimal (RFC 4180) or none (quotes are plain
            characters).
        encoding: Encoding of text files; by default UTF-8, or what the byte order mark indicates.
        on_bad_row: Rows without text or label: error stops, drop omits them; for tagged words, mend
            also repairs out-of-order tags and omits empty words.
        drop_duplicates: Drop rows that repeat the text and label of an earlier row.
        drop_overlap: Drop training rows whose text also occurs in another split.
        max_train_samples: Train on at most this many rows; 0: not limited.
        model_revision: Revision of a Hub model.
        max_length: Maximum tokens per example, including special tokens; longer texts are
            truncated, and longer sentences of tagged words are split.
        seed: Seed for the splits, the new head's weights, dropout and the order of the rows.
        batch_size: Examples per batch, over all devices.
        num_train_epochs: Passes over the training rows; may be fractional.
        max_steps: Number of optimizer steps, regardless of the epochs; 0: num_train_epochs decides.
        gradient_accumulation_steps: Batches per optimizer step.
        drop_remainder: Drop the last, smaller batch of an epoch.
        optimizer: adam, adamw (decoupled weight decay), sgd or lion.
        learning_rate: Peak learning rate.
        lr_scheduler_type: polynomial, linear, cosine, cosine_with_restarts, inverse_sqrt,
            exponential, piecewise_constant, warmup_stable_decay or constant.
        end_learning_rate: Learning rate at the end of the decay, for polynomial, linear, cosine,
            cosine_with_restarts and warmup_stable_decay.
        power: Exponent of the polynomial decay (1 = linear).
        num_cycles: For cosine_with_restarts: number of decays, each restarting at the peak.
        decay_rate: For exponential: learning rate after the last step, as a share of the first; the
            rate rises if it is above 1.
        decay_ratio: For warmup_stable_decay: share of the steps spent in the final decay.
        lr_boundaries: For piecewise_constant: share of the steps and the learning rate from there
            on, such as 0.5:1e-5,0.8:1e-6.
        warmup_ratio: Share of the steps spent in warmup, rising from 0 to the peak.
        warmup_steps: Steps spent in warmup, instead of warmup_ratio.
        momentum: Momentum of sgd; 0.9 is usual.
        weight_decay: Weight decay of adamw and lion; not applied to biases and layer norms.
        adam_beta1: Decay rate of the first moment, for adam and adamw.
        adam_beta2: Decay rate of the second moment, for adam and adamw.
        adam_epsilon: Constant added to the denominator, for adam and adamw.
        max_grad_norm: Clip the global norm of the gradients to this value; 0: no clipping.
        precision: Precision of matrix products: auto (bfloat16 if the processor or the GPU is
            faster with it), float32 or bfloat16.
        jit_compile: Compile the optimizer steps with XLA, for GPUs; compiling takes a minute or
            more.
        gradient_checkpointing: Save memory on long texts by recomputing each layer for the
            gradient; steps take about a third longer.
        label_smoothing_factor: Share of each label's weight to spread over all labels, in the
            training loss only; 0.1 is usual.
        class_weights: none, or balanced: weight examples by the inverse frequency of their label,
            in the training loss only.
        label_all_tokens: Train every piece of a tagged word to have its tag, not only the first
            piece.
        metric_for_best_model: Validation metric that selects the best model: loss, or a metric of
            the task (accuracy, micro_f1, mae).
        load_best_model_at_end: Keep the weights of the best evaluation instead of the last ones.
        early_stopping_patience: Stop after this many evaluations without improvement; the schedule
            does not change. 0: do not stop early.
        on_divergence: fail, or report: stop training, report the step, and keep the weights of the
            last evaluation with a finite loss, or the initial ones.
        texts_in_report: Show example texts in the report; set it to false for private data.
        checkpoint_dir: Folder, mounted volume or URI (s3://, gs://) to save checkpoints in, so that
            training can be resumed; by default none are saved.
        checkpoint_every_steps: Steps between two checkpoints; 0: checkpoint_every_minutes decides.
        checkpoint_every_minutes: Minutes between two checkpoints.
        checkpoints_to_keep: Number of checkpoints to keep in checkpoint_dir.
        resume_from_checkpoint: Which checkpoints to continue from: retry (only this run's own),
            exact (of any run that is identical), any (even if something differs; the result is then
            not bit-identical).
        tensorboard_dir: Folder, mounted volume or URI (s3://, gs://) to write event files to during
            training, in a folder named after the run, for live curves.
        dataset_fingerprint: Content of the data; filled in by kfp-finetune.
        model_fingerprint: Content of the model; filled in by kfp-finetune.
    """
    data = load_data(
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
    plan = {
        "batch_size": batch_size,
        "num_train_epochs": num_train_epochs,
        "max_steps": max_steps,
        "gradient_accumulation_steps": gradient_accumulation_steps,
        "drop_remainder": drop_remainder,
    }
    steps = count_steps(num_train_examples=data.outputs["num_train_examples"], **plan)
    built = build_optimizer(
        num_train_steps=steps.outputs["num_train_steps"],
        optimizer=optimizer,
        learning_rate=learning_rate,
        lr_scheduler_type=lr_scheduler_type,
        end_learning_rate=end_learning_rate,
        power=power,
        num_cycles=num_cycles,
        decay_rate=decay_rate,
        decay_ratio=decay_ratio,
        lr_boundaries=lr_boundaries,
        warmup_ratio=warmup_ratio,
        warmup_steps=warmup_steps,
        momentum=momentum,
        weight_decay=weight_decay,
        adam_beta1=adam_beta1,
        adam_beta2=adam_beta2,
        adam_epsilon=adam_epsilon,
        max_grad_norm=max_grad_norm,
    )
    trained = finetune_model(
        tokenized_dataset=data.outputs["tokenized_dataset"],
        optimizer_config=built.outputs["optimizer_config"],
        base_model=model,
        model_revision=model_revision,
        seed=seed,
        precision=precision,
        jit_compile=jit_compile,
        gradient_checkpointing=gradient_checkpointing,
        label_smoothing_factor=label_smoothing_factor,
        class_weights=class_weights,
        label_all_tokens=label_all_tokens,
        metric_for_best_model=metric_for_best_model,
        load_best_model_at_end=load_best_model_at_end,
        early_stopping_patience=early_stopping_patience,
        on_divergence=on_divergence,
        checkpoint_dir=checkpoint_dir,
        checkpoint_every_steps=checkpoint_every_steps,
        checkpoint_every_minutes=checkpoint_every_minutes,
        checkpoints_to_keep=checkpoints_to_keep,
        resume_from_checkpoint=resume_from_checkpoint,
        tensorboard_dir=tensorboard_dir,
        model_fingerprint=model_fingerprint,
        **plan,
    )
    evaluated = evaluate(
        tokenized_dataset=data.outputs["tokenized_dataset"],
        model=trained.outputs["model"],
        precision=precision,
        texts_in_report=texts_in_report,
    )
    record_artifacts(
        pipeline="finetune",
        load_data=data.outputs["artifact_uris"],
        build_optimizer=built.outputs["artifact_uris"],
        finetune=trained.outputs["artifact_uris"],
        evaluate=evaluated.outputs["artifact_uris"],
    ).set_caching_options(False)
