"""The optimizer config: JSON that crosses containers, validated on both sides.

This module neither computes rates nor imports TensorFlow; `build_optimizer` does.
"""

from __future__ import annotations

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


class Schedule(BaseModel):
    """A learning rate for every step of a run.

    The rate rises from 0 to `learning_rate` over `warmup_steps` steps, then follows `name` until
    `num_train_steps` steps are made. A field that `name` does not use has no meaning.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: ScheduleName = "polynomial"
    learning_rate: float = Field(default=5e-5, gt=0, description="peak learning rate")
    end_learning_rate: float = Field(default=0.0, ge=0, description="rate after the last step")
    power: float = Field(default=1.0, gt=0, description="exponent of the polynomial")
    num_cycles: int = Field(default=1, ge=1, description="cycles of cosine_with_restarts")
    decay_rate: float = Field(default=0.1, gt=0, description="exponential: last rate ÷ first rate")
    decay_steps: int = Field(default=0, ge=0, description="warmup_stable_decay: steps of the decay")
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
    """An optimizer and its schedule. A field that `name` does not use has no meaning."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    name: OptimizerName = "adam"
    schedule: Schedule
    momentum: float = Field(default=0.0, ge=0, lt=1, description="sgd")
    weight_decay: float = Field(default=0.0, ge=0, description="decoupled; adamw and lion")
    adam_beta1: float = Field(default=0.9, ge=0, lt=1)
    adam_beta2: float = Field(default=0.999, ge=0, lt=1)
    adam_epsilon: float = Field(default=1e-7, gt=0)
    max_grad_norm: float | None = Field(default=None, gt=0, description="global norm; None: off")
    parameters: dict[str, Any] = Field(
        default_factory=dict,
        description="parameters of build_optimizer that are not at their defaults",
    )


def read(path: str | Path) -> OptimizerConfig:
    """Read and validate an optimizer config."""
    return read_manifest(Path(path) / FILE, OptimizerConfig)


def write(path: str | Path, config: OptimizerConfig) -> None:
    """Write an optimizer config."""
    write_manifest(Path(path) / FILE, config)
