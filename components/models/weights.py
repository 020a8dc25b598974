"""Copy a checkpoint's tensors into a model, and initialise missing weights at random."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from kfp_finetune.components.models.checkpoint import Checkpoint
from kfp_finetune.components.models.classifier import Classifier
from kfp_finetune.components.models.names import Weight, weights_of


class Compared(NamedTuple):
    """A comparison of a model's weights with a checkpoint's tensors, by PyTorch's names.

    Attributes:
        weights: All weights of the model.
        missing: Weights that the checkpoint does not have.
        mismatched: Weights whose shapes differ, and the two shapes.
        unused: Tensors of the checkpoint that the model does not have.
    """

    weights: dict[str, Weight]
    missing: set[str]
    mismatched: dict[str, str]
    unused: list[str]

    @property
    def fresh(self) -> set[str]:
        """The weights for which the checkpoint has no values."""
        return self.missing | self.mismatched.keys()


def compare_weights(model: Classifier, checkpoint: Checkpoint) -> Compared:
    """Compare the names and shapes of a model's weights with those of a checkpoint.

    Args:
        model: A model, whose variables need not have values yet.
        checkpoint: An open checkpoint.
    """
    weights = {weight.name: weight for weight in weights_of(model)}
    missing = weights.keys() - checkpoint.tensors.keys()
    mismatched = {}
    for name, weight in weights.items():
        if name in missing:
            continue
        found, wanted = checkpoint.tensors[name].shape, checkpoint.shape_of(weight)
        if found != wanted:
            mismatched[name] = f"{list(found)} instead of {list(wanted)}"
    unused = [
        name
        for name in sorted(checkpoint.tensors.keys() - weights.keys())
        if not re.search(model.family.ignored, name)
    ]
    return Compared(weights, set(missing), mismatched, unused)


def load_weights(compared: Compared, checkpoint: Checkpoint) -> None:
    """Copy a checkpoint's tensors into a model; other weights keep their values.

    Raises:
        InputError: If a tensor contains a number that is not finite.
    """
    for name in compared.weights.keys() - compared.fresh:
        weight = compared.weights[name]
        weight.variable.assign(checkpoint.value_of(weight))


def draw(weights: Iterable[Weight], stddev: float, seed: int) -> None:
    """Initialise weights: matrices from a normal distribution, offsets 0, scales 1.

    The values of a weight depend only on its name, its shape and the seed.

    Args:
        weights: The weights.
        stddev: Standard deviation of the matrices, the configuration's `initializer_range`.
        seed: The run's seed.
    """
    for weight in weights:
        shape = tuple(weight.variable.shape)
        if len(shape) < 2:
            is_scale = weight.name.endswith("weight")
            weight.variable.assign(np.full(shape, float(is_scale), np.float32))
            continue
        random = np.random.default_rng([seed % 2**32, zlib.crc32(weight.name.encode())])
        weight.variable.assign(random.standard_normal(shape, np.float32) * np.float32(stddev))
