"""A classifier from a checkpoint's folder, and back into one.

PyTorch is not needed, nothing is unpickled, and none of the checkpoint's own code is run.
"""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import tensorflow as tf
import tf_keras
from transformers import CONFIG_MAPPING, TFPreTrainedModel
from transformers.utils import logging as transformers_logging

from kfp_finetune.components.artifacts.model import ModelManifest
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.finetune import layers, pytorch_weights
from kfp_finetune.components.finetune.weights import (
    Checkpoint,
    Loaded,
    load_weights,
    open_checkpoint,
)
from kfp_finetune.components.load_data.pretrained import read_config
from kfp_finetune.components.model_folder.files import few, first_line
from kfp_finetune.components.model_folder.sizes import check_against_weights
from kfp_finetune.components.model_folder.tokenizer_files import copy_known
from kfp_finetune.components.model_folder.weight_files import weight_files
from kfp_finetune.components.tasks import get_task, text_classification
from kfp_finetune.components.tasks.problem_types import PROBLEM_TYPES, num_outputs

# They branch on the value of a tensor in Python.
_NEEDS_AUTOGRAPH = ("deberta", "deberta-v2")
# Their dropout draws from TensorFlow's global generator, whose state no checkpoint can hold.
_STABLE_DROPOUT = ("TFDebertaStableDropout", "TFDebertaV2StableDropout")
# Set here anew; a list of all labels would be made of the number alone.
_OF_THE_HEAD = ("num_labels", "_num_labels", "id2label", "label2id")
_logger = logging.getLogger(__name__)


def load_classifier(
    folder: Path,
    *,
    num_labels: int,
    label_names: Sequence[str],
    problem_type: str,
    task: ModuleType = text_classification,
    seed: int,
    fresh_head: bool = True,
    note: Callable[[str], None] = _logger.info,
) -> TFPreTrainedModel:
    """Build a model for a task and load a checkpoint's weights into it.

    The weights are `model.safetensors` (one file, or shards with an index), in PyTorch's or in
    TensorFlow's names, or else `tf_model.h5`. The last layer of the head is kept if it was trained
    for the same labels in the same order, or for as many that have no names; otherwise it is fresh.

    Args:
        folder: A model's folder. If its config.json says `"initialize_from_config": true` and there
            are no weights, all of them are drawn at random.
        num_labels: Width of the logits.
        label_names: The label of id i is `label_names[i]`; empty where labels have no names.
        problem_type: The task's, e.g. "single_label_classification".
        task: Whose model it is.
        seed: For the weights that the checkpoint does not have. Python's, numpy's and TensorFlow's
            global generators are set to it.
        fresh_head: False refuses a checkpoint whose head was not trained for these labels.
        note: Called with one sentence for each thing a person should know about the loading.

    Returns:
        The built model; it maps token ids [batch, width] to logits [batch, num_labels], or of
        tokens [batch, width, num_labels].

    Raises:
        InputError: If the configuration is refused (see `read_config`), there are no weights, a
            file is damaged or missing, or a weight that is not the head's is missing or of another
            shape.
    """
    described = read_config(folder)
    files = weight_files(folder)
    check_against_weights(described, folder)
    with _quiet_transformers():
        model = _build(described, folder, num_labels, label_names, problem_type, task, seed)
        if files or not described.get("initialize_from_config"):
            with open_checkpoint(folder, files) as checkpoint:
                fresh, why = _load(
                    model, checkpoint, folder, _trained_for(described), list(label_names), note
                )
        else:
            fresh, why = ["all weights"], "the folder has a configuration and no weights"
    if fresh and not fresh_head:
        raise InputError(
            f"the model has not been trained for these labels: {why}",
            where=str(folder),
            expected=f"a head for {num_labels} labels ({few(label_names)})",
            remedy="train it first, or give a model that has been trained for them",
        )
    if fresh:
        note(f"fresh, drawn with seed {seed}: {few(fresh)} ({why})")
    return model


