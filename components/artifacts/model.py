"""The model: weights, config and tokenizer as Transformers saves them, and its training.

model/
    config.json  model.safetensors  tokenizer.json ...
    manifest.json
    training_log.jsonl
    validation_resamples.json
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from kfp_finetune.components.artifacts.files import read_manifest, write_manifest
from kfp_finetune.components.artifacts.optimizer_config import OptimizerConfig
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.storage.files import write_text

MANIFEST = "manifest.json"
TRAINING_LOG = "training_log.jsonl"
RESAMPLES = "validation_resamples.json"


class StoppedAt(BaseModel):
    """The step after which training ended early, and the reason."""

    model_config = ConfigDict(extra="forbid")

    step: int
    reason: str


class ModelManifest(BaseModel):
    """The manifest of a model: how it was trained, and how it predicts."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    schema_version: Literal[1] = 1
    task: str
    problem_type: str
    label_names: list[str]
    positive_label: str | None = Field(
        default=None, description="positive one of two labels; None: not given"
    )
    max_length: int
    hidden_size: int = Field(default=0, ge=0, description="width of the encoder; 0: not recorded")
    text_column: str = Field(default="", description="text column of the training data")
    text_pair_column: str | None = Field(default=None, description="second text column of pairs")
    base_model: str
    base_model_fingerprint: str = ""
    dataset: str
    dataset_fingerprint: str = ""
    num_train_examples: int
    num_validation_examples: int | None = Field(default=None, description="None: not recorded")
    batch_size: int
    gradient_accumulation_steps: int
    num_train_epochs: float
    steps_per_epoch: int
    num_train_steps: int = Field(description="steps planned")
    updates_done: int = Field(description="steps made")
    training_seconds: float = Field(
        default=0.0,
        exclude=True,  # not written, so that the same training writes the same bytes
        description="duration of the steps, without evaluations",
    )
    stopped_at: StoppedAt | None = None
    diverged_at: int | None = Field(
        default=None, description="step whose loss was not finite, with on_divergence=report"
    )
    best_step: int | None = Field(
        default=None, description="step of the evaluation whose weights were kept, if not the last"
    )
    resumed_at: list[int] = Field(
        default_factory=list, description="steps after which training was resumed"
    )
    differences: list[str] = Field(
        default_factory=list,
        description="differences on resuming; if any, not bit-identical",
    )
    optimizer: OptimizerConfig
    seed: int
    label_smoothing_factor: float = 0.0
    class_weights: str = "none"
    focal_gamma: float = 0.0
    label_all_tokens: bool = False
    constant_loss: float | None = Field(
        default=None,
        description="training loss of the best constant answer, such as the entropy of the labels;"
        " None: not recorded",
    )
    validation_metrics: dict[str, float] = Field(default_factory=dict)
    temperature: float = Field(
        default=1.0,
        gt=0,
        description="single-label: divides logits to calibrate probabilities; fitted on the"
        " validation split; 1: none, or it would not help",
    )
    rejected_temperature: float | None = Field(
        default=None,
        description="fitted temperature that is not used, because it does not lower log loss and"
        " calibration error of the validation split; None: there is none",
    )
    thresholds: list[float] | None = Field(
        default=None,
        description="multi-label: probability above which each label is predicted, fitted on the"
        " validation split; None: 0.5",
    )
    weights_format: Literal["pt", "tf"] = Field(
        default="tf", description="names and layouts of the weights: PyTorch's or TensorFlow's"
    )
    environment: dict[str, Any] = Field(default_factory=dict)
    parameters: dict[str, Any] | None = Field(
        default=None,
        description="parameters that are not at their defaults; None: not recorded",
    )


def read(path: str | Path) -> ModelManifest:
    """Read and validate the manifest of a model."""
    return read_manifest(Path(path) / MANIFEST, ModelManifest)


def write(path: str | Path, manifest: ModelManifest) -> None:
    """Write the manifest, last, so that a folder with a manifest is complete."""
    write_manifest(Path(path) / MANIFEST, manifest)


def write_training_log(path: str | Path, records: Iterable[dict[str, Any]]) -> None:
    """Write the training log.

    Args:
        path: The model's folder.
        records: In order. One per step: `{"step": i, "learning_rate": r, "loss": l}`, where i
            counts from 0 and r is the rate that step i used. One per evaluation after n steps:
            `{"step": n, "validation": {"loss": ..., "accuracy": ...}}`.
    """
    write_text(Path(path) / TRAINING_LOG, "".join(json.dumps(r) + "\n" for r in records))


def read_training_log(path: str | Path) -> Iterator[dict[str, Any]]:
    """Read the records that `write_training_log` wrote.

    Raises:
        InputError: If the log is missing or damaged.
    """
    file = Path(path) / TRAINING_LOG
    try:
        with file.open(encoding="utf-8") as lines:
            for line in lines:
                yield json.loads(line)
    except (OSError, ValueError) as error:
        raise InputError(
            f"the training log cannot be read: {error}",
            where=str(file),
            expected="one JSON object per line, as finetune writes it",
            remedy="give a model that finetune wrote",
        ) from None


def write_resamples(path: str | Path, resamples: Mapping[str, Sequence[float]]) -> None:
    """Write metrics on bootstrap resamples of the validation split.

    Two models that were validated on the same rows have the same resamples, in the same order.

    Args:
        path: The model's folder.
        resamples: The values of each metric.
    """
    rounded = {name: [round(value, 6) for value in values] for name, values in resamples.items()}
    write_text(Path(path) / RESAMPLES, json.dumps(rounded) + "\n")


def read_resamples(path: str | Path) -> dict[str, list[float]]:
    """Read what `write_resamples` wrote; empty if there is none."""
    file = Path(path) / RESAMPLES
    found: dict[str, list[float]] = (
        json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    )
    return found
