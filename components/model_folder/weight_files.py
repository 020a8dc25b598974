"""The files that hold a model's weights: found, and looked into before anything is read of them.

Nothing is unpickled: the files are safetensors, or HDF5 of which only arrays are read that lie in
the file itself.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.model_folder.files import few, find, first_line, read_json

if TYPE_CHECKING:
    import h5py

WEIGHTS = "model.safetensors"
WEIGHTS_INDEX = "model.safetensors.index.json"
H5_WEIGHTS = "tf_model.h5"
_FLOATS = ("F64", "F32", "F16", "BF16", "float64", "float32", "float16", "bfloat16")
# Positions that old checkpoints keep; they are not weights.
_NOT_WEIGHTS = ("position_ids", "token_type_ids")


class Tensor(NamedTuple):
    """What a file's header says of a tensor, and what reads it."""

    dtype: str
    shape: tuple[int, ...]
    read: Callable[[], Any]


class Weights(NamedTuple):
    """The tensors of a model's weights by name, none of them read yet.

    Attributes:
        tensors: Over all files.
        format: Whose names and layouts they have: "pt", "tf", or what else the files say.
    """

    tensors: dict[str, Tensor]
    format: str


def weight_files(folder: Path) -> list[Path]:
    """The files that hold a folder's weights, by Transformers' order of preference.

    Returns:
        The safetensors file, or its shards, or the HDF5 file; nothing if there is none of them.

    Raises:
        InputError: If the shards' index is damaged, or a file is not there or not in the folder.
    """
    whole = find(folder, WEIGHTS)
    if whole is None and find(folder, WEIGHTS_INDEX) is not None:
        index = folder / WEIGHTS_INDEX
        try:
            shards = (read_json(folder, WEIGHTS_INDEX) or {})["weight_map"].values()
            names = sorted({str(name) for name in shards})
            if any(Path(name).name != name for name in names):
                raise ValueError("it names files outside the folder")
        except InputError as error:
            raise _damaged(index, error.found.partition(": ")[2]) from None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise _damaged(index, error) from None
        files = [find(folder, name) for name in names]
        missing = [name for name, file in zip(names, files, strict=True) if file is None]
        if missing:
            raise InputError(
                f"{len(missing)} of {len(names)} shards are not there: {few(missing)}",
                where=str(folder),
                expected=f"every file that {WEIGHTS_INDEX} names",
                remedy="download or copy the missing ones",
            )
        return [file for file in files if file is not None]
    found = whole or find(folder, H5_WEIGHTS)
    return [found] if found else []


@contextlib.contextmanager
def open_weights(files: Sequence[Path]) -> Iterator[Weights]:
    """Open the files of a model's weights.

    Args:
        files: Its safetensors files, or its HDF5 file.

    Raises:
        InputError: If one is damaged or refers to other files, or the weights are quantized.
    """
    from safetensors import SafetensorError, safe_open

    tensors: dict[str, Tensor] = {}
    formats: set[str] = set()
    with contextlib.ExitStack() as stack:
        for file in files:
            try:
                if file.suffix == ".h5":
                    tensors |= _h5_tensors(file, stack)
                    formats.add("tf")
                    continue
                archive = stack.enter_context(safe_open(file, framework="tf"))
                names = list(archive.keys())
                slices = {name: archive.get_slice(name) for name in names}
            except (OSError, SafetensorError) as error:
                raise _damaged(file, error) from None
            tensors |= {
                name: Tensor(
                    str(part.get_dtype()),
                    tuple(part.get_shape()),
                    partial(archive.get_tensor, name),
                )
                for name, part in slices.items()
            }
            formats.add((archive.metadata() or {}).get("format", "nothing"))
        for name, tensor in tensors.items():
            if tensor.dtype not in _FLOATS and not name.endswith(_NOT_WEIGHTS):
                raise InputError(
                    f"the weights are quantized: {name} holds {tensor.dtype}",
                    where=str(files[0].parent),
                    expected="float32, float16 or bfloat16",
                    remedy="use the model that this one was quantized from",
                )
        yield Weights(tensors, few(sorted(formats)))


def _h5_tensors(file: Path, stack: contextlib.ExitStack) -> dict[str, Tensor]:
    """The arrays of a Keras weights file: layer/model/..., without the first two.

    HDF5 can keep an array in other files, or link to them: that would make any file of this machine
    part of the weights.
    """
    import h5py

    tensors: dict[str, Tensor] = {}
    seen: set[int] = set()

    def visit(group: h5py.Group, path: tuple[str, ...]) -> None:
        address = h5py.h5o.get_info(group.id).addr
        if address in seen:  # two links to a group at each level would be 2^depth visits
            raise _damaged(file, f"{'/'.join(path)} is a group that stands elsewhere in it too")
        seen.add(address)
        if len(path) > _DEEPEST_GROUP:
            raise _damaged(file, "its groups are nested too deeply")
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise _elsewhere(file, "/".join((*path, name)), "a link")
            item = group[name]
            if isinstance(item, h5py.Group):
                visit(item, (*path, name))
            elif isinstance(item, h5py.Dataset):
                _check_within(file, item)
                below = "/".join((*path, name)[2:])
                read = partial(item.__getitem__, ())
                tensors[below] = Tensor(item.dtype.name, item.shape, read)

    visit(stack.enter_context(h5py.File(file, "r")), ())
    return tensors


_DEEPEST_GROUP = 32


def _check_within(file: Path, array: h5py.Dataset) -> None:
    """Refuse an array that does not lie in the file as it is, all of it."""
    settings = array.id.get_create_plist()
    if array.is_virtual:
        raise _elsewhere(file, array.name, "a virtual dataset")
    if settings.get_external_count():
        raise _elsewhere(file, array.name, "external storage")
    if settings.get_nfilters() or array.id.get_storage_size() < array.nbytes:
        raise _damaged(file, f"{array.name} does not hold what its shape {array.shape} says")


def _elsewhere(file: Path, name: str, what: str) -> InputError:
    return InputError(
        f"the weights refer to other files: {name.lstrip('/')} is {what}",
        where=str(file),
        expected="weights that all lie in the file itself",
        remedy="do not use this file unless you know why it does so; weights that "
        "`save_pretrained` wrote do not",
    )


def _damaged(file: Path, error: object) -> InputError:
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
