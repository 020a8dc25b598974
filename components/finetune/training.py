"""The training run, read top to bottom: data, model, optimizer, fit, save."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from kfp_finetune.components.artifacts import model as model_artifact
from kfp_finetune.components.artifacts import optimizer_config as optimizer_artifact
from kfp_finetune.components.artifacts import tokenized_dataset
from kfp_finetune.components.build_optimizer.optimizers import build_optimizer
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.finetune import devices, models
from kfp_finetune.components.finetune.callbacks import EndOfPlan, ShowProgress, TrainingLog
from kfp_finetune.components.finetune.inputs import Rows, evaluation_dataset, training_dataset
from kfp_finetune.components.finetune.trainer import Trainer
from kfp_finetune.components.load_data import model_source
from kfp_finetune.components.load_data.steps import StepPlan, count_steps
from kfp_finetune.components.runtime import emit
from kfp_finetune.components.tasks import get_task


def finetune(
    *,
    tokenized_dataset_path: str,
    optimizer_config_path: str,
    base_model: str,
    model_revision: str | None = None,
    model_fingerprint: str = "",
    batch_size: int,
    num_train_epochs: float,
    max_steps: int | None = None,
    gradient_accumulation_steps: int = 1,
    drop_remainder: bool = False,
    seed: int = 42,
    model_path: str,
    tensorboard_logs_path: str,
) -> model_artifact.ModelManifest:
    """Fine-tune a model on a tokenized dataset with the optimizer that was built for it.

    Args:
        tokenized_dataset_path: What load_data wrote.
        optimizer_config_path: What build_optimizer wrote.
        base_model: A folder or a Hub id.
        model_revision: The Hub revision; None is the default branch.
        model_fingerprint: The model's content, recorded in the manifest.
        batch_size: Examples per batch, over all devices.
        num_train_epochs: Passes over the training split.
        max_steps: Updates to make, whatever the number of epochs.
        gradient_accumulation_steps: Batches per update.
        drop_remainder: Leave out the last, smaller batch of an epoch.
        seed: For the head's weights, dropout and the order of the rows.
        model_path: Where the model is written.
        tensorboard_logs_path: Where the event files are written.

    Returns:
        The written model's manifest.

    Raises:
        InputError: If the schedule is not as long as the plan, or the model cannot be loaded.
        RuntimeError: If the updates made are not the updates planned.
    """
    environment = devices.configure(seed)
    data = tokenized_dataset.read(tokenized_dataset_path)
    optimizer_config = optimizer_artifact.read(optimizer_config_path)
    plan = count_steps(
        data.splits["train"].rows,
        batch_size,
        num_train_epochs,
        max_steps,
        gradient_accumulation_steps,
        drop_remainder,
    )
    _check_schedule_fits(optimizer_config.schedule.num_train_steps, plan)

    task = get_task(data.task)
    network = models.load_classifier(
        model_source.resolve(base_model, model_revision, weights=True),
        num_labels=task.num_outputs(data.label_names),
        label_names=data.label_names,
        problem_type=data.problem_type,
        seed=seed,
        note=lambda text: emit("note", "finetune", text=text),
    )
    _check_model_fits(network.config.vocab_size, data, base_model)
    trainer = Trainer(network, plan.num_train_steps)
    trainer.compile(
        optimizer=build_optimizer(optimizer_config),
        loss=task.loss(data.problem_type),
        metrics=task.training_metrics(data.problem_type),
    )
    log = TrainingLog(Path(tensorboard_logs_path))
    fit(trainer, tokenized_dataset_path, data, plan, seed, [log, ShowProgress(plan)])

    updates_done = int(trainer.updates_done)
    if updates_done != plan.num_train_steps:
        raise RuntimeError(f"{updates_done} updates were made, {plan.num_train_steps} were planned")
    manifest = model_artifact.ModelManifest(
        task=data.task,
        problem_type=data.problem_type,
        label_names=data.label_names,
        max_length=data.max_length,
        base_model=base_model,
        base_model_fingerprint=model_fingerprint,
        dataset=data.dataset,
        dataset_fingerprint=data.dataset_fingerprint,
        num_train_examples=plan.num_train_examples,
        batch_size=batch_size,
        gradient_accumulation_steps=gradient_accumulation_steps,
        num_train_epochs=plan.num_train_epochs,
        steps_per_epoch=plan.steps_per_epoch,
        num_train_steps=plan.num_train_steps,
        updates_done=updates_done,
        optimizer=optimizer_config,
        seed=seed,
        validation_metrics=log.validation_metrics,
        environment=environment,
    )
    models.save(
        network, Path(tokenized_dataset_path) / tokenized_dataset.TOKENIZER, Path(model_path)
    )
    model_artifact.write_training_log(model_path, log.records)
    model_artifact.write(model_path, manifest)
    return manifest


def fit(
    trainer: Trainer,
    tokenized_dataset_path: str,
    data: tokenized_dataset.TokenizedDatasetManifest,
    plan: StepPlan,
    seed: int,
    callbacks: list[Any],
) -> None:
    """Make every planned update with one call of Keras' `fit`, evaluating after each epoch."""
    train = Rows(tokenized_dataset.open_split(tokenized_dataset_path, "train"), data)
    validation = None
    if data.splits["validation"].rows:
        table = tokenized_dataset.open_split(tokenized_dataset_path, "validation")
        validation, _ = evaluation_dataset(Rows(table, data), plan.batch_size)
    steps_per_epoch = min(plan.steps_per_epoch, plan.num_train_steps)
    trainer.fit(
        training_dataset(train, plan, seed),
        epochs=math.ceil(plan.num_train_steps / steps_per_epoch),
        steps_per_epoch=steps_per_epoch,
        validation_data=validation,
        callbacks=[EndOfPlan(plan), *callbacks],
        verbose=0,
    )


def _check_schedule_fits(schedule_steps: int, plan: StepPlan) -> None:
    if schedule_steps != plan.num_train_steps:
        raise InputError(
            f"the schedule is {schedule_steps:,} steps long, the training is {plan}",
            where="optimizer_config",
            expected="a schedule as long as the training",
            remedy="build the optimizer with the num_train_steps that count_steps returned for this"
            " data and these settings",
        )


def _check_model_fits(
    vocab_size: int, data: tokenized_dataset.TokenizedDatasetManifest, base_model: str
) -> None:
    if data.vocab_size > vocab_size:
        raise InputError(
            f"the data was tokenized for {data.model}, whose tokenizer has {data.vocab_size:,}"
            f" tokens; {base_model} knows {vocab_size:,}",
            where="base_model",
            expected="the model whose tokenizer the data was tokenized with",
            remedy="run load_data with this model",
        )
