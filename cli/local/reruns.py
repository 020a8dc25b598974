"""Repeat a run of this machine with some parameters changed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kfp_finetune.cli.pipeline.changes import (
    changed,
    earlier_runs,
    kept_choices,
    print_kept,
    print_reused,
)
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data import fingerprints
from kfp_finetune.components.repeating import EXECUTION_PARAMETERS
from kfp_finetune.components.storage.uris import is_hidden
from kfp_finetune.components.version import VERSION
from kfp_finetune.local.execution import execute
from kfp_finetune.pipelines import catalog, parameters
from kfp_finetune.pipelines.parameters import FILLED_IN
from kfp_finetune.runs.folder import Repeated, RunFolder, RunRecord, find


def rerun_here(
    name: str, changes: Mapping[str, Any], *, runs_dir: Path, new_name: str | None, use_cache: bool
) -> None:
    """Repeat a local run on this machine, with changes.

    Args:
        name: The run's name, or its folder.
        changes: The parameters to change.
        runs_dir: The folder of runs.
        new_name: The new run's name; None for the dataset's name and the time.
        use_cache: Whether to reuse finished steps.

    Raises:
        InputError: If there is no such run, or the input is wrong.
    """
    record = RunFolder.open(find(name, runs_dir)).record
    pipeline = catalog.find(record.pipeline)
    hidden = (name for name in record.hidden if name not in changes)
    if gone := [name for name in hidden if not is_hidden(record.parameters[name])]:
        raise InputError(
            "the URI is stored without its user, password or token",
            where=", ".join(f"{n}: {record.parameters[n]}" for n in gone),
            expected="the full URI",
            remedy=" ".join(f"--{n.replace('_', '-')} 'FULL URI'" for n in gone),
        )
    after = changed(record.parameters, changes, pipeline)
    kept = kept_choices(
        lambda: record.chosen,
        record.parameters,
        after,
        changes,
        pipeline,
        lambda: _fingerprint(record, after),
    )
    print_kept(kept)
    after |= kept
    before = {n: v for n, v in record.parameters.items() if n not in FILLED_IN}
    if use_cache:
        print_reused(parameters.read_spec(pipeline.definition), before, after, EXECUTION_PARAMETERS)
    execute(
        pipeline,
        after | earlier_runs(record.verdict, changes, pipeline),
        runs_dir=runs_dir,
        name=new_name,
        use_cache=use_cache,
        runner=record.runner,
        image=record.image,
        rerun_of=Repeated(name=record.name, verdict=record.verdict),
    )


def _fingerprint(record: RunRecord, after: Mapping[str, Any]) -> str:
    """The fingerprint of the data; "" if another version ran, which may have chosen otherwise."""
    if record.environment.get("kfp-finetune") != VERSION:
        return ""
    return fingerprints.of_dataset(after)
