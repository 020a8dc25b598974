"""The config of optimizer and schedule: JSON that crosses containers, validated at both ends.

Most fields are also parameters of build_optimizer. Their names, limits and users are declared here
once. Nothing here computes a rate or imports TensorFlow.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from kfp_finetune.components.artifacts.files import read_manifest, write_manifest

FILE = "optimizer.json"

ScheduleName = Literal[
    "constant",
    "linear",
    "polynomial",
    "cosine",
    "cosine_with_restarts",
    "inverse_sqrt",
    "exponential",
    "piecewise_constant",
    "warmup_stable_decay",
]
OptimizerName = Literal["adam", "adamw", "sgd", "lion"]
SCHEDULES: tuple[str, ...] = get_args(ScheduleName)
OPTIMIZERS: tuple[str, ...] = get_args(OptimizerName)


@dataclass(frozen=True)
class UsualRates:
    """The learning rates that are usual for an optimizer.

    Attributes:
        lowest: The lowest peak rate that is ever advised.
        highest: The highest peak rate that is ever advised.
        of_adam: The default rate, as a multiple of Adam's.
    """

    lowest: float
    highest: float
    of_adam: float = 1.0


# Lion's updates are signs: it wants a third to a tenth of AdamW's rate (2302.06675, section 5). The
# updates of gradient descent are as small as the gradients: with 2,000 times Adam's rate, a MiniLM
# of two layers learned 600 tweets as well as with Adam, and with 200 times nothing.
USUAL_RATES: dict[str, UsualRates] = {
    "adam": UsualRates(1e-6, 1e-2),
    "adamw": UsualRates(1e-6, 1e-2),
    "lion": UsualRates(1e-7, 1e-3, of_adam=0.2),
    "sgd": UsualRates(1e-3, 10.0, of_adam=2000.0),
}


def usual_rates(optimizer: str, momentum: float = 0.0) -> UsualRates:
    """The usual rates of an optimizer, given its momentum.

    Momentum adds up the steps: with 0.9, those in one direction become 10 times as long, and the
    usual rates of gradient descent are a tenth (rate / (1 - momentum); 1711.00489, section 4).

    Args:
        optimizer: One of `USUAL_RATES`; an unknown one, which will be refused, is taken for Adam.
        momentum: That of sgd; one that will be refused does not count.
    """
    usual = USUAL_RATES.get(optimizer, USUAL_RATES["adam"])
    if optimizer != "sgd" or not 0 < momentum < 1:
        return usual
    share = 1 - momentum
    lowest, highest = (float(f"{share * rate:.3g}") for rate in (usual.lowest, usual.highest))
    return UsualRates(lowest, highest, share * usual.of_adam)


def _used_by(*names: str) -> dict[str, Any]:
    """Mark a field as used by these schedules or optimizers only."""
    return {"used_by": list(names)}


class Schedule(BaseModel):
    """A learning rate for every step of a run.

    The rate rises from 0 over `warmup_steps` steps to `learning_rate`, then follows the schedule
    `name` until step `num_train_steps`. Fields that this schedule does not use are ignored.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: ScheduleName = "polynomial"
    learning_rate: float = Field(default=5e-5, gt=0, description="peak")
    end_learning_rate: float = Field(
        default=0.0,
        ge=0,
        description="rate after the last step",
        json_schema_extra=_used_by(
            "linear", "polynomial", "cosine", "cosine_with_restarts", "warmup_stable_decay"
        ),
    )
    power: float = Field(
        default=1.0,
        gt=0,
        description="exponent of the polynomial decay; 1 is linear",
        json_schema_extra=_used_by("polynomial"),
    )
    num_cycles: int = Field(
        default=1,
        ge=1,
        description="number of cosine decays",
        json_schema_extra=_used_by("cosine_with_restarts"),
    )
    decay_rate: float = Field(
        default=0.1,
        gt=0,
        description="last rate divided by the first; above 1, the rate rises",
        json_schema_extra=_used_by("exponential"),
    )
    decay_steps: int = Field(default=0, ge=0, description="length of warmup_stable_decay's decay")
    boundaries: tuple[tuple[int, float], ...] = Field(
        default=(), description="piecewise_constant: first step and rate of every later piece"
    )
    warmup_steps: int = Field(default=0, ge=0)
    num_train_steps: int = Field(gt=0)

    @model_validator(mode="after")
    def _phases_fit_the_run(self) -> Self:
        starts = [start for start, _ in self.boundaries]
        if (
            self.warmup_steps + max(1, self.decay_steps) > self.num_train_steps
            or starts != sorted(starts)
            or any(not self.warmup_steps < start <= self.num_train_steps for start in starts)
        ):
            raise ValueError("warmup, decay and pieces do not fit the number of steps")
        return self


class OptimizerConfig(BaseModel):
    """An optimizer and its schedule. Fields that this optimizer does not use are ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    name: OptimizerName = "adam"
    schedule: Schedule
    momentum: float = Field(default=0.0, ge=0, lt=1, json_schema_extra=_used_by("sgd"))
    weight_decay: float = Field(
        default=0.0, ge=0, description="decoupled", json_schema_extra=_used_by("adamw", "lion")
    )
    adam_beta1: float = Field(default=0.9, ge=0, lt=1, json_schema_extra=_used_by("adam", "adamw"))
    adam_beta2: float = Field(
        default=0.999, ge=0, lt=1, json_schema_extra=_used_by("adam", "adamw")
    )
    adam_epsilon: float = Field(
        default=1e-7,  # that of Keras
        gt=0,
        description="added to the denominator",
        json_schema_extra=_used_by("adam", "adamw"),
    )
    max_grad_norm: float | None = Field(default=None, gt=0, description="global norm; None: off")
    parameters: dict[str, Any] = Field(
        default_factory=dict,
        description="the parameters that it was built from, if not at their defaults",
    )


def read(path: str | Path) -> OptimizerConfig:
    """Read and validate an optimizer config."""
    return read_manifest(Path(path) / FILE, OptimizerConfig)


def write(path: str | Path, config: OptimizerConfig) -> None:
    """Write an optimizer config."""
    write_manifest(Path(path) / FILE, config)
