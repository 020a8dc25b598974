"""Load a classifier from a checkpoint's folder.

PyTorch is not needed, nothing is unpickled, and none of the checkpoint's own code is run.
"""

from __future__ import annotations

import contextlib
import logging
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from kfp_finetune.components.artifacts.model import ModelManifest
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.model_folder.config_file import read_config_file
from kfp_finetune.components.model_folder.files import few, first_line
from kfp_finetune.components.model_folder.weight_files import weight_files
from kfp_finetune.components.models import registry
from kfp_finetune.components.models.checkpoint import Checkpoint, open_checkpoint
from kfp_finetune.components.models.classifier import Classifier
from kfp_finetune.components.models.deferred import deferred_variables
from kfp_finetune.components.models.names import Weight, weights_of
from kfp_finetune.components.models.sizes import check_against_weights, check_memory
from kfp_finetune.components.models.weights import Compared, compare_weights, draw, load_weights
from kfp_finetune.components.tasks.labels import num_outputs
from kfp_finetune.components.tasks.registry import get_task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_logger = logging.getLogger(__name__)


def load_classifier(
    folder: Path,
    *,
    num_labels: int,
    label_names: Sequence[str],
    problem_type: str,
    per_token: bool = False,
    seed: int,
    fresh_head: bool = True,
    initial_bias: NDArray[np.float32] | None = None,
    note: Callable[[str], None] = _logger.info,
) -> Classifier:
    """Build a model for a task and load a checkpoint's weights into it.

    The weights are `model.safetensors` (one file, or shards with an index), with PyTorch's or
    TensorFlow's names. The last layer of the head is kept if it was trained for the same labels in
    the same order, or for the same number of unnamed labels; otherwise it is initialised.

    Args:
        folder: A model's folder. If its config.json has `"initialize_from_config": true` and there
            are no weights, all of them are initialised at random.
        num_labels: Width of the logits.
        label_names: The label of id i is `label_names[i]`; empty if labels have no names.
        problem_type: The problem type, e.g. "single_label_classification".
        per_token: Whether there is one prediction per token instead of one per text.
        seed: The seed of new weights and of dropout.
        fresh_head: False to refuse a checkpoint whose head was not trained for these labels.
        initial_bias: The bias of the last layer if all of it is initialised, shape [num_labels];
            None for zeros.
        note: Called with one sentence per note for the user.

    Returns:
        The model; see `Classifier.call`.

    Raises:
        InputError: If the configuration is refused (see `read_config_file` and
            `registry.read_config`), there are no weights, a file is damaged or missing, or a weight
            of the encoder is missing or has the wrong shape.
    """
    described = read_config_file(folder, registry.FAMILIES)
    config = registry.read_config(described, folder / "config.json")
    files = weight_files(folder)
    check_against_weights(config, folder)
    family = registry.family(config.model_type)
    from_config = not files and described.get("initialize_from_config")
    weights: contextlib.AbstractContextManager[Checkpoint | None] = (
        contextlib.nullcontext() if from_config else open_checkpoint(folder, files, family)
    )
    with weights as checkpoint:
        with _no_model_from(folder), deferred_variables():
            model = Classifier(
                family,
                config,
                num_labels=num_labels,
                label_names=label_names,
                problem_type=problem_type,
                per_token=per_token,
                seed=seed,
            )
            compared = compare_weights(model, checkpoint) if checkpoint else None
            if compared:
                _refuse_other_than_head(model, compared, folder)
            check_memory(sum(math.prod(weight.shape) for weight in weights_of(model)), folder)
        if checkpoint and compared:
            load_weights(compared, checkpoint)
    if compared:
        fresh, why = _fresh(model, compared, _trained_for(described), note)
        names = few(sorted(weight.name for weight in fresh))
    else:
        fresh, why = weights_of(model), "the folder has a configuration but no weights"
        names = "all"
    draw(fresh, getattr(config, "initializer_range", 0.02), seed)
    if fresh and not fresh_head:
        raise InputError(
            f"the model was not trained for these labels: {why}",
            where=str(folder),
            expected=f"a head for {num_labels} labels ({few(label_names)})",
            remedy="train the model first, or give one that was trained for these labels",
        )
    if fresh:
        note(f"new weights initialised with seed {seed}: {names} ({why})")
    layer: Any = model.head.logits
    # Weights that were trained without a bias keep a bias of zeros.
    if initial_bias is not None and len(_of_last_layer(model, fresh)) == len(layer.weights):
        layer.bias.assign(initial_bias)
    return model


