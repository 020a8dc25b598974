"""The training run, read top to bottom: plan, build, restore, fit, save."""

from __future__ import annotations

import errno
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import tensorflow as tf

from kfp_finetune.components.artifacts import model as model_artifact
from kfp_finetune.components.artifacts import tokenized_dataset
from kfp_finetune.components.artifacts.model import ModelManifest, StoppedAt
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
from kfp_finetune.components.finetune.checkpoints import (
    Checkpoints,
    NoCheckpoints,
    open_checkpoints,
)
from kfp_finetune.components.finetune.history import History
from kfp_finetune.components.finetune.inputs import (
    Rows,
    batch_of_step,
    training_dataset,
)
from kfp_finetune.components.finetune.learner import Learner, Run, build, plan_run
from kfp_finetune.components.finetune.parameters import Parameters
from kfp_finetune.components.finetune.run_facts import facts_of
from kfp_finetune.components.finetune.trainer import Trainer
from kfp_finetune.components.finetune.training_log import (
    DivergedError,
    TrainingLog,
    hyperparameters,
)
from kfp_finetune.components.judgement.advice import after_divergence
from kfp_finetune.components.load_data.steps import StepPlan
from kfp_finetune.components.models import saving
from kfp_finetune.components.repeating import as_options
from kfp_finetune.components.tasks.calibration import Fitted
from kfp_finetune.components.tasks.registry import get_task


@distribution.lost_workers_explained()
def finetune(
    parameters: Parameters,
    *,
    tokenized_dataset_path: str,
    optimizer_config_path: str,
    model_path: str,
    tensorboard_logs_path: str,
    owner: str = "",
) -> ModelManifest:
    """Fine-tune a model on a tokenized dataset with the optimizer that was built for it.

    All GPUs train together, and with TF_CONFIG all workers, each of which calls this with the same
    arguments. Only the chief writes; all workers read the checkpoint directory.

    Args:
        parameters: The parameters of the step.
        tokenized_dataset_path: The folder that load_data wrote.
        optimizer_config_path: The folder that build_optimizer wrote.
        model_path: The folder to write the model to.
        tensorboard_logs_path: The folder to write the event files to.
        owner: The run, as `runtime.run_of` names it; the same for a retry.

    Returns:
        The manifest of the written model.

    Raises:
        InputError: If the schedule is not as long as the plan, the loss does not suit the data, the
            model cannot be loaded, training diverges, memory runs out, the checkpoints belong to
            another run, or workers were given different arguments.
        Terminated: If the process gets a signal to end; a checkpoint has been saved.
        RuntimeError: If the number of steps is not the planned one and training was not stopped
            for a reason, or if another worker ends.
    """
    environment = devices.configure(parameters.seed, parameters.precision)
    strategy = distribution.strategy()
    environment |= distribution.environment(strategy)
    chief = distribution.is_chief(strategy)

    run = plan_run(parameters, tokenized_dataset_path, optimizer_config_path)
    with strategy.scope():
        learner = build(run)
    history = History.of(run.plan.num_train_steps)
    log = open_log(run, learner, history, Path(tensorboard_logs_path) if chief else None)

    facts = facts_of(
        learner.trainer.network,
        run.dataset_path,
        run.optimizer,
        run.plan,
        environment,
        # If a divergence is reported, checkpoints also contain the finite weights.
        {**run.settings, "on_divergence": parameters.on_divergence},
    )
    distribution.check_same(
        strategy, {**facts, "checkpoints": parameters.checkpoint_dir is not None}
    )
    checkpointing = parameters.checkpointing(run.optimizer, owner)
    with open_checkpoints(
        checkpointing, learner.trainer, history, learner.best, learner.finite, facts
    ) as checkpoints:
        diverged_at = train(run, learner, history, log, checkpoints)
        restore_weights(learner)
        validated = calibrate(
            learner.trainer.network, run.dataset_path, run.data, run.plan.batch_size
        )
        manifest = describe(
            run, history, validated.fitted, environment, diverged_at, constant_loss(run, learner)
        )
        if chief:
            model_artifact.write_resamples(model_path, validated.resamples)
            save(run, learner, manifest, log, Path(model_path))
        log.close()
        checkpoints.finish()
    return manifest


def open_log(run: Run, learner: Learner, history: History, log_dir: Path | None) -> TrainingLog:
    """Open the training log.

    Args:
        run: The run.
        learner: Provides the names of metrics, and the batch of a step that diverges.
        history: The history that is logged.
        log_dir: The folder for TensorBoard's event files; None: another worker writes them.
    """
    seed, base_model = run.parameters.seed, run.parameters.base_model
    calmer = as_options(after_divergence(run.optimizer, run.data.hidden_size))
    return TrainingLog(
        log_dir,
        history,
        hyperparameters(run.optimizer, run.plan, run.settings, base_model, run.data.dataset),
        ["loss", *learner.metrics],
        lambda step: batch_of_step(learner.train, run.plan, seed, step),
        " ".join(calmer) or "a lower --learning-rate",
    )


