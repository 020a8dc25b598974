"""Read a model's config.json as plain JSON, and reject unsupported or unsafe ones."""

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
    """Read config.json as plain JSON, and reject it if it is unsafe or not supported.

    Code in the checkpoint (`auto_map`) is never run; no family in `families` needs it.

    Args:
        folder: A model's folder.
        families: The supported values of `model_type`.

    Returns:
        The configuration.

    Raises:
        InputError: If the file is missing, is not JSON or refers to other configurations, the
            weights are quantized, the family is not supported, or the labels have no ids.
    """
    where = folder / "config.json"
    config = read_json(folder, where.name)
    if config is None:
        there = ", ".join(sorted(path.name for path in folder.iterdir())[:10])
        raise InputError(
            "the folder has no model: there is no config.json",
            where=str(folder),
            expected="config.json, the tokenizer's files and the weights",
            remedy=f"name the folder of the model; this one contains: {there or 'nothing'}",
        )
    if "configuration_files" in config:
        raise InputError(
            "config.json refers to other configurations (`configuration_files`)",
            where=str(where),
            expected="one configuration, in config.json",
            remedy="replace config.json by the configuration that you want",
        )
    model_type = config.get("model_type")
    known = ", ".join(families)
    if not model_type:
        raise InputError(
            "config.json does not name the model's family",
            where=str(where),
            expected=f"`model_type`, one of {known}",
            remedy="use a folder that Transformers' `save_pretrained` wrote",
        )
    if model_type not in families:
        code = " (its own code, `auto_map`, is never run)" if config.get("auto_map") else ""
        raise InputError(
            f"{model_type} is not a supported model family{code}",
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
