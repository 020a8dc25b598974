"""A folder's config.json, as plain JSON: found, read, and refused where nothing can come of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.model_folder.files import read_json

# Where they are null, Transformers' defaults are meant.
_OPTIONAL = (
    *("embedding_size", "num_labels"),
    *("inner_group_num", "num_feedforward_networks", "num_hidden_groups"),
)
_ID = re.compile(r"[0-9]{1,9}")


def read_config_file(folder: Path, families: Sequence[str]) -> dict[str, Any]:
    """Read config.json as plain JSON, and refuse what would be unsafe or is not supported.

    Code that the checkpoint brings (`auto_map`) is never run: a family in `families` does not need
    it.

    Args:
        folder: A model's folder.
        families: The values of `model_type` that can be built.

    Returns:
        The configuration.

    Raises:
        InputError: If there is none, it is not JSON, it refers to other configurations, its weights
            are quantized, its family is not one of `families`, or its labels have no ids.
    """
    where = folder / "config.json"
    config = read_json(folder, where.name)
    if config is None:
        there = ", ".join(sorted(path.name for path in folder.iterdir())[:10])
        raise InputError(
            "the folder holds no model: there is no config.json",
            where=str(folder),
            expected="config.json, the tokenizer's files and the weights",
            remedy=f"give the model's own folder; in this one is: {there or 'nothing'}",
        )
    if "configuration_files" in config:
        raise InputError(
            "config.json refers to other configurations (`configuration_files`)",
            where=str(where),
            expected="one configuration, in config.json",
            remedy="put the configuration that you want in the place of config.json",
        )
    model_type = config.get("model_type")
    known = ", ".join(families)
    if not model_type:
        raise InputError(
            "config.json does not say which family the model is of",
            where=str(where),
            expected=f"`model_type`, one of {known}",
            remedy="give a folder that Transformers' `save_pretrained` wrote",
        )
    if model_type not in families:
        code = " (its own code, `auto_map`, is never run here)" if config.get("auto_map") else ""
        raise InputError(
            f"{model_type} is not an architecture that can be trained here{code}",
            where=str(where),
            expected=f"one of {known}",
            remedy="choose a model of one of these families",
        )
    if "quantization_config" in config:
        raise InputError(
            "the weights are quantized and cannot be trained",
            where=str(where),
            expected="a configuration without `quantization_config`",
            remedy="use the model that this one was quantized from",
        )
    if not _names_by_id(config.get("id2label") or {}):
        raise InputError(
            f"id2label is {config['id2label']!r:.60}",
            where=str(where),
            expected='names by id, such as {"0": "negative", "1": "positive"}',
            remedy="download or copy the model again",
        )
    return {key: v for key, v in config.items() if v is not None or key not in _OPTIONAL}


def _names_by_id(value: Any) -> bool:
    return isinstance(value, dict) and all(_ID.fullmatch(key) for key in value)