def train(
    run: Run,
    learner: Learner,
    history: History,
    log: TrainingLog,
    checkpoints: Checkpoints | NoCheckpoints,
) -> int | None:
    """Make all planned steps, with evaluations, log, checkpoints and progress.

    Returns:
        The step at which training diverged, if that is reported rather than an error.

    Raises:
        DivergedError: If training diverges and that is an error.
        RuntimeError: If the number of steps is not the planned one.
    """
    trainer, plan = learner.trainer, run.plan
    evaluate = Evaluate(
        trainer,
        learner.validation,
        plan,
        history,
        run.parameters.selection,
        learner.best,
        learner.finite,
    )
    write_log = WriteLog(trainer, log, history)
    # A run may have been killed between a step and its evaluation.
    evaluate.evaluate_if_due()
    write_log.write()
    callbacks = [
        Clock(history),
        evaluate,
        write_log,
        SaveCheckpoints(checkpoints, write_log, history),
        ShowProgress(plan, history, run.optimizer.schedule),
    ]
    diverged_at = None
    try:
        fit(trainer, learner.train, plan, run.parameters.seed, history, callbacks)
        write_log.write()
    except DivergedError as error:
        if learner.finite is None:
            raise
        diverged_at = error.step
        history.stopped_at = StoppedAt(step=error.step, reason=error.found)
        history.evaluations = [e for e in history.evaluations if math.isfinite(e.metrics["loss"])]
        learner.finite.put_back()
    _check_steps(int(trainer.updates_done.numpy()), plan, history)
    if diverged_at is None:
        checkpoints.save()
    return diverged_at


def fit(
    trainer: Trainer,
    train: Rows,
    plan: StepPlan,
    seed: int,
    history: History,
    callbacks: Sequence[Any],
) -> None:
    """Make all remaining steps of the plan, with one call of Keras' `fit`.

    All steps are one Keras epoch: evaluations, and an end within an epoch, are counted in
    steps, so they come after the same steps wherever a run is resumed.

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
        if "No space left" in str(error):  # the same exception class is used for files
            raise OSError(errno.ENOSPC, "the disk is full") from error
        batch = batch_of_step(train, plan, seed, history.updates_done)
        raise InputError(
            f"out of memory in step {history.updates_done:,}, with a batch of {batch}",
            where="batch_size, max_length",
            expected="batches that fit into memory",
            remedy=f"--batch-size {max(1, plan.batch_size // 2)} --gradient-accumulation-steps"
            f" {2 * plan.gradient_accumulation_steps}, or a smaller --max-length",
        ) from None


def restore_weights(learner: Learner) -> None:
    """Restore the best weights, if they are kept, and the whole vocabulary."""
    if learner.best is not None:
        learner.best.put_back()
    if learner.vocabulary is not None:
        learner.vocabulary.put_back(learner.trainer.network)


def constant_loss(run: Run, learner: Learner) -> float:
    """The training loss of the best constant answer, which a model that learns goes below."""
    data = run.data
    found = get_task(data.task).constant_loss(
        data.problem_type, run.parameters.loss, learner.train.labels, data.label_names
    )
    return float(f"{found:.6g}")  # the last digits of a logarithm are the machine's


def describe(
    run: Run,
    history: History,
    fitted: Fitted,
    environment: Mapping[str, Any],
    diverged_at: int | None,
    constant: float,
) -> ModelManifest:
    """The manifest of the trained model."""
    parameters, data, plan = run.parameters, run.data, run.plan
    return ModelManifest(
        task=data.task,
        problem_type=data.problem_type,
        label_names=data.label_names,
        positive_label=data.positive_label,
        max_length=data.max_length,
        hidden_size=data.hidden_size,
        text_column=data.text_column,
        text_pair_column=data.text_pair_column,
        base_model=parameters.base_model,
        base_model_fingerprint=parameters.model_fingerprint,
        dataset=data.dataset,
        dataset_fingerprint=data.dataset_fingerprint,
        num_train_examples=plan.num_train_examples,
        num_validation_examples=data.splits["validation"].rows,
        batch_size=plan.batch_size,
        gradient_accumulation_steps=plan.gradient_accumulation_steps,
        num_train_epochs=plan.num_train_epochs,
        steps_per_epoch=plan.steps_per_epoch,
        num_train_steps=plan.num_train_steps,
        updates_done=history.updates_done,
        training_seconds=round(float(history.seconds), 3),
        stopped_at=history.stopped_at,
        diverged_at=diverged_at,
        resumed_at=history.resumed_at,
        differences=history.differences,
        optimizer=run.optimizer,
        seed=parameters.seed,
        **asdict(parameters.loss),
        label_all_tokens=parameters.label_all_tokens,
        constant_loss=constant,
        temperature=fitted.temperature,
        rejected_temperature=fitted.rejected_temperature,
        thresholds=fitted.thresholds,
        **parameters.selection.chosen(history.evaluations),
        weights_format="pt",
        environment=dict(environment),
        parameters=parameters.all_changed(data.parameters, run.optimizer.parameters),
    )


def save(
    run: Run, learner: Learner, manifest: ModelManifest, log: TrainingLog, folder: Path
) -> None:
    """Write the model: weights, tokenizer, training log, and last the manifest."""
    tokenizer = Path(run.dataset_path) / tokenized_dataset.TOKENIZER
    saving.save(learner.trainer.network, tokenizer, folder)
    model_artifact.write_training_log(folder, log.records)
    model_artifact.write(folder, manifest)


def _check_steps(made: int, plan: StepPlan, history: History) -> None:
    if made != history.updates_done or (
        made != plan.num_train_steps and history.stopped_at is None
    ):
        raise RuntimeError(f"{made} steps were made, but {plan.num_train_steps} were planned")
