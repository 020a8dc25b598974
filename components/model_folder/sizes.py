"""The sizes that a configuration declares, compared with the weights before anything is built.

A configuration costs nothing to write: with 100,000 layers or a vocabulary of a trillion words it
would take all memory, or hours, before the first weight turned out not to fit.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.model_folder.files import few
from kfp_finetune.components.model_folder.weight_files import Tensor, open_weights, weight_files
from kfp_finetune.components.runtime import available_memory

# By what they count; DistilBERT has names of its own.
_WIDTHS = ("hidden_size", "dim")
_DEPTHS = ("num_hidden_layers", "n_layers")
_HEADS = ("num_attention_heads", "n_heads")
_INNER = ("intermediate_size", "hidden_dim")
_ROWS = ("vocab_size", "max_position_embeddings", "max_relative_positions", "position_buckets")
_POSITIVE = (*_WIDTHS, *_DEPTHS, *_HEADS, *_INNER, "vocab_size", "embedding_size")
_AT_LEAST_ZERO = ("type_vocab_size", "max_position_embeddings", "num_labels")
_REPEATED = ("inner_group_num", "num_feedforward_networks", "num_hidden_groups")
# Where they are null, Transformers' defaults are meant.
OPTIONAL = ("embedding_size", "num_labels", *_REPEATED)
_MOST_LAYERS = 1_000
_MOST_LABELS = 10_000_000
_LAYER = re.compile(r"(?:^|[./])layer(?:\.|_\._)(\d+)[./]")
# What an estimate from a few numbers may be off by: heads, bottlenecks, small models.
_TIMES = 4
_MORE = 10_000_000
_BYTES = 4


def check_config(config: Mapping[str, Any], where: Path) -> None:
    """Check the sizes of a configuration by themselves.

    Args:
        config: What config.json holds.
        where: The file.

    Raises:
        InputError: If one is no whole number, is zero, or is beyond every encoder there is.
    """
    least = dict.fromkeys(_POSITIVE, 1) | dict.fromkeys(_AT_LEAST_ZERO, 0)
    most = dict.fromkeys((*_DEPTHS, *_REPEATED), _MOST_LAYERS) | {"num_labels": _MOST_LABELS}
    wrong = [
        (name, config[name])
        for name in {**least, **most}
        if name in config and not _within(config[name], least.get(name, 1), most.get(name))
    ]
    if not wrong:
        width, heads = _first(config, _WIDTHS), _first(config, _HEADS)
        if not width or not heads or heads <= width:
            return
        wrong = [(_name(config, _HEADS), heads)]
        raise _impossible(wrong, where, f"at most {_name(config, _WIDTHS)} ({width})")
    name = wrong[0][0]
    most_value = most.get(name)
    kind = f"a whole number from {least.get(name, 1)}"
    raise _impossible(wrong, where, kind + (f" to {most_value:,}" if most_value else ""))


def _impossible(wrong: list[tuple[str, Any]], where: Path, expected: str) -> InputError:
    return InputError(
        "; ".join(f"{name} is {str(value)[:60]}" for name, value in wrong),
        where=str(where),
        expected=f"for {wrong[0][0]} {expected}",
        remedy="download or copy the model again",
    )


def check_against_weights(config: Mapping[str, Any], folder: Path) -> None:
    """Check that a model of a configuration's sizes can be built here, and has these weights.

    Args:
        config: What config.json holds, after `check_config`.
        folder: The model's folder. Where it has no weights, only memory is looked at.

    Raises:
        InputError: If the weights are damaged, quantized or of a smaller model, or memory does not
            hold the model.
    """
    files = weight_files(folder)
    needed = _estimate(config)
    if files:
        with open_weights(files) as weights:
            _compare(config, weights.tensors, needed, folder)
            needed = sum(math.prod(tensor.shape) for tensor in weights.tensors.values())
    memory = available_memory()
    if memory and needed * _BYTES > memory:
        raise InputError(
            f"the model takes about {needed * _BYTES / 1e9:,.0f} GB, this machine has"
            f" {memory / 1e9:,.0f} GB of memory",
            where=str(folder / "config.json"),
            expected="a model that fits into memory",
            remedy="use a smaller model, or a machine with more memory",
        )


def _compare(
    config: Mapping[str, Any], tensors: Mapping[str, Tensor], needed: int, folder: Path
) -> None:
    found = {int(match[1]) for name in tensors if (match := _LAYER.search(name))}
    layers = _first(config, _DEPTHS) or 0
    problems = []
    if found and layers > len(found):
        problems.append(f"{layers:,} layers, and the weights have {len(found):,}")
    longest = max((size for tensor in tensors.values() for size in tensor.shape), default=0)
    problems += [
        f"{name} {config[name]:,}, and no tensor is longer than {longest:,}"
        for name in (*_WIDTHS, *_INNER, "embedding_size", "vocab_size")
        if config.get(name, 0) > longest > 0
    ]
    there = sum(math.prod(tensor.shape) for tensor in tensors.values())
    if not problems and needed > _TIMES * there + _MORE:
        problems.append(f"about {needed:,} weights, and there are {there:,}")
    if problems:
        raise InputError(
            f"config.json describes another model than the weights are of: {few(problems)}",
            where=str(folder / "config.json"),
            expected="the configuration that was saved with these weights",
            remedy="download or copy the whole model again, config.json and weights together",
        )


def _estimate(config: Mapping[str, Any]) -> int:
    """About how many weights a configuration asks for."""
    width = _first(config, _WIDTHS) or 1
    inner = _first(config, _INNER) or 4 * width
    embedded = config.get("embedding_size") or width
    layers = config.get("num_hidden_groups") or _first(config, _DEPTHS) or 1  # ALBERT shares them
    for name in ("inner_group_num", "num_feedforward_networks"):
        layers *= config.get(name) or 1
    rows = sum(v for name in _ROWS if isinstance(v := config.get(name), int) and v > 0)
    return int(rows * embedded + layers * (4 * width * width + 2 * width * inner))


def _first(config: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    return next((config[name] for name in names if config.get(name)), None)


def _name(config: Mapping[str, Any], names: tuple[str, ...]) -> str:
    return next(name for name in names if config.get(name))


def _within(value: Any, least: int, most: int | None) -> bool:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return whole and least <= value and (most is None or value <= most)
