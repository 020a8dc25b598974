"""The model: weights, config and tokenizer as Transformers saves them, and how it was trained.

model/
    config.json  model.safetensors  tokenizer.json ...
    manifest.json
    training_log.jsonl
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from kfp_finetune.components.artifacts.files import read_manifest, write_manifest, write_text
from kfp_finetune.components.artifacts.optimizer_config import OptimizerConfig
from kfp_finetune.components.errors import InputError

MANIFEST = "manifest.json"
TRAINING_LOG = "training_log.jsonl"


class StoppedAt(BaseModel):
    """Where training ended before its plan did, and why."""

    model_config = ConfigDict(extra="forbid")

    step: int
    reason: str


class ModelManifest(BaseModel):
    """What evaluate, predict and a person need to know about a model."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    schema_version: Literal[1] = 1
    task: str
    problem_type: str
    label_names: list[str]
    max_length: int
    text_column: str = Field(default="", description="of the data that it was trained on")
    text_pair_column: str | None = Field(default=None, description="not None: it reads pairs")
    base_model: str
    base_model_fingerprint: str = ""
    dataset: str
    dataset_fingerprint: str = ""
    num_train_examples: int
    batch_size: int
    gradient_accumulation_steps: int
    num_train_epochs: float
    steps_per_epoch: int
    num_train_steps: int = Field(description="updates planned")
    updates_done: int = Field(description="updates counted as they were made")
    training_seconds: float = Field(
        default=0.0,
        exclude=True,  # not written: the same training leaves the same bytes
        description="that they took, evaluations left out",
    )
    stopped_at: StoppedAt | None = None
    diverged_at: int | None = Field(
        default=None, description="the update whose loss was not finite, where that is a result"
    )
    best_step: int | None = Field(
        default=None, description="the evaluation whose weights these are, if not the last ones"
    )
    resumed_at: list[int] = Field(
        default_factory=list, description="updates after which training was gone on with"
    )
    differences: list[str] = Field(
        default_factory=list, description="what differed then; not bit-identical if anything did"
    )
    optimizer: OptimizerConfig
    seed: int
    label_smoothing_factor: float = 0.0
    class_weights: str = "none"
    label_all_tokens: bool = False
    validation_metrics: dict[str, float] = Field(default_factory=dict)
    temperature: float = Field(
        default=1.0,
        gt=0,
        description="single-label: logits are divided by it for probabilities that can be believed;"
        " fitted on the validation split",
    )
    thresholds: list[float] | None = Field(
        default=None,
        description="multi-label: the probability of each label above which it is given, fitted on"
        " the validation split; None: 0.5",
    )
    weights_format: Literal["pt", "tf"] = Field(
        default="tf", description="whose names and layouts the weights have"
    )
    environment: dict[str, Any] = Field(default_factory=dict)
    parameters: dict[str, Any] | None = Field(
        default=None,
        description="all that are not at the pipeline's defaults; None: they were not recorded",
    )


def read(path: str | Path) -> ModelManifest:
    """Read and validate the manifest of a model."""
    return read_manifest(Path(path) / MANIFEST, ModelManifest)


def write(path: str | Path, manifest: ModelManifest) -> None:
    """Write the manifest; the last thing written, so that a folder with one is whole."""
    write_manifest(Path(path) / MANIFEST, manifest)


def write_training_log(path: str | Path, records: Iterable[dict[str, Any]]) -> None:
    """Write the training log.

    Args:
        path: The model's folder.
        records: In order. One per update: `{"step": i, "learning_rate": r, "loss": l}`, where i
            counts updates from 0 and r is the rate that update i used. One per evaluation:
            `{"step": n, "validation": {"loss": ..., "accuracy": ...}}` after n updates.
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
            expected="one JSON object a line, as finetune writes it",
            remedy="give a model that finetune wrote",
        ) from None
