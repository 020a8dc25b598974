"""The settings of a run: flags override a preset, which overrides the config file and defaults."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import yaml

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.readers.formats import format_of
from kfp_finetune.components.storage import uris
from kfp_finetune.components.tasks.registry import task_of_layout
from kfp_finetune.pipelines import parameters, paths
from kfp_finetune.pipelines.catalog import Pipeline
from kfp_finetune.pipelines.presets import PRESETS

# The sample sets these itself.
_NOT_WITH_THE_SAMPLE = (
    "model",
    "model_revision",
    "validation_dataset",
    "test_dataset",
    "dataset_config",
    "dataset_revision",
)


_MOST_BYTES = 4 << 20
_MOST_VALUES = 1_000_000
_DEEPEST = 50


def settings(
    pipeline: Pipeline,
    flags: Mapping[str, Any],
    config: Path | None,
    preset: str | None = None,
    seeds: str | None = None,
) -> dict[str, Any]:
    """The value of every parameter of a run, with absolute paths.

    Without a dataset or a config file, the settings of the bundled sample are used.

    Args:
        pipeline: The pipeline.
        flags: The given options; paths are relative to the working folder.
        config: A YAML file of parameter names and values; paths are relative to the file.
        preset: The name of a set of settings or, if the pipeline compares some, of candidates.
        seeds: Numbers separated by commas; every candidate is trained with each of them.

    Returns:
        A value for every parameter except the fingerprints; None if it is unset.

    Raises:
        InputError: If the file cannot be read, a name or type is wrong, or something is missing.
    """
    known = parameters.load(pipeline.definition)
    compares = any(p.name == "candidates" for p in known)
    named = {} if compares or preset is None else _preset(preset)
    values = given(pipeline, {**named, **flags}, config)
    if others := [name for name in flags if name not in {p.name for p in known}]:
        varied = compares and "seed" not in others
        raise InputError(
            f"{pipeline.name} has no " + ", ".join("--" + n.replace("_", "-") for n in others),
            where="the command line",
            expected="parameters of the pipeline",
            remedy="vary it among the candidates: a --preset, or `candidates` in a --config file"
            if varied
            else "omit it",
        )
    full = parameters.complete(known, values)
    if compares:
        full["candidates"] = _candidates(full["candidates"], preset, seeds, config)
    elif seeds is not None:
        raise InputError(
            f"{pipeline.name} trains once",
            where="--seeds",
            expected="a pipeline that compares",
            remedy="--pipeline compare_schedules",
        )
    return full


def _preset(name: str) -> dict[str, Any]:
    """The settings that a preset of the pipeline finetune names."""
    from kfp_finetune.pipelines.compare_schedules.candidates import PRESETS as OF_CANDIDATES

    if name in PRESETS:
        return PRESETS[name]
    compared = name in OF_CANDIDATES
    raise InputError(
        f"preset '{name}' is one of candidates" if compared else f"unknown preset '{name}'",
        where="--preset",
        expected="one of: " + ", ".join(PRESETS) + ", or the pipeline compare_schedules" * compared,
        remedy=f"--pipeline compare_schedules --preset {name}"
        if compared
        else f"--preset {next(iter(PRESETS))}",
    )


def _candidates(
    candidates: list[Any], preset: str | None, seeds: str | None, config: Path | None
) -> list[dict[str, Any]]:
    from kfp_finetune.pipelines.compare_schedules.candidates import PRESETS as OF_CANDIDATES
    from kfp_finetune.pipelines.compare_schedules.candidates import expand

    if preset is not None:
        if preset not in OF_CANDIDATES:
            raise InputError(
                f"unknown preset '{preset}'",
                where="--preset",
                expected="one of: " + ", ".join(OF_CANDIDATES),
                remedy="or your own candidates in a --config file",
            )
        candidates = OF_CANDIDATES[preset]
    numbers = [part.strip() for part in (seeds or "").split(",")] if seeds is not None else []
    if not all(number.isascii() and number.isdecimal() for number in numbers):
        raise InputError(
            f"--seeds is '{seeds}'",
            where="--seeds",
            expected="whole numbers separated by commas",
            remedy="such as --seeds 1,2,3",
        )
    return expand(
        candidates,
        [int(n) for n in numbers],
        str(config or ("candidates" if preset is None else "--preset")),
    )


def given(pipeline: Pipeline, flags: Mapping[str, Any], config: Path | None) -> dict[str, Any]:
    """The settings without the defaults."""
    known = parameters.load(pipeline.definition)
    if config is None and "dataset" not in flags:
        _check_nothing_of_own(flags)
        config = pipeline.sample
    values: dict[str, Any] = {}
    if config is not None:
        values = parameters.check(known, read(config), str(config))
        values = with_paths(values, config.parent)
    return _with_task(values | with_paths(flags, Path()))


def _check_nothing_of_own(flags: Mapping[str, Any]) -> None:
    """Refuse to combine a model or data with the sample's dataset."""
    if own := [name for name in _NOT_WITH_THE_SAMPLE if name in flags]:
        options = ["--" + name.replace("_", "-") for name in own]
        raise InputError(
            f"{' and '.join(options)} without --dataset",
            where="the command line",
            expected="--dataset, the training data; the bundled sample is used only without these"
            " options",
            remedy="add --dataset DATASET",
        )


