"""The optimizer's description: JSON that crosses containers, validated at both ends.

Nothing here computes a rate or imports TensorFlow; `build_optimizer` does the first, and finetune
asks it for the second.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from kfp_finetune.components.artifacts.files import read_manifest, write_manifest

FILE = "optimizer.json"

ScheduleName = Literal["constant", "cosine", "linear", "polynomial"]
OptimizerName = Literal["adam", "adamw"]
SCHEDULES: tuple[str, ...] = get_args(ScheduleName)
OPTIMIZERS: tuple[str, ...] = get_args(OptimizerName)


class Schedule(BaseModel):
    """A learning rate for every update of a run.

    The rate rises from 0 over `warmup_steps` updates to `learning_rate`, then follows `name` down
    to `end_learning_rate`, which it reaches after update number `num_train_steps`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: ScheduleName = "polynomial"
    learning_rate: float = Field(default=5e-5, gt=0, description="the peak")
    end_learning_rate: float = Field(default=0.0, ge=0)
    power: float = Field(default=1.0, gt=0, description="of the polynomial")
    warmup_steps: int = Field(default=0, ge=0)
    num_train_steps: int = Field(gt=0)


class OptimizerConfig(BaseModel):
    """An optimizer and its schedule."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    name: OptimizerName = "adam"
    schedule: Schedule
    weight_decay: float = Field(default=0.0, ge=0, description="decoupled; adamw only")
    adam_beta1: float = Field(default=0.9, ge=0, lt=1)
    adam_beta2: float = Field(default=0.999, ge=0, lt=1)
    adam_epsilon: float = Field(default=1e-7, gt=0)
    max_grad_norm: float | None = Field(default=None, gt=0, description="global norm; None: off")


def read(path: str | Path) -> OptimizerConfig:
    """Read and validate an optimizer's description."""
    return read_manifest(Path(path) / FILE, OptimizerConfig)


def write(path: str | Path, config: OptimizerConfig) -> None:
    """Write an optimizer's description."""
    write_manifest(Path(path) / FILE, config)
