"""Where a run's settings come from: flags over a preset over the config file over the defaults."""

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

# The sample has its own of these.
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
    """The value of every parameter of a run, paths made absolute.

    Without a dataset or a config file, the settings of the bundled sample stand in for the latter.

    Args:
        pipeline: Whose parameters.
        flags: What was given on the command line; relative paths are the working folder's.
        config: A YAML file of parameter names and values; relative paths are the file's.
        preset: The name of settings; of candidates, where the pipeline compares some.
        seeds: Numbers with commas between them, with each of which every candidate is trained.

    Returns:
        A value for every parameter but the fingerprints; None for what is unset.

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
                remedy="or candidates of your own in a --config file",
            )
        candidates = OF_CANDIDATES[preset]
    numbers = [part.strip() for part in (seeds or "").split(",")] if seeds is not None else []
    if not all(number.isascii() and number.isdecimal() for number in numbers):
        raise InputError(
            f"--seeds is '{seeds}'",
            where="--seeds",
            expected="whole numbers with commas between them",
            remedy="such as --seeds 1,2,3",
        )
    return expand(
        candidates,
        [int(n) for n in numbers],
        str(config or ("candidates" if preset is None else "--preset")),
    )


def given(pipeline: Pipeline, flags: Mapping[str, Any], config: Path | None) -> dict[str, Any]:
    """The same without the defaults."""
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
    """Refuse a model or data to be combined with the sample's dataset, which nobody asked for."""
    if own := [name for name in _NOT_WITH_THE_SAMPLE if name in flags]:
        options = ["--" + name.replace("_", "-") for name in own]
        raise InputError(
            f"{' and '.join(options)} without --dataset",
            where="the command line",
            expected="--dataset: the training data; only without any of these is the bundled sample"
            " used",
            remedy="give --dataset DATASET",
        )


def _with_task(values: dict[str, Any]) -> dict[str, Any]:
    """The same with the task that the dataset's format leaves no doubt about, if none is named."""
    found = format_of(str(values.get("dataset") or ""))
    if found and found.layout and "task" not in values:
        return {**values, "task": task_of_layout(found.layout).name}
    return values


def with_paths(values: Mapping[str, Any], base: Path) -> dict[str, Any]:
    """The same with relative paths made absolute, and URIs without secrets.

    Args:
        values: Of parameters.
        base: What relative paths are relative to.
    """
    return {
        name: uris.hide(paths.absolute(name, value, base))
        if name in paths.PATH_PARAMETERS and isinstance(value, str)
        else value
        for name, value in values.items()
    }


def read(path: Path) -> dict[str, Any]:
    """Read a config file.

    Raises:
        InputError: If it is not there, is not UTF-8 YAML, or is not a mapping.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_BYTES + 1)
        if len(text) > _MOST_BYTES:
            raise yaml.YAMLError(f"it is larger than {_MOST_BYTES >> 20} MB")
        values = yaml.load(text.decode("utf-8"), _NoDuplicates)  # noqa: S506 - safe
    except OSError as error:
        raise InputError(
            f"the config file cannot be read: {error.strerror or error}",
            where=str(path),
            expected="a YAML file of parameter names and values",
            remedy="check the path given to --config",
        ) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(
            "the config file is not valid YAML: " + " ".join(str(error).split()),
            where=str(path),
            expected="lines such as `learning_rate: 5e-5`, in UTF-8",
            remedy="correct that line",
        ) from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise InputError(
            f"the config file holds a {type(values).__name__}",
            where=str(path),
            expected="a mapping of parameter names to values, such as `learning_rate: 5e-5`",
            remedy="write one `name: value` a line",
        )
    return values


def _check_size(root: Any) -> None:
    """Refuse a document that is more than a million values when all aliases are written out."""
    sizes: dict[int, int] = {}

    def size(node: Any, depth: int) -> int:
        if id(node) in sizes:
            return sizes[id(node)]
        if depth > _DEEPEST:
            raise yaml.YAMLError("it is nested too deeply")
        sizes[id(node)] = _MOST_VALUES + 1  # an alias of what it stands in itself
        below = node.value if isinstance(node, yaml.CollectionNode) else []
        flat = [n for part in below for n in (part if isinstance(part, tuple) else (part,))]
        sizes[id(node)] = min(1 + sum(size(n, depth + 1) for n in flat), _MOST_VALUES + 1)
        return sizes[id(node)]

    if root is not None and size(root, 0) > _MOST_VALUES:
        raise yaml.YAMLError("its aliases stand for more than a million values")


class _NoDuplicates(yaml.SafeLoader):
    """YAML forbids a key given twice; PyYAML silently takes the last one.

    And what aliases multiply is counted before it is made: ten lines can stand for a billion.
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
