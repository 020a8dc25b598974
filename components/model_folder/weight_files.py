"""Find the files of a model's weights, and check their headers before any weight is read.

Only safetensors files are read; nothing is unpickled, and no HDF5 is parsed.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.model_folder.files import few, find, first_line, read_json

WEIGHTS = "model.safetensors"
WEIGHTS_INDEX = "model.safetensors.index.json"
H5_WEIGHTS = "tf_model.h5"
_FLOATS = ("F64", "F32", "F16", "BF16", "float64", "float32", "float16", "bfloat16")
# Positions stored by old checkpoints; they are not weights.
_NOT_WEIGHTS = ("position_ids", "token_type_ids")
_PICKLED = re.compile(r"(pytorch_)?model[^/]*\.(bin|pt|pth|ckpt)")
_CLASS = re.compile(r"[A-Za-z][A-Za-z0-9]*")


class Tensor(NamedTuple):
    """The header of a tensor, and a function that reads it."""

    dtype: str
    shape: tuple[int, ...]
    read: Callable[[], Any]


class Weights(NamedTuple):
    """The tensors of a model's weights by name, none of them read yet.

    Attributes:
        tensors: The tensors of all files.
        format: The convention of their names and layouts: "pt", "tf", or another in the files.
    """

    tensors: dict[str, Tensor]
    format: str


def weight_files(folder: Path) -> list[Path]:
    """Find the files of a folder's weights, in Transformers' order of preference.

    Returns:
        The safetensors file, or its shards; nothing if there is neither.

    Raises:
        InputError: If the shards' index is damaged, a file is not there or not in the folder, or
            the weights are in other formats only.
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
                f"{len(missing)} of {len(names)} shards are missing: {few(missing)}",
                where=str(folder),
                expected=f"every file that {WEIGHTS_INDEX} names",
                remedy="download or copy the missing files",
            )
        return [file for file in files if file is not None]
    if whole is None:
        refuse_other_formats((path.name for path in folder.iterdir()), folder, str(folder))
    return [whole] if whole else []


def refuse_other_formats(names: Iterable[str], folder: Path, model: str) -> None:
    """Refuse a model whose weights are in other formats only; call it if it has no safetensors.

    Args:
        names: The names of the model's files.
        folder: Where its config.json is.
        model: The same folder, or the Hub id that the names were listed of.

    Raises:
        InputError: With the command that converts the weights.
    """
    names = sorted(names)
    pickles = [name for name in names if _PICKLED.fullmatch(name)]
    if not pickles and H5_WEIGHTS not in names:
        return
    local = model == str(folder)
    target, where = (model, model) if local else ("converted", f"model: {model}")
    code = f"M.from_pretrained('{model}').save_pretrained('{target}'"
    if not pickles:
        raise InputError(
            f"the weights are {H5_WEIGHTS}, and HDF5 is not supported: its parser has known memory"
            " errors",
            where=where,
            expected=WEIGHTS,
            remedy="if you trust the file, convert it where `pip install 'transformers<5' tf-keras`"
            ' was run: python -c "from transformers import TFAutoModelForSequenceClassification as'
            f' M; {code}, safe_serialization=True)"',
        )
    named = ((read_json(folder, "config.json") or {}).get("architectures") or [""])[0]
    # The class that wrote the weights reads all of them; AutoModel would drop a trained head.
    written_by = named if isinstance(named, str) and _CLASS.fullmatch(named) else "AutoModel"
    if not local:
        code += f"); {code.replace('M.', 'T.', 1)}"
    raise InputError(
        f"the weights are pickled ({few(pickles)}), and pickle files are never loaded",
        where=where,
        expected=f"{WEIGHTS}, or {WEIGHTS_INDEX} with its shards",
        remedy="if you trust the file, convert it where torch is installed: python -c"
        f' "from transformers import {written_by} as M, AutoTokenizer as T; {code})"'
        f" and give --model {target}",
    )


@contextlib.contextmanager
def open_weights(files: Sequence[Path]) -> Iterator[Weights]:
    """Open the files of a model's weights.

    Args:
        files: Its safetensors files.

    Raises:
        InputError: If one is damaged, or the weights are quantized.
    """
    from safetensors import SafetensorError, safe_open

    tensors: dict[str, Tensor] = {}
    formats: set[str] = set()
    with contextlib.ExitStack() as stack:
        for file in files:
            try:
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
                    f"the weights are quantized: {name} has the type {tensor.dtype}",
                    where=str(files[0].parent),
                    expected="float32, float16 or bfloat16",
                    remedy="use the model that this one was quantized from",
                )
        yield Weights(tensors, few(sorted(formats)))


def _damaged(file: Path, error: object) -> InputError:
    pointer = False
    with contextlib.suppress(OSError), file.open("rb") as head:
        pointer = head.read(40).startswith(b"version https://git-lfs")
    return InputError(
        "the file is a Git LFS pointer, not the weights"
        if pointer
        else f"the file is damaged: {first_line(error)}",
        where=str(file),
        expected="a complete safetensors file",
        remedy="run `git lfs pull` in the folder" if pointer else "download or copy it again",
    )
