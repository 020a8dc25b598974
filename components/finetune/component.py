"""The KFP component finetune."""

from typing import NamedTuple

from kfp import dsl

from kfp_finetune.components.image import IMAGE, versioned


@versioned
@dsl.component(base_image=IMAGE, install_kfp_package=False)
def finetune(
    tokenized_dataset: dsl.Input[dsl.Dataset],
    optimizer_config: dsl.Input[dsl.Artifact],
    base_model: str,
    model: dsl.Output[dsl.Model],
    tensorboard_logs: dsl.Output[dsl.Artifact],
    training_metrics: dsl.Output[dsl.Metrics],
    mlpipeline_ui_metadata: dsl.Output[dsl.Artifact],
    model_revision: str = "",
    batch_size: int = 32,
    num_train_epochs: float = 0.0,
    max_steps: int = 0,
    gradient_accumulation_steps: int = 1,
    drop_remainder: bool = False,
    seed: int = 42,
    precision: str = "auto",
    jit_compile: bool = False,
    gradient_checkpointing: bool = False,
    initial_bias: str = "labels",
    label_smoothing_factor: float = 0.0,
    class_weights: str = "none",
    focal_gamma: float = 0.0,
    label_all_tokens: bool = False,
    metric_for_best_model: str = "loss",
    load_best_model_at_end: bool = False,
    early_stopping_patience: int = 0,
    on_divergence: str = "fail",
    checkpoint_dir: str = "",
    checkpoint_per_trial: bool = False,
    checkpoint_every_steps: int = 0,
    checkpoint_every_minutes: float = 5.0,
    checkpoints_to_keep: int = 2,
    resume_from_checkpoint: str = "retry",
    tensorboard_dir: str = "",
    model_fingerprint: str = "",
) -> NamedTuple("Uris", [("artifact_uris", dict)]):
    """Fine-tune a Transformers model on TensorFlow with the optimizer that was built for it.

    Args:
        tokenized_dataset: Tokenized dataset from load_data.
        optimizer_config: Optimizer configuration from build_optimizer.
        base_model: Base model: a folder or a Hub id.
        model_revision: Revision of a Hub model.
        batch_size: Examples per batch, across all devices.
        num_train_epochs: Passes over the training rows; may be fractional. 0: as
            long as the schedule.
        max_steps: Number of optimizer steps, regardless of the epochs; 0: num_train_epochs decides.
        gradient_accumulation_steps: Batches per optimizer step.
        drop_remainder: Drop the last, smaller batch of an epoch.
        seed: Seed for the new head's weights, dropout and the order of the rows.
        precision: Precision of matrix products: auto (bfloat16 if the processor or the GPU is
            faster with it), float32 or bfloat16.
        jit_compile: Compile the optimizer steps with XLA, for GPUs; compiling takes a minute or
            more.
        gradient_checkpointing: Save memory on long texts by recomputing each layer in the
            backward pass; steps take about a third longer.
        initial_bias: What a new head predicts before training: labels (how frequent each label is
            in the training split, or the mean of the numbers), so that training does not begin with
            learning that, or zeros, as in Transformers.
        label_smoothing_factor: Share of each label's weight to spread over all labels, in the
            training loss only; 0.1 is usual.
        class_weights: Weights of examples in the training loss: none, balanced (by the inverse
            frequency of their label), or weights by label name, such as spam=5,ham=1 or a JSON
            object. With several labels per row, the weight of having the label; balanced: rows
            without it divided by rows with it.
        focal_gamma: Exponent of the focal loss: the log loss of an example is multiplied by
            (1 - p)^gamma, where p is the probability of its label, so that examples that are
            already predicted well count less; 2 is usual, 10 the highest, and 0 the plain log loss.
        label_all_tokens: Compute the loss on every token of a tagged word, not only on the first.
        metric_for_best_model: Validation metric that selects the best model or stops training
            early, and by which a comparison then ranks its candidates: loss, or a metric of the
            task (accuracy, macro_f1, micro_f1, f1, mae). Rare labels count as much as frequent ones
            in macro_f1.
        load_best_model_at_end: Keep the weights of the best evaluation instead of the last ones.
        early_stopping_patience: Stop after this many evaluations without improvement; the schedule
            does not change. 0: do not stop early.
        on_divergence: fail: end the run with an error; report: stop training, report the step, and
            keep the weights of the last evaluation with a finite loss, or the initial ones.
        checkpoint_dir: Folder, mounted volume or URI (s3://, gs://) to save checkpoints in, so that
            training can be resumed; by default none are saved.
        checkpoint_per_trial: Use a folder of checkpoint_dir named after schedule, rate and seed, so
            that the trials of a comparison can share checkpoint_dir.
        checkpoint_every_steps: Steps between two checkpoints; 0: checkpoint_every_minutes decides.
        checkpoint_every_minutes: Minutes between two checkpoints.
        checkpoints_to_keep: Number of checkpoints to keep in checkpoint_dir.
        resume_from_checkpoint: Checkpoints to continue from: retry (only those of this run), exact
            (those of an identical run), any (even if something differs; the result is then not
            bit-identical).
        tensorboard_dir: Folder, mounted volume or URI (s3://, gs://) to write event files to during
            training, in a folder named after the run, for live curves.
        model_fingerprint: Content of the model, so that a changed model is noticed; filled in by
            kfp-finetune.

    Returns:
        model: Weights, config, tokenizer, manifest and training log.
        tensorboard_logs: TensorBoard event files: the learning rate of every step, and the losses.
        training_metrics: Metrics on the validation split after the last step.
        mlpipeline_ui_metadata: TensorBoard entry for Kubeflow's UI.
        artifact_uris: URIs of the artifacts by output, which KFP's cache keeps.
    """
    from kfp_finetune.components import runtime

    written = (model, tensorboard_logs, training_metrics, mlpipeline_ui_metadata)
    with runtime.step("finetune", *written) as uris:
        from kfp_finetune.components import metadata, quiet

        quiet.import_tensorflow()
        from kfp_finetune.components.finetune import live_logs, training, ui_metadata
        from kfp_finetune.components.finetune.parameters import Parameters
        from kfp_finetune.components.not_given import given

        owner = runtime.run_of(model.uri)
        parameters = Parameters(
            **given(
                base_model=base_model,
                model_revision=model_revision,
                batch_size=batch_size,
                num_train_epochs=num_train_epochs,
                max_steps=max_steps,
                gradient_accumulation_steps=gradient_accumulation_steps,
                drop_remainder=drop_remainder,
                seed=seed,
                precision=precision,
                jit_compile=jit_compile,
                gradient_checkpointing=gradient_checkpointing,
                initial_bias=initial_bias,
                label_smoothing_factor=label_smoothing_factor,
                class_weights=class_weights,
                focal_gamma=focal_gamma,
                label_all_tokens=label_all_tokens,
                metric_for_best_model=metric_for_best_model,
                load_best_model_at_end=load_best_model_at_end,
                early_stopping_patience=early_stopping_patience,
                on_divergence=on_divergence,
                checkpoint_dir=checkpoint_dir,
                checkpoint_per_trial=checkpoint_per_trial,
                checkpoint_every_steps=checkpoint_every_steps,
                checkpoint_every_minutes=checkpoint_every_minutes,
                checkpoints_to_keep=checkpoints_to_keep,
                resume_from_checkpoint=resume_from_checkpoint,
                tensorboard_dir=tensorboard_dir,
                model_fingerprint=model_fingerprint,
            )
        )
        with live_logs.synced(tensorboard_logs.path, parameters.tensorboard_dir, owner):
            manifest = training.finetune(
                parameters,
                tokenized_dataset_path=tokenized_dataset.path,
                optimizer_config_path=optimizer_config.path,
                model_path=model.path,
                tensorboard_logs_path=tensorboard_logs.path,
                owner=owner,
            )
        ui_metadata.write(mlpipeline_ui_metadata.path, tensorboard_logs.uri, owner)
        for name, value in metadata.finite(manifest.validation_metrics).items():
            training_metrics.log_metric(name, value)
        model.metadata.update(metadata.of(ui_metadata.of_model(manifest, model.path)))
    return (uris,)
