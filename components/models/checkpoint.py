"""The tensors of a checkpoint, by PyTorch's names."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.model_folder.files import few
from kfp_finetune.components.model_folder.weight_files import (
    WEIGHTS,
    WEIGHTS_INDEX,
    Tensor,
    open_weights,
)
from kfp_finetune.components.models import tensorflow_names
from kfp_finetune.components.models.family import Family
from kfp_finetune.components.models.names import Weight


class Stored(NamedTuple):
    """A tensor of a checkpoint.

    Attributes:
        shape: Its shape in the file.
        read: Reads it as a TensorFlow tensor or an array.
    """

    shape: tuple[int, ...]
    read: Callable[[], Any]


class Checkpoint:
    """The tensors of a checkpoint by PyTorch's names, each read on request.

    Args:
        folder: The checkpoint's folder, for messages.
        in_torch_layout: Whether matrices have PyTorch's layout, not TensorFlow's.
        tensors: The tensors by name.
    """

    def __init__(self, folder: Path, in_torch_layout: bool, tensors: Mapping[str, Stored]) -> None:
        self.folder = folder
        self.in_torch_layout = in_torch_layout
        self.tensors = tensors

    def shape_of(self, weight: Weight) -> tuple[int, ...]:
        """The shape that a weight must have in this checkpoint."""
        if self.in_torch_layout:
            return weight.shape
        # A depthwise convolution: TensorFlow had its axes of length 1 elsewhere, or none.
        wanted, found = tuple(weight.variable.shape), self.tensors[weight.name].shape
        without_ones = [[size for size in shape if size != 1] for shape in (wanted, found)]
        return found if without_ones[0] == without_ones[1] else wanted

    def value_of(self, weight: Weight) -> Any:
        """The tensor of a weight in our layout, float32.

        Raises:
            InputError: If a number in it is not finite.
        """
        tensor = tf.cast(tf.convert_to_tensor(self.tensors[weight.name].read()), tf.float32)
        if not tf.reduce_all(tf.math.is_finite(tensor)):
            kind = "NaN" if tf.reduce_any(tf.math.is_nan(tensor)) else "infinity"
            raise InputError(
                f"the weights are damaged: {weight.name} contains {kind}",
                where=str(self.folder),
                expected="finite numbers",
                remedy="download or copy the model again; if that does not help, it was saved"
                " after its training had diverged, and another is needed",
            )
        if self.in_torch_layout and weight.axes is not None:
            return tf.transpose(tensor, np.argsort(weight.axes))
        return tf.reshape(tensor, weight.variable.shape)


@contextlib.contextmanager
def open_checkpoint(folder: Path, files: Sequence[Path], family: Family) -> Iterator[Checkpoint]:
    """Open a checkpoint's files for reading.

    Args:
        folder: The model's folder, for the message.
        files: Its safetensors files.
        family: The family, which maps the names of tensors.

    Raises:
        InputError: If there is no file, a file is damaged, or its metadata do not name its format.
    """
    if not files:
        there = sorted(path.name for path in folder.iterdir())
        raise InputError(
            f"the folder has no weights; it contains: {few(there)}",
            where=str(folder),
            expected=f"{WEIGHTS}, or {WEIGHTS_INDEX} with its shards",
            remedy="download or copy the whole model again",
        )
    with open_weights(files) as weights:
        if weights.format not in ("pt", "tf"):
            raise InputError(
                f"the metadata give the format of the weights as {weights.format}",
                where=", ".join(str(file) for file in files),
                expected='"format": "pt" or "tf" in the safetensors metadata',
                remedy="save the model again with Transformers' `save_pretrained`, or with "
                'safetensors\' `save_file(..., metadata={"format": "pt"})` if it is PyTorch\'s',
            )
        in_torch_layout = weights.format == "pt"
        yield Checkpoint(folder, in_torch_layout, _named(weights.tensors, family, in_torch_layout))


def _named(
    tensors: Mapping[str, Tensor], family: Family, in_torch_layout: bool
) -> dict[str, Stored]:
    """Rename the tensors to the names of PyTorch's classifier."""
    named: dict[str, Stored] = {}
    for name, tensor in tensors.items():
        if not in_torch_layout:
            name = tensorflow_names.to_torch(name)
        # LayerNorm's weights in the first checkpoints.
        name = re.sub(r"\.gamma$", ".weight", re.sub(r"\.beta$", ".bias", name))
        for pattern, replacement in family.renamed.items():
            name = re.sub(pattern, replacement, name)
        named.update(_parts(name, tensor, family))
    prefix = f"{family.prefix}."
    if any(name.startswith(prefix) for name in named):
        return named
    # An encoder without a head is saved without the prefix: embeddings..., not bert.embeddings...
    return {prefix + name: tensor for name, tensor in named.items()}


def _parts(name: str, tensor: Tensor, family: Family) -> dict[str, Stored]:
    """A tensor, or the tensors that a published checkpoint stores as one."""
    for pattern, replacements in family.split.items():
        rows = tensor.shape[0] // len(replacements) if tensor.shape else 0
        if rows and re.search(pattern, name):
            return {
                re.sub(pattern, replacement, name): _part(tensor, number * rows, rows)
                for number, replacement in enumerate(replacements)
            }
    return {name: Stored(tensor.shape, tensor.read)}


def _part(tensor: Tensor, first: int, rows: int) -> Stored:
    return Stored((rows, *tensor.shape[1:]), lambda: tensor.read()[first : first + rows])
