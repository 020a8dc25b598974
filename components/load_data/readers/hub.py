"""Datasets on the Hub and folders saved by the datasets library, both opened by that library."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.readers.source import ReadOptions, Source
from kfp_finetune.components.load_data.readers.split_names import (
    TRAIN,
    canonical_splits,
    find_split,
    no_split,
)
from kfp_finetune.components.load_data.readers.tables import table_source
from kfp_finetune.components.storage import hub_client
from kfp_finetune.components.storage.hub_client import why_not_reached
from kfp_finetune.components.storage.uris import without_secrets

_EXPECTED = "a file or folder on this disk, or a dataset on the Hub that this machine can reach"


def is_saved(folder: Path) -> bool:
    """Return True if a folder was saved by the datasets library, as a Dataset or a DatasetDict."""
    return (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file()


def saved_splits(folder: Path, name: str) -> list[str]:
    """The splits of a saved folder; none if it is a single Dataset.

    Raises:
        InputError: If it cannot be read.
    """
    loaded = _load_saved(folder, name)
    return canonical_splits(loaded) if isinstance(loaded, dict) else []


def open_saved(folder: Path, name: str, options: ReadOptions) -> Source:
    """Open one split of a saved folder.

    Raises:
        InputError: If it cannot be read, or has no such split.
    """
    loaded = _load_saved(folder, name)
    return (
        _open(loaded, name, options.split)
        if isinstance(loaded, dict)
        else table_source(name, loaded)
    )


def hub_splits(dataset: str, options: ReadOptions) -> list[str]:
    """The splits of a dataset on the Hub.

    Raises:
        InputError: If it cannot be loaded.
    """
    return canonical_splits(_load_hub(dataset, options))


def open_hub(dataset: str, options: ReadOptions) -> Source:
    """Open one split of a dataset on the Hub; code in a dataset's repository is never run.

    Raises:
        InputError: If it cannot be loaded, or has no such split.
    """
    return _open(_load_hub(dataset, options), dataset, options.split)


def _open(splits: Any, name: str, split: str | None) -> Source:
    found = find_split(split or TRAIN, splits)
    if found is None:
        raise no_split(name, split or TRAIN, sorted(splits))
    return table_source(f"{name}, split {found}", splits[found])


def _load_saved(folder: Path, name: str) -> Any:
    import datasets

    try:
        return datasets.load_from_disk(str(folder))
    except Exception as error:  # its readers raise exceptions of many types
        raise InputError(
            f"the saved dataset cannot be loaded: {_first_line(error)}",
            where=name,
            expected="a complete folder written by save_to_disk",
            remedy="save or copy it again",
        ) from error


def _load_hub(dataset: str, options: ReadOptions) -> Any:
    import datasets
    from huggingface_hub import constants

    hub_client.prepare()
    datasets.disable_progress_bars()
    datasets.logging.set_verbosity_error()
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # it logs every retry
    try:
        return datasets.load_dataset(
            dataset, options.dataset_config, revision=options.dataset_revision
        )
    except ConnectionError as error:
        offline = constants.HF_HUB_OFFLINE
        raise InputError(
            f"the dataset cannot be downloaded: {why_not_reached(error)}",
            where=dataset,
            expected=_EXPECTED,
            remedy=("unset HF_HUB_OFFLINE" if offline else "try again")
            + "; or download it on another machine and copy the files",
        ) from error
    except Exception as error:  # builders and the network raise exceptions of many types
        raise InputError(
            f"the dataset cannot be loaded: {_first_line(error)}",
            where=dataset,
            expected=_EXPECTED,
            remedy="check the id, --dataset-config, --dataset-revision and the network; for a"
            " private dataset set HF_TOKEN",
        ) from error


def _first_line(error: Exception) -> str:
    lines = without_secrets(str(error)).strip().splitlines()
    return lines[0] if lines else type(error).__name__
