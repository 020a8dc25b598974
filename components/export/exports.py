"""Export a trained model as a self-contained folder, and verify it before it gets its name."""

from __future__ import annotations

import os
import shutil
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf
from transformers import PreTrainedTokenizerFast

from kfp_finetune.components.artifacts.model import ModelManifest
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.export import onnx_model, saved_model
from kfp_finetune.components.load_data.pretrained import load_tokenizer
from kfp_finetune.components.model_folder.tokenizer_files import copy_known
from kfp_finetune.components.models import saving
from kfp_finetune.components.models.classifier import Classifier
from kfp_finetune.components.models.forward import forward
from kfp_finetune.components.models.loading import load_trained
from kfp_finetune.components.storage.files import write_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

CARD = "README.md"
# Largest allowed difference from the model's own logits; reloaded weights are identical.
_TOLERANCES = {"pt": 0.0, "savedmodel": 1e-5, "onnx": 1e-4}
_MODULES: dict[str, Any] = {"savedmodel": saved_model, "onnx": onnx_model}
_ROWS, _WIDTH = 8, 24


def export(model_path: Path, manifest: ModelManifest, card: str, form: str, output: Path) -> float:
    """Write a model, its tokenizer and its card into a new folder.

    The export is written beside the folder, reloaded and compared with the model, and only then
    renamed.

    Args:
        model_path: The folder that finetune wrote.
        manifest: The model's manifest.
        card: The model card.
        form: "pt": safetensors with PyTorch's names; "savedmodel": TensorFlow's format, with a
            signature from token ids to logits; "onnx": ONNX with the same signature.
        output: The folder; must be new or empty.

    Returns:
        The largest difference between a logit of the export and of the model.

    Raises:
        InputError: If the folder cannot be written, the model cannot be read, or its weights do
            not fit into one file of this format.
        RuntimeError: If the logits of the export differ from the model's.
    """
    output = output.absolute()
    _check_output(output)
    network, tokenizer = load_trained(model_path, manifest), load_tokenizer(model_path)
    features = _some_features(tokenizer, manifest)
    temporary = output.with_name(f".{output.name}.{uuid.uuid4().hex}.tmp")
    try:
        temporary.mkdir()
        logits = _write(form, network, manifest, features, temporary)
        copy_known(model_path, temporary)
        write_text(temporary / CARD, card)
        difference = float(np.abs(logits - _logits(network, features)).max())
        if not difference <= _TOLERANCES[form]:
            raise RuntimeError(f"the logits of the export differ by {difference:g}")
        temporary.replace(output)
    except OSError as error:
        raise _unwritable(output, error.strerror or str(error)) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return difference


def _write(
    form: str, network: Classifier, manifest: ModelManifest, features: Any, folder: Path
) -> NDArray[np.float32]:
    """Write a model in a format, and return the logits of the export."""
    if form == "pt":
        saving.write(network, folder)
        return _logits(load_trained(folder, manifest), features)
    written = _MODULES[form]
    written.write(network, list(features), folder)
    saving.write_config(network, folder)
    answers: NDArray[np.float32] = written.logits(folder, features)
    return answers


def _some_features(
    tokenizer: PreTrainedTokenizerFast, manifest: ModelManifest
) -> dict[str, NDArray[np.int32]]:
    """Rows of 3 or more tokens to compare logits on; the longest one has no padding.

    Returns:
        Inputs of the model, each of shape [8, width].
    """
    random = np.random.default_rng(0)
    width = min(_WIDTH, manifest.max_length)
    lengths = np.linspace(min(3, width), width, _ROWS).astype(int)
    mask = np.arange(width) < lengths[:, np.newaxis]
    ids = random.integers(0, len(tokenizer), mask.shape)
    features = {"input_ids": np.where(mask, ids, tokenizer.pad_token_id), "attention_mask": mask}
    if manifest.text_pair_column is not None and "token_type_ids" in tokenizer.model_input_names:
        features["token_type_ids"] = mask & (np.arange(width) >= lengths[:, np.newaxis] // 2)
    return {name: value.astype(np.int32) for name, value in features.items()}


def _logits(network: Classifier, features: Any) -> NDArray[np.float32]:
    tensors = {name: tf.constant(value) for name, value in features.items()}
    logits: NDArray[np.float32] = forward(network)(tensors).numpy()
    return logits


def _check_output(output: Path) -> None:
    if output.is_dir() and not any(output.iterdir()):
        return
    if output.exists() or output.is_symlink():
        raise InputError(
            "the folder is not empty" if output.is_dir() else "there is already a file",
            where=str(output),
            expected="a new or empty folder",
            remedy="give another folder with -o, or remove this one",
        )
    if not output.parent.is_dir():
        raise _unwritable(output, "its parent folder does not exist")
    if not os.access(output.parent, os.W_OK):
        raise _unwritable(output, "its parent folder is not writable")


def _unwritable(output: Path, why: str) -> InputError:
    return InputError(
        f"the export cannot be written: {why}",
        where=str(output),
        expected="a new folder in a writable one",
        remedy="give another folder with -o",
    )
