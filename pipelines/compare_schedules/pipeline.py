"""load_data; for every trial build_optimizer → finetune → evaluate; rank; record_artifacts."""

from kfp import dsl

from kfp_finetune.components.build_optimizer.component import build_optimizer
from kfp_finetune.components.evaluate.component import evaluate
from kfp_finetune.components.finetune.component import finetune
from kfp_finetune.components.load_data.component import count_steps, load_data
from kfp_finetune.components.rank.component import rank
from kfp_finetune.components.record_artifacts.component import record_artifacts
from kfp_finetune.pipelines.compare_schedules.candidates import COMPARED, PRESETS, expand
from kfp_finetune.pipelines.descriptions import described_by


@dsl.pipeline(
    name="kfp-finetune-compare-schedules",
    display_name="Compare learning-rate schedules",
    description="Fine-tune a Transformers model with several learning-rate schedules on the same"
    " data, and report which is best and whether the difference is more than noise.",
)
@described_by(load_data, count_steps, build_optimizer, finetune, evaluate)
def compare_schedules(
    dataset: str,
    model: str,
    candidates: list = expand(PRESETS["course"]),  # noqa: B008 - KFP compiles it in
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
    batch_size: int = 32,
    num_train_epochs: float = 0.0,
    max_steps: int = 0,
    gradient_accumulation_steps: int = 1,
    drop_remainder: bool = False,
    precision: str = "auto",
    jit_compile: bool = False,
    gradient_checkpointing: bool = False,
    label_smoothing_factor: float = 0.0,
    class_weights: str = "none",
    focal_gamma: float = 0.0,
    label_all_tokens: bool = False,
    metric_for_best_model: str = "loss",
    load_best_model_at_end: bool = False,
    early_stopping_patience: int = 0,
    texts_in_report: bool = True,
    checkpoint_dir: str = "",
    checkpoint_every_steps: int = 0,
    checkpoint_every_minutes: float = 5.0,
    checkpoints_to_keep: int = 2,
    resume_from_checkpoint: str = "retry",
    dataset_fingerprint: str = "",
    model_fingerprint: str = "",
):
    """Fine-tune a Transformers model with several schedules, and pass on the best.

    Args:
        model: Base model: a folder or a Hub id.
        candidates: Settings of the optimizer and its schedule to compare, each with a seed and
            every key of candidates.DEFAULTS; kfp-finetune fills in the missing keys.
        seed: Seed for the splits; each candidate has its own seed for training.
        checkpoint_dir: Folder, mounted volume or URI (s3://, gs://) for checkpoints, from which
            trials can be resumed; each trial has its own folder in it. No checkpoints if not given.
        checkpoints_to_keep: Number of checkpoints to keep for each trial.
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
    plan = {
        "batch_size": batch_size,
        "max_steps": max_steps,
        "gradient_accumulation_steps": gradient_accumulation_steps,
        "drop_remainder": drop_remainder,
    }
    steps = count_steps(
        num_train_examples=data.outputs["num_train_examples"],
        num_labels=data.outputs["num_labels"],
        num_train_epochs=num_train_epochs,
        **plan,
    )
    with dsl.ParallelFor(candidates) as candidate:
        built = build_optimizer(
            num_train_steps=steps.outputs["num_train_steps"],
            hidden_size=data.outputs["hidden_size"],
            **{name: getattr(candidate, name) for name in COMPARED},
        )
        trained = finetune(
            tokenized_dataset=data.outputs["tokenized_dataset"],
            optimizer_config=built.outputs["optimizer_config"],
            base_model=model,
            model_revision=model_revision,
            seed=candidate.seed,
            precision=precision,
            jit_compile=jit_compile,
            gradient_checkpointing=gradient_checkpointing,
            label_smoothing_factor=label_smoothing_factor,
            class_weights=class_weights,
            focal_gamma=focal_gamma,
            label_all_tokens=label_all_tokens,
            metric_for_best_model=metric_for_best_model,
            load_best_model_at_end=load_best_model_at_end,
            early_stopping_patience=early_stopping_patience,
            on_divergence="report",  # a trial that diverges is a result
            checkpoint_dir=checkpoint_dir,
            checkpoint_per_trial=True,
            checkpoint_every_steps=checkpoint_every_steps,
            checkpoint_every_minutes=checkpoint_every_minutes,
            checkpoints_to_keep=checkpoints_to_keep,
            resume_from_checkpoint=resume_from_checkpoint,
            model_fingerprint=model_fingerprint,
            num_train_epochs=steps.outputs["num_train_epochs"],
            **plan,
        )
        evaluated = evaluate(
            tokenized_dataset=data.outputs["tokenized_dataset"],
            model=trained.outputs["model"],
            precision=precision,
            texts_in_report=texts_in_report,
        )
    ranked = rank(
        candidates=candidates,
        models=dsl.Collected(trained.outputs["model"]),
        metrics=dsl.Collected(evaluated.outputs["metrics_json"]),
    )
    record_artifacts(
        pipeline="compare_schedules",
        load_data=data.outputs["artifact_uris"],
        rank=ranked.outputs["artifact_uris"],
        candidates=candidates,
        candidates_build_optimizer=dsl.Collected(built.outputs["artifact_uris"]),
        candidates_finetune=dsl.Collected(trained.outputs["artifact_uris"]),
        candidates_evaluate=dsl.Collected(evaluated.outputs["artifact_uris"]),
    ).set_caching_options(False)
