"""Save a model's weights and configuration in the format of PyTorch's `save_pretrained`."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.numpy import save_file

from kfp_finetune.components.model_folder.tokenizer_files import copy_known
from kfp_finetune.components.model_folder.weight_files import WEIGHTS
from kfp_finetune.components.models.classifier import Classifier
from kfp_finetune.components.models.configurations.rules import is_number
from kfp_finetune.components.models.names import weights_of
from kfp_finetune.components.tasks.registry import get_problem_type

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Keys that allow code, or describe the original folder or another head.
_DROPPED = ("trust_remote_code", "initialize_from_config", "num_labels")
# Read, and checked, when the saved tokenizer is opened.
_TEXTS = ("tokenizer_class",)


def save(model: Classifier, tokenizer_folder: Path, path: Path) -> None:
    """Write a model's configuration, weights (safetensors) and tokenizer into one folder.

    Args:
        model: The model.
        tokenizer_folder: The folder to copy the tokenizer's files from.
        path: The folder to write to; created if it does not exist.
    """
    path.mkdir(parents=True, exist_ok=True)
    write(model, path)
    copy_known(tokenizer_folder, path)


def write(model: Classifier, path: Path) -> None:
    """Write config.json and model.safetensors; equal weights give equal bytes.

    Args:
        model: The model.
        path: An existing folder.
    """
    write_config(model, path)
    save_file(torch_tensors(model), path / WEIGHTS, metadata={"format": "pt"})
    # safetensors writes a temporary file that only its owner may read, and renames it.
    shutil.copymode(path / "config.json", path / WEIGHTS)


def write_config(model: Classifier, path: Path) -> None:
    """Write config.json, with the name of PyTorch's class."""
    text = json.dumps(config_of(model), indent=2, sort_keys=True, ensure_ascii=False)
    (path / "config.json").write_text(text + "\n", encoding="utf-8")


def config_of(model: Classifier) -> dict[str, Any]:
    """The content of config.json: all keys that the family reads, old ones too, and the task's.

    Other keys are kept only if they are numbers or flags. A text, list or object could name code or
    a file that another program would load (`auto_map`, `custom_pipelines`,
    `_attn_implementation_internal`).
    """
    config = model.config
    known = {
        field.name: value
        for field in dataclasses.fields(config)
        # Some keys have an effect if they are present, even as null.
        if "rule" in field.metadata
        and ((value := getattr(config, field.name)) is not None or field.name in config.described)
    }
    kept = {
        key: value
        for key, value in config.described.items()
        if (key in _TEXTS and isinstance(value, str))
        or (_is_inert(value) and key not in _DROPPED and not key.startswith("_"))
    }
    kind = "TokenClassification" if model.per_token else "SequenceClassification"
    in_hub_config = get_problem_type(model.problem_type).in_hub_config
    names = model.label_names or [f"LABEL_{i}" for i in range(model.num_labels)]
    return {
        **kept,
        **known,
        **config.old_keys(),
        "model_type": config.model_type,
        "architectures": [f"{model.family.torch_class}For{kind}"],
        "dtype": "float32",
        "id2label": {str(i): name for i, name in enumerate(names)},
        "label2id": {name: i for i, name in enumerate(names)},
        "problem_type": model.problem_type if in_hub_config else None,
    }


def _is_inert(value: Any) -> bool:
    return value is None or isinstance(value, bool) or is_number(value)


def torch_tensors(model: Classifier) -> dict[str, NDArray[np.float32]]:
    """A model's weights by PyTorch's names, in PyTorch's layout."""
    tensors = {}
    for weight in weights_of(model):
        value = np.asarray(weight.variable)
        tensors[weight.name] = np.ascontiguousarray(
            value if weight.axes is None else value.transpose(weight.axes)
        )
    return tensors
