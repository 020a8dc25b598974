"""A model's weights and configuration as PyTorch's `save_pretrained` writes them, without PyTorch.

`weights.py` the other way round: what is written here it reads back, and so does Transformers on
PyTorch.
"""

from __future__ import annotations

import copy
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from safetensors.numpy import save_file
from transformers import TFPreTrainedModel
from transformers.modeling_tf_pytorch_utils import (
    TransposeType,
    convert_tf_weight_name_to_pt_weight_name,
)

from kfp_finetune.components.model_folder.weight_files import WEIGHTS

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Their convolutions are split into kernels whose layout Transformers' names do not tell.
_IN_TENSORFLOW_FORMAT = ("convbert",)


def format_of(model: TFPreTrainedModel) -> Literal["pt", "tf"]:
    """The format that a model's weights are saved in: PyTorch's, or for a few TensorFlow's."""
    return "tf" if model.config.model_type in _IN_TENSORFLOW_FORMAT else "pt"


def write(model: TFPreTrainedModel, path: Path) -> None:
    """Write config.json and model.safetensors; the same weights give the same bytes.

    Args:
        model: A built classifier whose `format_of` is "pt".
        path: The folder; made if it is not there.
    """
    write_config(model, path)
    save_file(pytorch_tensors(model), path / WEIGHTS, metadata={"format": "pt"})
    follow_umask(path)


def follow_umask(path: Path) -> None:
    """Let the weights be read by whoever may read what is written beside them.

    safetensors writes a temporary file, which only its owner may read, and renames it.
    """
    shutil.copymode(path / "config.json", path / WEIGHTS)


def write_config(model: TFPreTrainedModel, path: Path) -> None:
    """Write config.json, naming PyTorch's class."""
    config = copy.deepcopy(model.config)
    config.architectures = [type(model).__name__.removeprefix("TF")]
    config.dtype = "float32"
    config.save_pretrained(path)


def pytorch_tensors(model: TFPreTrainedModel) -> dict[str, NDArray[np.float32]]:
    """A classifier's weights by PyTorch's names, in PyTorch's layouts."""
    tensors = {}
    # What PyTorch's class does not have: the pooler that MPNet's head makes no use of.
    left_out = model._keys_to_ignore_on_load_missing or []
    for weight in model.weights:
        name, transpose = convert_tf_weight_name_to_pt_weight_name(
            weight.name, tf_weight_shape=weight.shape
        )
        if not any(re.search(pattern, name) for pattern in left_out):
            value = weight.numpy()
            # A dense kernel is [in, out] here and [out, in] there.
            is_kernel = transpose is TransposeType.SIMPLE
            tensors[name] = np.ascontiguousarray(value.T) if is_kernel else value
    return tensors
