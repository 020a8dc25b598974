"""What finetune is told about selection and saving: checked before anything is imported for it."""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from kfp_finetune.components.artifacts import optimizer_config
from kfp_finetune.components.artifacts.metrics import LESS_IS_BETTER
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.repeating import changed
from kfp_finetune.components.tasks.declaration import unknown_metric
from kfp_finetune.components.uris import without_secrets

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kfp_finetune.components.artifacts.optimizer_config import OptimizerConfig
    from kfp_finetune.components.finetune.history import Evaluation

# A path, or a URI of a place that can be written.
_SCHEME = re.compile(r"(s3|gs|file)://.|(?![A-Za-z][A-Za-z0-9+.-]*://).", re.IGNORECASE)
RESUME = ("retry", "exact", "any")
PRECISIONS = ("auto", "float32", "bfloat16")
ON_DIVERGENCE = ("fail", "report")


def check_precision(precision: str) -> None:
    """Check the parameter.

    Raises:
        InputError: If there is no such precision.
    """
    if precision not in PRECISIONS:
        raise InputError(
            f"precision '{precision}' is not known",
            where="precision",
            expected="one of " + ", ".join(PRECISIONS),
            remedy="--precision auto",
        )


def check_on_divergence(on_divergence: str) -> None:
    """Check the parameter.

    Raises:
        InputError: If it is neither.
    """
    if on_divergence not in ON_DIVERGENCE:
        raise InputError(
            f"on_divergence '{on_divergence}' is not known",
            where="on_divergence",
            expected="fail or report",
            remedy="--on-divergence report",
        )


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """The parameters of finetune, as `component.py` describes them, and their defaults."""

    base_model: str
    model_revision: str | None = None
    batch_size: int = 32
    num_train_epochs: float = 3.0
    max_steps: int | None = None
    gradient_accumulation_steps: int = 1
    drop_remainder: bool = False
    seed: int = 42
    precision: str = "auto"
    jit_compile: bool = False
    gradient_checkpointing: bool = False
    label_smoothing_factor: float = 0.0
    class_weights: str = "none"
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


def all_changed(
    parameters: Mapping[str, Any], data: Mapping[str, Any], optimizer: Mapping[str, Any]
) -> dict[str, Any]:
    """The parameters of a whole run that are not at their defaults, as the pipeline names them.

    Args:
        parameters: Those of finetune, by the component's names.
        data: Those of load_data that are not at their defaults.
        optimizer: The same of build_optimizer.
    """
    own = changed(parameters, Parameters)
    model = own.pop("base_model", None)
    names = {field.name for field in fields(Parameters)}
    data = {name: value for name, value in data.items() if name not in names}
    return data | ({"model": model} if model else {}) | dict(optimizer) | own


@dataclass(frozen=True)
class Selection:
    """How the validation split decides.

    Attributes:
        metric: The metric that decides.
        patience: Evaluations without a better one after which training ends; None: it does not.
        load_best: Whether the weights of the best evaluation are the model, not the last ones.
    """

    metric: str = "loss"
    patience: int | None = None
    load_best: bool = False

    def __post_init__(self) -> None:
        """Check what can be checked without data.

        Raises:
            InputError: If the patience is not positive.
        """
        if self.patience is not None and self.patience < 1:
            raise InputError(
                f"early_stopping_patience is {self.patience}",
                where="early_stopping_patience",
                expected="a number of evaluations, at least 1",
                remedy="omit --early-stopping-patience to train to the end",
            )

    def check(self, metrics: list[str], validation_rows: int) -> None:
        """Check that what decides is measured.

        Args:
            metrics: What the task measures besides the loss.
            validation_rows: Rows of the validation split.

        Raises:
            InputError: If it is not.
        """
        known = ["loss", *metrics]
        if self.metric not in known:
            raise unknown_metric(self.metric, "one of " + ", ".join(known), known)
        if not validation_rows and (problems := self.without_validation()):
            raise InputError.of_all(problems)

    def without_validation(self) -> list[InputError]:
        """What needs validation rows, as problems for a run that has none."""
        return [
            InputError(
                f"{name} is given, and the validation split is empty",
                where=name,
                expected="validation rows",
                remedy=f"--validation-fraction 0.1, or omit {option}",
            )
            for name, option, needed in (
                (
                    "load_best_model_at_end",
                    "--load-best-model-at-end",
                    self.load_best,
                ),
                (
                    "early_stopping_patience",
                    "--early-stopping-patience",
                    self.patience is not None,
                ),
            )
            if needed
        ]

    def chosen(self, evaluations: list[Evaluation]) -> dict[str, Any]:
        """What a model's manifest says of the evaluation whose weights it has."""
        if not evaluations:
            return {}
        chosen = evaluations[self.best(evaluations) if self.load_best else -1]
        return {
            "validation_metrics": chosen.metrics,
            "best_step": chosen.step if self.load_best else None,
        }

    def best(self, evaluations: list[Evaluation]) -> int:
        """The index of the best evaluation, the earliest of equal ones; NaN is worst."""
        sign = 1 if self.metric in LESS_IS_BETTER else -1
        values = [sign * e.metrics[self.metric] for e in evaluations]
        return min(range(len(values)), key=lambda i: (math.isnan(values[i]), values[i]))