def load_trained(folder: Path, manifest: ModelManifest) -> Classifier:
    """Load a model that finetune wrote.

    Args:
        folder: The model's folder.
        manifest: The model's manifest.

    Raises:
        InputError: If a file is missing or damaged, or does not belong to the manifest.
    """
    return load_classifier(
        folder,
        per_token=get_task(manifest.task).per_token,
        num_labels=num_outputs(manifest.label_names),
        label_names=manifest.label_names,
        problem_type=manifest.problem_type,
        seed=manifest.seed,
        fresh_head=False,
    )


@contextlib.contextmanager
def _no_model_from(folder: Path) -> Iterator[None]:
    """Report errors of Keras and TensorFlow in this block as an invalid configuration."""
    try:
        yield
    except (ValueError, TypeError, MemoryError, tf.errors.OpError) as error:
        raise InputError(
            f"no model can be built from config.json: {first_line(error)}",
            where=str(folder / "config.json"),
            expected="the configuration that `save_pretrained` wrote beside the weights",
            remedy="download or copy it again",
        ) from None


def _fresh(
    model: Classifier,
    compared: Compared,
    trained_for: list[str],
    note: Callable[[str], None],
) -> tuple[list[Weight], str]:
    """The weights to initialise at random, and the reason."""
    fresh = compared.fresh
    last = _of_last_layer(model, compared.weights.values())
    label_names = list(model.label_names)
    why = "the checkpoint has none"
    if not last & fresh and trained_for and label_names and trained_for != label_names:
        fresh |= last
        why = f"the checkpoint's head is for the labels {few(trained_for)}"
    elif last & compared.mismatched.keys():
        sizes = compared.mismatched[min(last & compared.mismatched.keys())]
        why = f"the checkpoint's head has a different number of labels: {sizes}"
    if compared.unused:
        note(f"unused weights of the checkpoint: {few(compared.unused)}")
    return [compared.weights[name] for name in sorted(fresh)], why


def _of_last_layer(model: Classifier, weights: Iterable[Weight]) -> set[str]:
    """The names of those weights that are in the last layer of the head."""
    variables = model.head.logits.weights
    return {w.name for w in weights if any(w.variable is variable for variable in variables)}


def _refuse_other_than_head(model: Classifier, compared: Compared, folder: Path) -> None:
    """Refuse a checkpoint without all of the encoder; the pooler counts as part of the head."""
    body = {name for name, weight in compared.weights.items() if weight.in_encoder}
    missing = sorted(compared.missing & body)
    mismatched = [f"{n}: {shapes}" for n, shapes in compared.mismatched.items() if n in body]
    if missing or mismatched:
        raise InputError(
            f"{len(missing)} of the encoder's {len(body)} weights are missing: {few(missing)}"
            if missing
            else f"{len(mismatched)} of the encoder's {len(body)} weights do not have the"
            f" shape that config.json gives: {few(mismatched)}",
            where=str(folder),
            expected=f"the weights of the {model.config.model_type} that config.json describes",
            remedy="download or copy the whole model again, config.json and weights together",
        )


def _trained_for(described: Mapping[str, Any]) -> list[str]:
    """The names of the labels that the head was trained for; empty if they are generic."""
    id2label = described.get("id2label") or {}
    names = [str(id2label[key]) for key in sorted(id2label, key=int)]
    return [] if all(re.fullmatch(r"LABEL_\d+", name) for name in names) else names