def load_trained(folder: Path, manifest: ModelManifest) -> TFPreTrainedModel:
    """Load a model that finetune wrote.

    Args:
        folder: Its folder.
        manifest: Its manifest.

    Raises:
        InputError: If a file is missing or damaged, or is of another model than the manifest.
    """
    return load_classifier(
        folder,
        task=get_task(manifest.task),
        num_labels=num_outputs(manifest.label_names),
        label_names=manifest.label_names,
        problem_type=manifest.problem_type,
        seed=manifest.seed,
        fresh_head=False,
    )


def save(model: TFPreTrainedModel, tokenizer_folder: Path, path: Path) -> None:
    """Write a model's configuration, weights (safetensors) and tokenizer into one folder.

    Names and layouts of the weights are PyTorch's, or what `pytorch_weights.format_of` says.

    Args:
        model: A model from `load_classifier`.
        tokenizer_folder: Where the tokenizer's files are copied from.
        path: Where to; made if it is not there.
    """
    if pytorch_weights.format_of(model) == "pt":
        pytorch_weights.write(model, path)
    else:
        with _quiet_transformers():
            model.save_pretrained(path, safe_serialization=True)
        pytorch_weights.follow_umask(path)
    save_tokenizer(tokenizer_folder, path)


def save_tokenizer(folder: Path, path: Path) -> None:
    """Copy a tokenizer's files from one folder into another."""
    copy_known(folder, path)


def forward(model: TFPreTrainedModel) -> Any:
    """What computes a model's logits without dropout, as one graph for all batch shapes.

    Args:
        model: A model from `load_classifier`.

    Returns:
        A function from features (`input_ids`, `attention_mask`, maybe `token_type_ids`; int32,
        [batch, width]) to float32 logits, as `load_classifier` says.
    """
    return tf.function(logits_of(model), reduce_retracing=True)


