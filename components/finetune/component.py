"""The KFP component finetune."""

from typing import Optional

from kfp import dsl

from kfp_finetune.components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def finetune(
    tokenized_dataset: dsl.Input[dsl.Dataset],
    optimizer_config: dsl.Input[dsl.Artifact],
    base_model: str,
    model: dsl.Output[dsl.Model],
    tensorboard_logs: dsl.Output[dsl.Artifact],
    training_metrics: dsl.Output[dsl.Metrics],
    model_revision: Optional[str] = None,
    batch_size: int = 32,
    num_train_epochs: float = 3.0,
    max_steps: Optional[int] = None,
    gradient_accumulation_steps: int = 1,
    drop_remainder: bool = False,
    seed: int = 42,
    model_fingerprint: str = "",
):
    """Fine-tune a Transformers model on TensorFlow: compile with the built optimizer, and fit.

    Args:
        tokenized_dataset: What load_data wrote.
        optimizer_config: What build_optimizer wrote.
        base_model: A folder or a Hub id.
        model_revision: Revision of a Hub model.
        batch_size: Examples per batch, over all devices.
        num_train_epochs: Passes over the training rows; may be fractional.
        max_steps: Updates to make, whatever the number of epochs.
        gradient_accumulation_steps: Batches per update.
        drop_remainder: Leave out the last, smaller batch of an epoch.
        seed: For the head's weights, dropout and the order of the rows.
        model_fingerprint: Content of the model, so that a cache notices a new one.

    Returns:
        model: Weights, config, tokenizer, manifest and training log.
        tensorboard_logs: TensorBoard event files: the learning rate of every step, the losses.
        training_metrics: What was measured on the validation split after the last step.
    """
    from kfp_finetune.components import runtime

    with runtime.step("finetune", model.path, tensorboard_logs.path):
        from kfp_finetune.components.finetune import training

        manifest = training.finetune(
            tokenized_dataset_path=tokenized_dataset.path,
            optimizer_config_path=optimizer_config.path,
            base_model=base_model,
            model_revision=model_revision,
            model_fingerprint=model_fingerprint,
            batch_size=batch_size,
            num_train_epochs=num_train_epochs,
            max_steps=max_steps,
            gradient_accumulation_steps=gradient_accumulation_steps,
            drop_remainder=drop_remainder,
            seed=seed,
            model_path=model.path,
            tensorboard_logs_path=tensorboard_logs.path,
        )
        for name, value in manifest.validation_metrics.items():
            training_metrics.log_metric(f"validation_{name}", value)
        model.metadata.update(
            base_model=manifest.base_model, num_train_steps=manifest.num_train_steps
        )
