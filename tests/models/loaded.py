"""Recorded checkpoints, loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf

from kfp_finetune.components.models import loading
from kfp_finetune.components.models.classifier import Classifier
from tests.checkpoints import LABELS, record


def load(folder: Path, **changes: Any) -> Classifier:
    """A classifier for the three labels of the recorded checkpoints."""
    settings: dict[str, Any] = {
        "num_labels": 3,
        "label_names": LABELS,
        "problem_type": "single_label_classification",
        "seed": 1,
    }
    return loading.load_classifier(folder, **(settings | changes))


def features(family: str) -> dict[str, tf.Tensor]:
    """The token ids that the recorded models were asked with."""
    return {name: tf.constant(ids) for name, ids in record(family)["inputs"].items()}
