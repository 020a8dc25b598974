"""The parameters of finetune: one dataclass, checked once, before TensorFlow is imported."""

from __future__ import annotations

import hashlib
import re
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.finetune.selection import Selection
from kfp_finetune.components.repeating import changed
from kfp_finetune.components.storage.uris import hide, without_secrets
from kfp_finetune.components.tasks.loss_parameters import LossParameters

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kfp_finetune.components.artifacts.optimizer_config import OptimizerConfig

# A path, or a URI of a writable store.
_WRITABLE = re.compile(r"(s3|gs|file)://.|(?![A-Za-z][A-Za-z0-9+.-]*://).", re.IGNORECASE)
RESUME = ("retry", "exact", "any")
PRECISIONS = ("auto", "float32", "bfloat16")
ON_DIVERGENCE = ("fail", "report")
INITIAL_BIASES = ("labels", "zeros")
_CHOICES = {
    "precision": PRECISIONS,
    "on_divergence": ON_DIVERGENCE,
    "initial_bias": INITIAL_BIASES,
    "resume_from_checkpoint": RESUME,
}
# The smallest value of each of these parameters, and its unit for messages.
_LOWEST = {
    "early_stopping_patience": (1, "a number of evaluations, at least 1"),
    "checkpoint_every_steps": (1, "a number of steps, at least 1"),
    "checkpoint_every_minutes": (0, "a number of minutes, at least 0"),
    "checkpoints_to_keep": (1, "a number of checkpoints, at least 1"),
}


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """The parameters of finetune, as `component.py` describes them.

    Raises:
        InputError: Listing every problem.
    """

    base_model: str
    model_revision: str | None = None
    batch_size: int = 32
    num_train_epochs: float | None = None
    max_steps: int | None = None
    gradient_accumulation_steps: int = 1
    drop_remainder: bool = False
    seed: int = 42
    precision: str = "auto"
    jit_compile: bool = False
    gradient_checkpointing: bool = False
    initial_bias: str = "labels"
    label_smoothing_factor: float = 0.0
    class_weights: str = "none"
    focal_gamma: float = 0.0
    label_all_tokens: bool = False
    metric_for_best_model: str = "loss"
    load_best_model_at_end: bool = False
    early_stopping_patience: int | None = None
    on_divergence: str = "fail"
    checkpoint_dir: str | None = None
    checkpoint_per_trial: bool = False
    checkpoint_every_steps: int | None = None
    checkpoint_every_minutes: float = 5.0
    checkpoints_to_keep: int = 2
    resume_from_checkpoint: str = "retry"
    tensorboard_dir: str | None = None
    model_fingerprint: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "base_model", hide(self.base_model))
        if problems := check_parameters(vars(self)):
            raise InputError.of_all(problems)

    @property
    def loss(self) -> LossParameters:
        """The parameters of the training loss."""
        return LossParameters.of(vars(self))

    @property
    def selection(self) -> Selection:
        """The settings of model selection and early stopping."""
        return Selection(
            metric=self.metric_for_best_model,
            patience=self.early_stopping_patience,
            load_best=self.load_best_model_at_end,
        )

    def checkpointing(self, optimizer: OptimizerConfig, owner: str) -> Checkpointing:
        """The settings for saving this run.

        Args:
            optimizer: The optimizer and schedule, which name a trial's folder.
            owner: The run, as `runtime.run_of` names it; the same for a retry.
        """
        directory = self.checkpoint_dir
        if directory is not None and self.checkpoint_per_trial:
            directory = f"{directory.rstrip('/')}/{trial_name(optimizer, self.seed)}"
        return Checkpointing(
            directory=directory,
            every_steps=self.checkpoint_every_steps,
            every_minutes=self.checkpoint_every_minutes,
            keep=self.checkpoints_to_keep,
            resume=self.resume_from_checkpoint,
            owner=owner,
        )

    def all_changed(self, data: Mapping[str, Any], optimizer: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters of a whole run that differ from their defaults, by the pipeline's names.

        What was chosen is among them, so that they repeat the run with any version.

        Args:
            data: The parameters of load_data that differ from their defaults.
            optimizer: The parameters of build_optimizer that differ from their defaults.
        """
        own = changed(asdict(self), Parameters)
        if self.max_steps is not None:  # whatever number of epochs that is
            own.pop("num_train_epochs", None)
        names = {field.name for field in fields(Parameters)}
        data = {name: value for name, value in data.items() if name not in names}
        return data | {"model": own.pop("base_model")} | dict(optimizer) | own


@dataclass(frozen=True)
class Checkpointing:
    """The settings for saving a run.

    Attributes:
        directory: A path or a URI; None: the run is not saved. The chief worker writes it, and all
            workers read it.
        every_steps: Steps between two checkpoints; None: `every_minutes` decides.
        every_minutes: Minutes between two checkpoints.
        keep: Number of checkpoints to keep.
        resume: Which checkpoints to continue from: "retry" this run's own, "exact" also those of
            another run that is equal in everything, "any" also where something differs.
        owner: The run; the same for a retry.
    """

    directory: str | None = None
    every_steps: int | None = None
    every_minutes: float = 5.0
    keep: int = 2
    resume: str = "retry"
    owner: str = ""


def check_parameters(parameters: Mapping[str, Any]) -> list[InputError]:
    """Return an error for every parameter that is invalid regardless of the data.

    Args:
        parameters: The values by the component's names; None if not given.
    """
    problems = [
        InputError(
            f"unknown {name} '{parameters[name]}'",
            where=name,
            expected="one of " + ", ".join(choices),
            remedy=f"--{name.replace('_', '-')} {choices[0]}",
        )
        for name, choices in _CHOICES.items()
        if parameters[name] not in choices
    ]
    problems += [
        InputError(
            f"{name} is {parameters[name]}",
            where=name,
            expected=expected,
            remedy=f"omit --{name.replace('_', '-')}",
        )
        for name, (lowest, expected) in _LOWEST.items()
        if parameters[name] is not None and not parameters[name] >= lowest
    ]
    directory = parameters["checkpoint_dir"]
    if directory is not None and not _WRITABLE.match(directory):
        problems.append(
            InputError(
                f"checkpoint_dir is {without_secrets(directory)}",
                where="checkpoint_dir",
                expected="a folder, s3:// or gs://",
                remedy="omit --checkpoint-dir",
            )
        )
    return problems


def trial_name(optimizer: OptimizerConfig, seed: int) -> str:
    """The name of a trial's folder: schedule, rate, seed, and a hash of all optimizer settings.

    Args:
        optimizer: The trial's optimizer and schedule.
        seed: The trial's seed.
    """
    digest = hashlib.sha256(optimizer.model_dump_json().encode()).hexdigest()[:8]
    schedule = optimizer.schedule
    return f"{schedule.name}-{schedule.learning_rate:g}-seed-{seed}-{digest}"
