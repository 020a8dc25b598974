"""The training run, read top to bottom: data, model, optimizer, fit, save."""

from __future__ import annotations

import errno
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import tensorflow as tf

from kfp_finetune.components.artifacts import model as model_artifact
from kfp_finetune.components.artifacts import optimizer_config as optimizer_artifact
from kfp_finetune.components.artifacts import tokenized_dataset
from kfp_finetune.components.artifacts.model import StoppedAt
from kfp_finetune.components.build_optimizer.optimizers import build_optimizer
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.finetune import devices, distribution
from kfp_finetune.components.finetune.calibration import calibrate
from kfp_finetune.components.finetune.callbacks import (
    Callbacks,
    Clock,
    Evaluate,
    SaveCheckpoints,
    ShowProgress,
    WriteLog,
)
from kfp_finetune.components.finetune.checkpoints import open_checkpoints
from kfp_finetune.components.finetune.history import BestWeights, History
from kfp_finetune.components.finetune.inputs import (
    Rows,
    batch_of_update,
    training_dataset,
    validation_dataset,
)
from kfp_finetune.components.finetune.parameters import (
    Checkpointing,
    Selection,
    all_changed,
    check_on_divergence,
    check_precision,
)
from kfp_finetune.components.finetune.run_facts import facts_of, hyperparameters
from kfp_finetune.components.finetune.trainer import Trainer
from kfp_finetune.components.finetune.training_log import DivergedError, TrainingLog
from kfp_finetune.components.finetune.vocabulary import UsedVocabulary
from kfp_finetune.components.load_data import model_location
from kfp_finetune.components.load_data.steps import StepPlan, count_steps
from kfp_finetune.components.models.loading import load_classifier
from kfp_finetune.components.models.saving import save
from kfp_finetune.components.runtime import emit
from kfp_finetune.components.tasks.labels import num_outputs
from kfp_finetune.components.tasks.registry import get_task
from kfp_finetune.components.uris import hide


