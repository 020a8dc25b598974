"""The weights of a checkpoint, put into a model. PyTorch is not needed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import tensorflow as tf
from transformers import TFPreTrainedModel
from transformers.modeling_tf_pytorch_utils import (
    TransposeType,
    convert_tf_weight_name_to_pt_weight_name,
    load_pytorch_state_dict_in_tf2_model,
)
from transformers.modeling_tf_utils import strip_model_name_and_prefix

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.model_folder.files import few
from kfp_finetune.components.model_folder.weight_files import (
    H5_WEIGHTS,
    WEIGHTS,
    WEIGHTS_INDEX,
    Tensor,
    open_weights,
)


class Checkpoint:
    """The tensors of a checkpoint by name, over all its files, each read when it is asked for.

    Transformers 4.55 to 4.57.6 iterates over a `safe_open` archive, which has no iterator
    (transformers#40028, open). Its loader takes any object with `__iter__` and `get_tensor`, so it
    is given this one, and nothing in Transformers is patched. As all shards are one checkpoint
    here, the loader also sees at once whether names carry the family's prefix; shard by shard it
    guesses each time.

    Args:
        folder: Where it is, for messages.
        in_pytorch_names: Whether names and layouts are PyTorch's, or TensorFlow's.
        tensors: By name.
    """

    def __init__(self, folder: Path, in_pytorch_names: bool, tensors: dict[str, Tensor]) -> None:
        self.folder = folder
        self.in_pytorch_names = in_pytorch_names
        self._tensors = tensors

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def get_tensor(self, name: str) -> tf.Tensor:
        """Read one tensor.

        Raises:
            InputError: If it holds a number that is not finite.
        """
        tensor = tf.convert_to_tensor(self._tensors[name].read())
        if tensor.dtype.is_floating and not tf.reduce_all(tf.math.is_finite(tensor)):
            kind = "NaN" if tf.reduce_any(tf.math.is_nan(tensor)) else "infinity"
            raise InputError(
                f"the weights are damaged: {name} holds {kind}",
                where=str(self.folder),
                expected="numbers that are all finite",
                remedy="download or copy the model again; if that does not help, it was saved"
                " after its training had diverged, and another is needed",
            )
        return tensor


@contextlib.contextmanager
def open_checkpoint(folder: Path, files: Sequence[Path]) -> Iterator[Checkpoint]:
    """Open a checkpoint's files for reading.

    Args:
        folder: The model's folder, for the message.
        files: Its safetensors files, or its HDF5 file.

    Raises:
        InputError: If there are none, one is damaged or refers to other files, or it does not say
            whose names it uses.
    """
    if not files:
        there = sorted(path.name for path in folder.iterdir())
        only_pickles = any(name.endswith((".bin", ".pt", ".pth", ".ckpt")) for name in there)
        raise InputError(
            "PyTorch .bin checkpoints need torch, and are never unpickled here"
            if only_pickles
            else f"the folder has no weights; in it: {few(there)}",
            where=str(folder),
            expected=f"{WEIGHTS}, {WEIGHTS_INDEX} with its shards, or {H5_WEIGHTS}",
            remedy="convert them to safetensors where torch is installed: "
            "AutoModel.from_pretrained(folder).save_pretrained(folder)",
        )
    with open_weights(files) as weights:
        if weights.format not in ("pt", "tf"):
            raise InputError(
                f"the metadata name the weights' format as {weights.format}",
                where=", ".join(str(file) for file in files),
                expected='"format": "pt" or "tf" in the safetensors metadata',
                remedy="write the file again with Transformers' `save_pretrained`, or with "
                'safetensors\' `save_file(..., metadata={"format": "pt"})` if it is PyTorch\'s',
            )
        yield Checkpoint(folder, weights.format == "pt", weights.tensors)


class Loaded(NamedTuple):
    """What became of the tensors, by their names in the checkpoint's flavour."""

    names: dict[str, tf.Variable]  # every weight of the model
    missing: set[str]
    mismatched: dict[str, str]  # name -> the two shapes
    unused: list[str]


def load_weights(model: TFPreTrainedModel, checkpoint: Checkpoint) -> Loaded:
    """Put a checkpoint's tensors into the model's weights; what it lacks stays as it was.

    Args:
        model: A built model.
        checkpoint: An open checkpoint.
    """
    if not checkpoint.in_pytorch_names:
        return _load_tensorflow(model, checkpoint)
    _, info = load_pytorch_state_dict_in_tf2_model(
        model,
        checkpoint,
        tf_inputs=False,  # it is built
        allow_missing_keys=True,
        output_loading_info=True,
        tf_to_pt_weight_rename=getattr(model, "tf_to_pt_weight_rename", None),
        ignore_mismatched_sizes=True,
    )
    # A model without a head is saved without the prefix: embeddings..., not bert.embeddings...
    prefix = model.base_model_prefix
    removed = "" if any(name.startswith(prefix) for name in checkpoint) else prefix + "."
    names, mismatched = {}, {}
    shapes = {name: shapes for name, *shapes in info["mismatched_keys"]}
    for weight in model.weights:
        name, transpose = convert_tf_weight_name_to_pt_weight_name(
            weight.name, start_prefix_to_remove=removed, tf_weight_shape=weight.shape
        )
        names[name] = weight
        if name in shapes:
            found, wanted = (list(shape) for shape in shapes[name])
            wanted = wanted[::-1] if transpose is TransposeType.SIMPLE else wanted
            mismatched[name] = f"{found} instead of {wanted}"
    unused = sorted(set(info["unexpected_keys"]) - mismatched.keys())
    return Loaded(names, set(info["missing_keys"]), mismatched, unused)


def _load_tensorflow(model: TFPreTrainedModel, checkpoint: Checkpoint) -> Loaded:
    """Load names and layouts that are the model's own.

    Transformers' functions for this read one safetensors file each and reshape what does not fit.
    """
    names = {strip_model_name_and_prefix(weight.name): weight for weight in model.weights}
    there = set(checkpoint)
    mismatched = {}
    for name in there & names.keys():
        tensor, weight = checkpoint.get_tensor(name), names[name]
        if tensor.shape == weight.shape:
            weight.assign(tf.cast(tensor, weight.dtype))
        else:
            mismatched[name] = f"{list(tensor.shape)} instead of {list(weight.shape)}"
    return Loaded(names, names.keys() - there, mismatched, sorted(there - names.keys()))
