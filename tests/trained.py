"""Trained models as finetune leaves them, without the training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kfp_finetune.components.artifacts import model as model_artifact
from kfp_finetune.components.artifacts.model import ModelManifest
from kfp_finetune.components.build_optimizer.parameters import build_optimizer_config
from kfp_finetune.components.model_folder.tokenizer_files import copy_known
from tests.checkpoints import LABELS, write_checkpoint


def manifest(**changes: Any) -> ModelManifest:
    """Of a model for three labels."""
    settings: dict[str, Any] = {
        "task": "text-classification",
        "problem_type": "single_label_classification",
        "label_names": LABELS,
        "max_length": 24,
        "text_column": "text",
        "base_model": "google-bert/bert-base-uncased",
        "dataset": "/home/somebody/secret place/train.csv",
        "num_train_examples": 100,
        "batch_size": 10,
        "gradient_accumulation_steps": 1,
        "num_train_epochs": 3.0,
        "steps_per_epoch": 10,
        "num_train_steps": 30,
        "updates_done": 30,
        "optimizer": build_optimizer_config(30),
        "seed": 1,
    }
    return ModelManifest(**(settings | changes))


def write_trained(folder: Path, tokenizer: Path, family: str = "bert", **changes: Any) -> Path:
    """Write a model of a family, with weights from its recorded checkpoint.

    Args:
        folder: Where to.
        tokenizer: Whose tokenizer it gets.
        family: One of `tests.checkpoints.FAMILIES`.
        **changes: Of the manifest.
    """
    write_checkpoint(folder, family)
    copy_known(tokenizer, folder)
    model_artifact.write(folder, manifest(weights_format="pt", **changes))
    return folder