@dataclass(frozen=True)
class Checkpointing:
    """Whether, where and how often a run is saved.

    Attributes:
        directory: A path or a URI; None: it is not. Of several workers the chief writes it, and all
            read it.
        every_steps: Updates between two checkpoints; None: `every_minutes` decides.
        every_minutes: Minutes between two.
        keep: How many are kept.
        resume: Whose are gone on from: "retry" this run's own, "exact" also those of another run
            with everything equal, "any" also where something differs.
        owner: Which run this is; the same for a retry.
    """

    directory: str | None = None
    every_steps: int | None = None
    every_minutes: float = 5.0
    keep: int = 2
    resume: str = "retry"
    owner: str = ""

    def __post_init__(self) -> None:
        """Check the numbers and names.

        Raises:
            InputError: With everything that is wrong.
        """
        problems = [
            InputError(
                f"{name} is {value}",
                where=name,
                expected=expected,
                remedy=f"omit --{name.replace('_', '-')}",
            )
            for name, value, expected, right in (
                (
                    "checkpoint_dir",
                    without_secrets(self.directory or ""),
                    "a folder, s3:// or gs://",
                    self.directory is None or _SCHEME.match(self.directory) is not None,
                ),
                (
                    "checkpoint_every_steps",
                    self.every_steps,
                    "a number of steps, at least 1",
                    self.every_steps is None or self.every_steps >= 1,
                ),
                (
                    "checkpoint_every_minutes",
                    self.every_minutes,
                    "a number of minutes, at least 0",
                    self.every_minutes >= 0,
                ),
                ("checkpoints_to_keep", self.keep, "at least 1", self.keep >= 1),
                (
                    "resume_from_checkpoint",
                    self.resume,
                    "one of " + ", ".join(RESUME),
                    self.resume in RESUME,
                ),
            )
            if not right
        ]
        if problems:
            raise InputError.of_all(problems)


# finetune's parameters that are fields of `Selection` and of `Checkpointing`.
_SELECTION = {
    "metric_for_best_model": "metric",
    "early_stopping_patience": "patience",
    "load_best_model_at_end": "load_best",
}
_CHECKPOINTING = {
    "checkpoint_dir": "directory",
    "checkpoint_every_steps": "every_steps",
    "checkpoint_every_minutes": "every_minutes",
    "checkpoints_to_keep": "keep",
    "resume_from_checkpoint": "resume",
}


def grouped(
    parameters: Mapping[str, Any], owner: str = "", optimizer_config_path: str = ""
) -> dict[str, Any]:
    """Finetune's parameters as `training.finetune` takes them.

    Args:
        parameters: By the component's names; those that are left out have their defaults.
        owner: Which run this is.
        optimizer_config_path: What build_optimizer wrote, for `checkpoint_per_trial`.

    Returns:
        The same, with `selection` and `checkpointing` in place of their fields, and all of them as
        `parameters`, for the record.

    Raises:
        InputError: If one of those is wrong.
    """
    of_groups = {*_SELECTION, *_CHECKPOINTING, "checkpoint_per_trial"}
    selection, checkpointing = (
        {field: parameters[name] for name, field in group.items() if name in parameters}
        for group in (_SELECTION, _CHECKPOINTING)
    )
    if parameters.get("checkpoint_per_trial") and checkpointing.get("directory"):
        trial = trial_name(optimizer_config.read(optimizer_config_path), parameters["seed"])
        checkpointing["directory"] = f"{checkpointing['directory'].rstrip('/')}/{trial}"
    problems = InputError.found_by(lambda: Selection(**selection))
    problems += InputError.found_by(lambda: Checkpointing(**checkpointing, owner=owner))
    if problems:
        raise InputError.of_all(problems)
    return {n: value for n, value in parameters.items() if n not in of_groups} | {
        "parameters": dict(parameters),
        "selection": Selection(**selection),
        "checkpointing": Checkpointing(**checkpointing, owner=owner),
    }


def trial_name(optimizer: OptimizerConfig, seed: int) -> str:
    """A trial's folder: what people know it by, and a hash of all that makes trials differ.

    Args:
        optimizer: The trial's optimizer and schedule.
        seed: The trial's seed.
    """
    digest = hashlib.sha256(optimizer.model_dump_json().encode()).hexdigest()[:8]
    schedule = optimizer.schedule
    return f"{schedule.name}-{schedule.learning_rate:g}-seed-{seed}-{digest}"
