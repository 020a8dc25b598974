"""The sizes that a configuration declares, compared with the weights before a model is built.

A configuration costs nothing to write: with 1,000 layers or a vocabulary of 2 billion words it
would take all memory, or hours. This check needs the header of the weights only and no TensorFlow,
so that load_data can make it; `loading.py` then compares the shape of every weight.
"""

from __future__ import annotations

import math
import re
from pathlib import Path

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.model_folder.files import few
from kfp_finetune.components.model_folder.weight_files import open_weights, weight_files
from kfp_finetune.components.models.configurations.config import Config
from kfp_finetune.components.runtime import available_memory

# Every family has tensors of these lengths; a key that it does not have is skipped.
_LENGTHS = ("hidden_size", "intermediate_size", "embedding_size", "vocab_size")
# ALBERT's layers share weights: its names have no such number.
_LAYER = re.compile(r"(?:^|[./])layers?(?:\.|_\._)(\d+)[./]")
_BYTES = 4


def check_against_weights(config: Config, folder: Path) -> None:
    """Check the sizes of a configuration against the header of the weights.

    Args:
        config: The configuration.
        folder: The model's folder. Nothing is checked if it has no weights.

    Raises:
        InputError: If the weights are damaged, quantized or of a smaller model, or do not fit into
            memory.
    """
    files = weight_files(folder)
    if not files:
        return
    with open_weights(files) as weights:
        tensors = {name: tensor.shape for name, tensor in weights.tensors.items()}
    layers: int = getattr(config, "num_hidden_layers", 0)
    found = {int(match[1]) for name in tensors if (match := _LAYER.search(name))}
    problems = []
    if found and layers > len(found):
        problems.append(f"{layers:,} layers, and the weights have {len(found):,}")
    longest = max((size for shape in tensors.values() for size in shape), default=0)
    problems += [
        f"{name} {length:,}, and no tensor is longer than {longest:,}"
        for name in _LENGTHS
        if (length := getattr(config, name, None) or 0) > longest > 0
    ]
    if problems:
        raise InputError(
            f"config.json describes another model than the weights are of: {few(problems)}",
            where=str(folder / "config.json"),
            expected="the configuration that was saved with these weights",
            remedy="download or copy the whole model again, config.json and weights together",
        )
    check_memory(sum(math.prod(shape) for shape in tensors.values()), folder)


def check_memory(weights: int, folder: Path) -> None:
    """Check that a model's weights fit into this machine's memory.

    Args:
        weights: How many numbers there are in the model's weights.
        folder: The model's folder, for the message.

    Raises:
        InputError: If they do not fit.
    """
    memory = available_memory()
    if memory and weights * _BYTES > memory:
        raise InputError(
            f"the model takes about {weights * _BYTES / 1e9:,.0f} GB, this machine has"
            f" {memory / 1e9:,.0f} GB of memory",
            where=str(folder / "config.json"),
            expected="a model that fits into memory",
            remedy="use a smaller model, or a machine with more memory",
        )