@distribution.tell_of_lost_workers()
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
    precision: str = "auto",
    jit_compile: bool = False,
    gradient_checkpointing: bool = False,
    label_smoothing_factor: float = 0.0,
    class_weights: str = "none",
    label_all_tokens: bool = False,
    selection: Selection | None = None,
    on_divergence: str = "fail",
    checkpointing: Checkpointing | None = None,
    parameters: Mapping[str, Any] | None = None,
    model_path: str,
    tensorboard_logs_path: str,
) -> model_artifact.ModelManifest:
    """Fine-tune a model on a tokenized dataset with the optimizer that was built for it.

    All GPUs train together, and with TF_CONFIG all workers, each of which calls this with the same
    arguments. Only the chief writes; all read `checkpointing.directory`.

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
        precision: Of matrix products, one of `parameters.PRECISIONS`.
        jit_compile: Compile updates with XLA, once for each width of a batch; for GPUs.
        gradient_checkpointing: Compute each layer again in the gradient, to save memory.
        label_smoothing_factor: As the task's `training_loss` takes it.
        class_weights: As the task's `training_loss` takes it.
        label_all_tokens: Of words with labels, whether all pieces of one are trained to have it.
        selection: What the validation split decides; None: nothing.
        on_divergence: "fail", or "report": training ends, `stopped_at` says where, and the model
            has the weights of the last evaluation with a finite loss, or those it began with.
        checkpointing: Whether and where the run is saved; None: it is not.
        parameters: All of these by the component's names, for the record; None: not recorded.
        model_path: Where the model is written.
        tensorboard_logs_path: Where the event files are written.

    Returns:
        The written model's manifest.

    Raises:
        InputError: If the schedule is not as long as the plan, the loss has no meaning for the
            data, the model cannot be loaded, training diverges, memory runs out, there are
            checkpoints of another run, or workers were given different arguments.
        Terminated: If the process was told to end; there is a checkpoint.
        RuntimeError: If the updates made are neither those planned nor ended for a reason, or if
            another worker ends.
    """
    selection = selection or Selection()
    base_model = hide(base_model)
    check_precision(precision)
    check_on_divergence(on_divergence)
    environment: dict[str, Any] = devices.configure(seed, precision)
    strategy = distribution.strategy()
    environment |= distribution.environment(strategy)
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
    task.check_training_loss(label_smoothing_factor, class_weights, data.problem_type)
    splits = {
        name: tokenized_dataset.open_split(tokenized_dataset_path, name)
        for name in ("train", "validation")
    }
    with strategy.scope():
        network = load_classifier(
            model_location.resolve(base_model, model_revision, weights=True),
            per_token=task.per_token,
            num_labels=num_outputs(data.label_names),
            label_names=data.label_names,
            problem_type=data.problem_type,
            seed=seed,
            note=lambda text: emit("note", "finetune", text=text),
        )
        _check_model_fits(network.config.vocab_size, data, base_model)
        network.gradient_checkpointing = gradient_checkpointing
        vocabulary = None
        if not optimizer_config.weight_decay:  # decay changes every weight, used or not
            vocabulary = UsedVocabulary(splits.values(), data, network.config.fixed_ids)
            vocabulary.shrink(network)
        train = Rows(splits["train"], data, vocabulary, label_all_tokens=label_all_tokens)
        training_loss = task.training_loss(
            data.problem_type, label_smoothing_factor, class_weights, train.labels
        )
        metrics = task.training_metrics(data.problem_type, data.label_names)
        selection.check([metric.name for metric in metrics], data.splits["validation"].rows)
        trainer = Trainer(network, plan.num_train_steps, training_loss, compile_updates=jit_compile)
        trainer.compile(
            optimizer=build_optimizer(optimizer_config),
            loss=task.loss(data.problem_type),
            weighted_metrics=metrics,
            jit_compile=False,
        )
        best = BestWeights(network) if selection.load_best else None
        finite = BestWeights(network) if on_divergence == "report" else None
        validation = None
        if data.splits["validation"].rows:
            rows = Rows(splits["validation"], data, vocabulary)
            validation = validation_dataset(rows, plan.batch_size)
    history = History.of(plan.num_train_steps)
    settings = {
        "seed": seed,
        "label_smoothing_factor": label_smoothing_factor,
        "class_weights": class_weights,
        "label_all_tokens": label_all_tokens,
        "jit_compile": jit_compile,
        "gradient_checkpointing": gradient_checkpointing,
        "selection": asdict(selection),
    }
    log = TrainingLog(
        Path(tensorboard_logs_path) if distribution.is_chief(strategy) else None,
        history,
        hyperparameters(optimizer_config, plan, settings, base_model, data.dataset),
        ["loss", *(metric.name for metric in metrics)],
        lambda step: batch_of_update(train, plan, seed, step),
    )
    facts = facts_of(network, tokenized_dataset_path, optimizer_config, plan, environment, settings)
    saved = checkpointing is not None and checkpointing.directory is not None
    distribution.check_same(strategy, {**facts, "checkpoints": saved})
    with open_checkpoints(checkpointing, trainer, history, best, facts) as checkpoints:
        evaluate = Evaluate(trainer, validation, plan, history, selection, best, finite)
        write_log = WriteLog(trainer, log, history)
        evaluate.evaluate_if_due()
        write_log.write()
        callbacks = [
            Clock(history),
            evaluate,
            write_log,
            SaveCheckpoints(checkpoints, write_log, history),
            ShowProgress(plan, history, optimizer_config.schedule),
        ]
        diverged_at = None
        try:
            fit(trainer, train, plan, seed, history, callbacks)
            write_log.write()
        except DivergedError as error:
            if finite is None:
                raise
            diverged_at = error.step
            history.stopped_at = StoppedAt(step=error.step, reason=error.found)
            kept = [e for e in history.evaluations if math.isfinite(e.metrics["loss"])]
            history.evaluations = kept
            finite.put_back()
        _check_updates(int(trainer.updates_done.numpy()), plan, history)
        if diverged_at is None:
            checkpoints.save()
        if best is not None:
            best.put_back()
        if vocabulary is not None:
            vocabulary.put_back(network)
        fitted = calibrate(network, tokenized_dataset_path, data, plan.batch_size)
        manifest = model_artifact.ModelManifest(
            task=data.task,
            problem_type=data.problem_type,
            label_names=data.label_names,
            max_length=data.max_length,
            text_column=data.text_column,
            text_pair_column=data.text_pair_column,
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
            updates_done=history.updates_done,
            training_seconds=round(float(history.seconds), 3),
            stopped_at=history.stopped_at,
            diverged_at=diverged_at,
            resumed_at=history.resumed_at,
            differences=history.differences,
            optimizer=optimizer_config,
            seed=seed,
            label_smoothing_factor=label_smoothing_factor,
            class_weights=class_weights,
            label_all_tokens=label_all_tokens,
            temperature=fitted.temperature,
            thresholds=fitted.thresholds,
            **selection.chosen(history.evaluations),
            weights_format="pt",
            environment=environment,
            parameters=None
            if parameters is None
            else all_changed(parameters, data.parameters, optimizer_config.parameters),
        )
        if distribution.is_chief(strategy):
            tokenizer = Path(tokenized_dataset_path) / tokenized_dataset.TOKENIZER
            save(network, tokenizer, Path(model_path))
            model_artifact.write_training_log(model_path, log.records)
            model_artifact.write(model_path, manifest)
        log.close()
        checkpoints.finish()
    return manifest


def fit(
    trainer: Trainer,
    train: Rows,
    plan: StepPlan,
    seed: int,
    history: History,
    callbacks: Sequence[Any],
) -> None:
    """Make every planned update that is not yet made with one call of Keras' `fit`.

    They are one Keras epoch. Evaluations, and the end where that is in mid-epoch, are counted in
    updates, and so are where they would have been, wherever a run is resumed.

    Raises:
        InputError: If memory runs out.
    """
    left = plan.num_train_steps - history.updates_done
    if not left or history.stopped_at:
        return
    with trainer.distribute_strategy.scope():
        dataset = training_dataset(train, plan, seed, history.updates_done)
    try:
        trainer.fit(
            dataset,
            steps_per_epoch=left,
            shuffle=False,
            callbacks=Callbacks(callbacks, trainer),
            verbose=0,
        )
    except tf.errors.ResourceExhaustedError as error:
        if "No space left" in str(error):  # the same class, for files
            raise OSError(errno.ENOSPC, "the disk is full") from error
        batch = batch_of_update(train, plan, seed, history.updates_done)
        raise InputError(
            f"memory ran out in update {history.updates_done:,}, of {batch}",
            where="batch_size, max_length",
            expected="batches for which there is memory",
            remedy=f"--batch-size {max(1, plan.batch_size // 2)} --gradient-accumulation-steps"
            f" {2 * plan.gradient_accumulation_steps}, or a smaller --max-length",
        ) from None


def _check_updates(made: int, plan: StepPlan, history: History) -> None:
    if made != history.updates_done or (
        made != plan.num_train_steps and history.stopped_at is None
    ):
        raise RuntimeError(f"{made} updates were made, {plan.num_train_steps} were planned")


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
