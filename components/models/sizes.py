"""Compare the sizes in a configuration with the weights before a model is built.

A configuration with 1,000 layers or a vocabulary of 2 billion words would take all memory, or hours
to build. This check reads only the header of the weights and does not need TensorFlow, so that
load_data can run it; `loading.py` then compares the shape of every weight.
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

# Tensors have these lengths in every family that has the key.
_LENGTHS = ("hidden_size", "intermediate_size", "embedding_size", "vocab_size")
# ALBERT's layers share weights, so its names do not have this number.
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
        problems.append(f"{layers:,} layers, but the weights have {len(found):,}")
    longest = max((size for shape in tensors.values() for size in shape), default=0)
    problems += [
        f"{name} {length:,}, but no tensor is longer than {longest:,}"
        for name in _LENGTHS
        if (length := getattr(config, name, None) or 0) > longest > 0
    ]
    if problems:
        raise InputError(
            f"config.json does not match the weights: {few(problems)}",
            where=str(folder / "config.json"),
            expected="the configuration that was saved with these weights",
            remedy="download or copy the whole model again, config.json and weights together",
        )
    check_memory(sum(math.prod(shape) for shape in tensors.values()), folder)


def check_memory(weights: int, folder: Path) -> None:
    """Check that a model's weights fit into this machine's memory.

    Args:
        weights: The number of parameters in the model's weights.
        folder: The model's folder, for the message.

    Raises:
        InputError: If they do not fit.
    """
    memory = available_memory()
    if memory and weights * _BYTES > memory:
        raise InputError(
            f"the model needs about {weights * _BYTES / 1e9:,.0f} GB of memory, but this machine"
            f" has {memory / 1e9:,.0f} GB",
            where=str(folder / "config.json"),
            expected="a model that fits into memory",
            remedy="use a smaller model, or a machine with more memory",
        )