def _with_task(values: dict[str, Any]) -> dict[str, Any]:
    """The settings with the task that the dataset's format implies, if none is given."""
    found = format_of(str(values.get("dataset") or ""))
    if found and found.layout and "task" not in values:
        return {**values, "task": task_of_layout(found.layout).name}
    return values


def with_paths(values: Mapping[str, Any], base: Path) -> dict[str, Any]:
    """The settings with absolute paths, and URIs without secrets.

    Args:
        values: The values of parameters.
        base: The folder for relative paths.
    """
    return {
        name: uris.hide(paths.absolute(name, value, base))
        if name in paths.PATH_PARAMETERS and isinstance(value, str)
        else value
        for name, value in values.items()
    }


def read(path: Path, option: str = "--config") -> dict[str, Any]:
    """Read a YAML file of settings.

    Args:
        path: The file.
        option: The option that names it, for messages.

    Raises:
        InputError: If it does not exist, is not UTF-8 YAML, or is not a mapping.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_BYTES + 1)
        if len(text) > _MOST_BYTES:
            raise yaml.YAMLError(f"it is larger than {_MOST_BYTES >> 20} MB")
        values = yaml.load(text.decode("utf-8"), _NoDuplicates)  # noqa: S506 - safe
    except OSError as error:
        raise InputError(
            f"the file cannot be read: {error.strerror or error}",
            where=str(path),
            expected="a YAML file of names and values",
            remedy=f"check the path given to {option}",
        ) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(
            f"the file is not valid YAML: {_reason(error)}",
            where=f"{path}{_line(error)}",
            expected="lines such as `name: value`, in UTF-8",
            remedy="correct that line",
        ) from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise InputError(
            f"the file contains a {type(values).__name__}",
            where=str(path),
            expected="a mapping of names to values",
            remedy="write one `name: value` per line",
        )
    return values


def _reason(error: Exception) -> str:
    """The problem in a YAML file, without its position."""
    return getattr(error, "problem", None) or " ".join(str(error).split())


def _line(error: Exception) -> str:
    """The position of the problem in a YAML file; "" if it is unknown."""
    mark = getattr(error, "problem_mark", None)
    return f", line {mark.line + 1:,}" if mark else ""


def _check_size(root: Any) -> None:
    """Refuse a document with more than a million values after expanding all aliases."""
    sizes: dict[int, int] = {}

    def size(node: Any, depth: int) -> int:
        if id(node) in sizes:
            return sizes[id(node)]
        if depth > _DEEPEST:
            raise yaml.YAMLError("it is nested too deeply")
        sizes[id(node)] = _MOST_VALUES + 1  # an alias of a value that contains it
        below = node.value if isinstance(node, yaml.CollectionNode) else []
        flat = [n for part in below for n in (part if isinstance(part, tuple) else (part,))]
        sizes[id(node)] = min(1 + sum(size(n, depth + 1) for n in flat), _MOST_VALUES + 1)
        return sizes[id(node)]

    if root is not None and size(root, 0) > _MOST_VALUES:
        raise yaml.YAMLError("its aliases expand to more than a million values")


class _NoDuplicates(yaml.SafeLoader):
    """Refuses repeated keys, which YAML forbids and PyYAML silently overrides.

    Expanded aliases are counted before they are built: ten lines can expand to a billion values.
    """

    def get_single_node(self) -> Any:
        node = super().get_single_node()
        _check_size(node)
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                continue  # refused below
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key!r} is given twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)