def logits_of(model: TFPreTrainedModel) -> Callable[..., Any]:
    """What computes a model's logits, to be called inside a graph.

    AutoGraph leaves the model's code alone, except where the family needs it: converting it takes
    longer than everything else until the first batch.

    Args:
        model: A model from `load_classifier`.

    Returns:
        A function from features, as `forward` takes them, and `training` (default False: without
        dropout) to float32 logits, as `load_classifier` says.
    """

    def logits(features: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        return tf.cast(model(features, training=training).logits, tf.float32)

    if model.config.model_type in _NEEDS_AUTOGRAPH:
        return logits
    return tf.autograph.experimental.do_not_convert(logits)  # type: ignore[no-any-return]


def _build(
    described: dict[str, Any],
    folder: Path,
    num_labels: int,
    label_names: Sequence[str],
    problem_type: str,
    task: ModuleType,
    seed: int,
) -> TFPreTrainedModel:
    """The model of a configuration, with random weights."""
    try:
        # Not from the folder: what is built is what has been checked, and no other file is read.
        kept = {key: value for key, value in described.items() if key not in _OF_THE_HEAD}
        config = CONFIG_MAPPING[kept.pop("model_type")].from_dict(kept)
        config.num_labels = num_labels
        if label_names:
            config.id2label = dict(enumerate(label_names))
            config.label2id = {name: i for i, name in enumerate(label_names)}
        config.problem_type = problem_type if problem_type in PROBLEM_TYPES else None
        if hasattr(config, "initialize_from_config"):
            del config.initialize_from_config  # a trained model that lost its weights is an error
        tf_keras.utils.set_random_seed(seed)
        model = task.model_class().from_config(config)
        _replace_stable_dropout(model)
        model.build_in_name_scope()
        layers.replace(model, first_token=not task.PER_WORD)
        dropout_generators(model)
    except (ValueError, TypeError, KeyError, AttributeError, OSError, tf.errors.OpError) as error:
        raise InputError(
            f"no model can be built from config.json: {first_line(error)}",
            where=str(folder / "config.json"),
            expected="the configuration that `save_pretrained` wrote beside the weights",
            remedy="download or copy it again",
        ) from None
    return model


def dropout_generators(model: TFPreTrainedModel) -> list[tf.random.Generator]:
    """The generators that a model's dropout draws from, one a layer, always in the same order.

    Keras makes one when its layer is first called, too late for a checkpoint to be read into it.

    Args:
        model: A model from `load_classifier`.
    """
    layers = [m for m in model.submodules if isinstance(m, tf_keras.layers.Dropout)]
    for layer in layers:
        layer._random_generator._maybe_init()
    return [layer._random_generator._generator for layer in layers]


def _replace_stable_dropout(model: TFPreTrainedModel) -> None:
    """Put Keras' dropout in place of DeBERTa's own, which computes the same."""
    for module in (model, *model.submodules):
        for name, layer in list(vars(module).items()):
            if type(layer).__name__ in _STABLE_DROPOUT:
                setattr(module, name, tf_keras.layers.Dropout(layer.drop_prob, name=layer.name))


def _load(
    model: TFPreTrainedModel,
    checkpoint: Checkpoint,
    folder: Path,
    trained_for: list[str],
    label_names: list[str],
    note: Callable[[str], None],
) -> tuple[list[str], str]:
    """Load what the checkpoint has for this model; the fresh weights' names, and why they are."""
    last_layer = getattr(model.classifier, "out_proj", model.classifier)
    drawn = [weight.numpy() for weight in last_layer.weights]
    loaded = load_weights(model, checkpoint)
    _refuse_other_than_head(model, loaded, folder)

    fresh = loaded.missing | loaded.mismatched.keys()
    last = {name for name, weight in loaded.names.items() if _among(weight, last_layer.weights)}
    why = "the checkpoint has none"
    if not last & fresh and trained_for and label_names and trained_for != label_names:
        for weight, value in zip(last_layer.weights, drawn, strict=True):
            weight.assign(value)
        fresh |= last
        why = f"the checkpoint's is for the labels {few(trained_for)}"
    elif last & loaded.mismatched.keys():
        sizes = next(loaded.mismatched[name] for name in sorted(last) if name in loaded.mismatched)
        why = f"the checkpoint's is for another number of labels: {sizes}"
    unused = [name for name in loaded.unused if "position_ids" not in name]
    if unused:
        note(f"in the checkpoint and not used: {few(unused)}")
    return sorted(fresh), why


def _refuse_other_than_head(model: TFPreTrainedModel, loaded: Loaded, folder: Path) -> None:
    """Refuse a checkpoint that lacks part of the encoder.

    What may be missing is what stands behind the encoder, and the encoder's own pooler where the
    checkpoint has none: language models are saved without.
    """
    encoder = getattr(model, model.base_model_prefix).weights
    body = {name for name, weight in loaded.names.items() if _among(weight, encoder)}
    pooler = {name for name in body if "pooler" in re.split("[./]", name)}
    missing = sorted(loaded.missing & body)
    if pooler and pooler <= loaded.missing:
        missing = sorted(set(missing) - pooler)
    mismatched = [f"{n}: {shapes}" for n, shapes in loaded.mismatched.items() if n in body]
    if missing or mismatched:
        raise InputError(
            f"{len(missing)} of the encoder's {len(body)} weights are missing: {few(missing)}"
            if missing
            else f"{len(mismatched)} of the encoder's {len(body)} weights have another shape than "
            f"config.json says: {few(mismatched)}",
            where=str(folder),
            expected=f"the weights of the {model.config.model_type} that config.json describes",
            remedy="download or copy the whole model again, config.json and weights together",
        )


def _trained_for(described: dict[str, Any]) -> list[str]:
    """The names of the labels that a configuration's head was trained for; none if generic."""
    id2label = described.get("id2label") or {}
    names = [str(id2label[key]) for key in sorted(id2label, key=int)]
    return [] if all(re.fullmatch(r"LABEL_\d+", name) for name in names) else names


def _among(weight: tf.Variable, weights: Sequence[tf.Variable]) -> bool:
    """Whether a variable is one of these; `in` would compare their values."""
    return any(weight is other for other in weights)


@contextlib.contextmanager
def _quiet_transformers() -> Iterator[None]:
    """Leave out Transformers' warnings about weights, which are said here in one sentence."""
    before = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(before)
