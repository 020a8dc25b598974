"""The weights of a checkpoint: found in a folder, opened, and put into a model.

PyTorch is not needed and nothing is unpickled: the files are safetensors, or HDF5 of which only
arrays are read.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import tensorflow as tf
from safetensors import SafetensorError, safe_open
from transformers import TFPreTrainedModel
from transformers.modeling_tf_pytorch_utils import (
    TransposeType,
    convert_tf_weight_name_to_pt_weight_name,
    load_pytorch_state_dict_in_tf2_model,
)
from transformers.modeling_tf_utils import strip_model_name_and_prefix

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.pretrained import first_line

WEIGHTS = "model.safetensors"
WEIGHTS_INDEX = "model.safetensors.index.json"
H5_WEIGHTS = "tf_model.h5"


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
        readers: What reads a tensor, by the tensor's name.
    """

    def __init__(
        self, folder: Path, in_pytorch_names: bool, readers: dict[str, Callable[[], Any]]
    ) -> None:
        self.folder = folder
        self.in_pytorch_names = in_pytorch_names
        self._readers = readers

    def __iter__(self) -> Iterator[str]:
        return iter(self._readers)

    def get_tensor(self, name: str) -> tf.Tensor:
        """Read one tensor.

        Raises:
            InputError: If it holds integers: they would be cast without the scale they need.
        """
        tensor = tf.convert_to_tensor(self._readers[name]())
        if not tensor.dtype.is_floating:
            raise InputError(
                f"the weights are quantized: {name} holds {tensor.dtype.name}",
                where=str(self.folder),
                expected="float32, float16 or bfloat16",
                remedy="use the model that this one was quantized from",
            )
        return tensor


@contextlib.contextmanager
def open_checkpoint(folder: Path, files: Sequence[Path]) -> Iterator[Checkpoint]:
    """Open a checkpoint's files for reading.

    Args:
        folder: The model's folder, for the message.
        files: Its safetensors files, or its HDF5 file.

    Raises:
        InputError: If there are none, one is damaged, or it does not say whose names it uses.
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
    readers: dict[str, Callable[[], Any]] = {}
    formats: set[str] = set()
    with contextlib.ExitStack() as stack:
        for file in files:
            try:
                if file.suffix == ".h5":
                    readers.update(_h5_readers(stack.enter_context(h5py.File(file, "r"))))
                    formats.add("tf")
                    continue
                archive = stack.enter_context(safe_open(file, framework="tf"))
            except (OSError, SafetensorError) as error:
                raise _damaged(file, error) from None
            readers |= {name: partial(archive.get_tensor, name) for name in archive.keys()}  # noqa: SIM118
            formats.add((archive.metadata() or {}).get("format", "nothing"))
        if formats not in ({"pt"}, {"tf"}):
            raise InputError(
                f"the metadata name the weights' format as {few(sorted(formats))}",
                where=", ".join(str(file) for file in files),
                expected='"format": "pt" or "tf" in the safetensors metadata',
                remedy="write the file again with Transformers' `save_pretrained`, or with "
                'safetensors\' `save_file(..., metadata={"format": "pt"})` if it is PyTorch\'s',
            )
        yield Checkpoint(folder, formats == {"pt"}, readers)


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


def weight_files(folder: Path) -> list[Path]:
    """The files that hold a folder's weights, by Transformers' order of preference.

    Returns:
        The safetensors file, or its shards, or the HDF5 file; nothing if there is none of them.

    Raises:
        InputError: If the shards' index is damaged or a shard is not there.
    """
    index = folder / WEIGHTS_INDEX
    if not (folder / WEIGHTS).is_file() and index.is_file():
        try:
            names = sorted(
                set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
            )
            if any(Path(name).name != name for name in names):
                raise ValueError("it names files outside the folder")
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise _damaged(index, error) from None
        missing = [name for name in names if not (folder / name).is_file()]
        if missing:
            raise InputError(
                f"{len(missing)} of {len(names)} shards are not there: {few(missing)}",
                where=str(folder),
                expected=f"every file that {WEIGHTS_INDEX} names",
                remedy="download or copy the missing ones",
            )
        return [folder / name for name in names]
    return [folder / name for name in (WEIGHTS, H5_WEIGHTS) if (folder / name).is_file()][:1]


def _h5_readers(file: h5py.File) -> dict[str, Callable[[], Any]]:
    """What reads each tensor of a Keras weights file: layer/model/..., without the first two."""
    readers: dict[str, Callable[[], Any]] = {}

    def visit(path: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            readers["/".join(path.split("/")[2:])] = partial(item.__getitem__, ())

    file.visititems(visit)  # does not follow links out of the file
    return readers


def _damaged(file: Path, error: Exception) -> InputError:
    with file.open("rb") as head:
        pointer = head.read(40).startswith(b"version https://git-lfs")
    return InputError(
        "the file is a Git LFS pointer, not the weights"
        if pointer
        else f"the file is damaged: {first_line(error)}",
        where=str(file),
        expected="the file as it was written",
        remedy="run `git lfs pull` in the folder" if pointer else "download or copy it again",
    )


def few(names: Sequence[str]) -> str:
    """The first names of many, for a message."""
    rest = len(names) - 4
    return ", ".join(names[:4]) + (f" and {rest} more" if rest > 0 else "")
