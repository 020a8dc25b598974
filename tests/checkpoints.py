"""Tiny checkpoints as PyTorch writes them, without PyTorch.

What the real PyTorch classes save and answer was recorded once, in a small JSON file a family, by
`models/checkpoints/generate.py`; here the same checkpoints are written again with numpy.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

RECORDS = Path(__file__).parent / "models" / "checkpoints"
FAMILIES = tuple(sorted(path.stem for path in RECORDS.glob("*.json")))
LABELS = ["negative", "neutral", "positive"]


def record(family: str) -> dict[str, Any]:
    """The weights and logits that PyTorch saved for this family."""
    return json.loads((RECORDS / f"{family}.json").read_text(encoding="utf-8"))


def fill(tensors: Mapping[str, list[int]]) -> dict[str, np.ndarray]:
    """A value for every tensor, from its name and shape alone.

    `RandomState` because numpy promises never to change its numbers.
    """
    return {
        name: (
            np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape) * 0.3
        ).astype(np.float32)
        for name, shape in tensors.items()
    }


def write_config(folder: Path, config: Mapping[str, Any]) -> None:
    """Write config.json."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")


def write_weights(
    folder: Path, tensors: Mapping[str, np.ndarray], shards: int = 1, layout: str = "pt"
) -> None:
    """Write the safetensors files of `save_pretrained`, PyTorch's or TensorFlow's ("tf")."""
    metadata = {"format": layout}
    if shards == 1:
        save_file(dict(tensors), folder / "model.safetensors", metadata=metadata)
        return
    names = list(tensors)
    weight_map = {}
    for i in range(shards):
        file = f"model-{i + 1:05d}-of-{shards:05d}.safetensors"
        part = {name: tensors[name] for name in names[i::shards]}
        save_file(part, folder / file, metadata=metadata)
        weight_map.update(dict.fromkeys(part, file))
    index = {
        "metadata": {"total_size": sum(t.nbytes for t in tensors.values())},
        "weight_map": weight_map,
    }
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")


def write_checkpoint(folder: Path, family: str, kind: str = "classifier", shards: int = 1) -> Path:
    """Write one of the recorded checkpoints.

    Args:
        folder: Where to; made if it is not there.
        family: A `model_type`, one of `FAMILIES`.
        kind: "classifier", "base" (no head, names without the family's prefix) or "masked_lm".
        shards: How many files the weights are spread over.
    """
    recorded = record(family)[kind]
    write_config(folder, recorded["config"])
    write_weights(folder, fill(recorded["tensors"]), shards)
    return folder
