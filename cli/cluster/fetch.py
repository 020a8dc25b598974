"""Downloads a cluster run into a run folder as local runs have it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from kfp_finetune.cli.cluster.client import Cluster
from kfp_finetune.cli.cluster.observed import observe, status_of
from kfp_finetune.cli.cluster.outputs import NO_ARTIFACTS, Outputs, StepOutputs, no_outputs
from kfp_finetune.cli.results import collect
from kfp_finetune.cli.run_folder import RECORD, RunFolder, RunRecord, StepRecord
from kfp_finetune.components.artifacts.files import write_text
from kfp_finetune.components.errors import InputError

# What has been downloaded: name to size and tag, so that it is not again.
_FETCHED = ".fetched.json"
# Inputs of the next step, as large as the data, and of no use without it.
_LEFT_THERE = ("tokenized_dataset",)


def fetch(
    cluster: Cluster,
    run: Any,
    target: Path,
    say: Callable[[str], None],
    *,
    root: str | None = None,
    everything: bool = False,
) -> RunFolder:
    """Download metrics, pages, TensorBoard's logs and the model; go on where that was broken off.

    Args:
        cluster: Where it ran.
        run: The run.
        target: The run folder; made if it is not there.
        say: Is told what is downloaded.
        root: The pipeline root, where neither the run nor the default says it.
        everything: Whether the tokenized data is downloaded too.

    Returns:
        The folder.

    Raises:
        InputError: If it has left nothing, the folder is another run's, or a file cannot be had.
    """
    outputs = Outputs(cluster, run, root)
    found = outputs.of()
    if not found:
        raise no_outputs(run, outputs.place)
    folder = _open(target, run)
    states = {step.key: step for step in observe(cluster, run).steps}
    status = status_of(run)
    folder.record.status = "interrupted" if status == "terminated" else status  # type: ignore[assignment]
    artifacts = []
    for step in found:
        names = _download(outputs, step, folder, say, () if everything else _LEFT_THERE)
        state = states[step.step]
        origin = str(step.run.display_name) if step.run.run_id != run.run_id else None
        folder.record.steps[step.step] = StepRecord(
            status="succeeded" if state.state in ("done", "cached") else "failed",
            seconds=state.seconds,
            cached=state.state == "cached",
            cached_from=origin,
        )
        for name in names:
            folder.record.artifacts[name] = f"steps/{step.step}/{name}"
        artifacts += names
    collect(folder, artifacts)
    folder.save()
    return folder


def _open(target: Path, run: Any) -> RunFolder:
    """The run folder; one that is there is gone on with, if it is this run's."""
    if (target / RECORD).is_file():
        record = RunFolder.open(target).record
        if record.environment.get("cluster_run") != run.run_id:
            raise InputError(
                "another run is there",
                where=str(target),
                expected="a folder that is not there yet, or this run's",
                remedy="give another with -o",
            )
    record = RunRecord(
        name=target.name,
        pipeline="finetune",
        parameters=(run.runtime_config.parameters if run.runtime_config else None) or {},
        started_at=run.created_at.isoformat(timespec="seconds"),
        environment={"cluster_run": run.run_id},
    )
    folder = RunFolder(target.absolute(), record)
    try:
        folder.steps.mkdir(parents=True, exist_ok=True)
        folder.save()
    except OSError as error:
        raise InputError(
            f"the folder cannot be written: {error.strerror or error}",
            where=str(target),
            expected="a folder that can be made",
            remedy="give another with -o",
        ) from None
    return folder


def _download(
    outputs: Outputs,
    step: StepOutputs,
    folder: RunFolder,
    say: Callable[[str], None],
    left: Sequence[str],
) -> list[str]:
    """Download what a step has left.

    Returns:
        The names of its artifacts.
    """
    base = folder.steps / step.step
    state = folder.path / _FETCHED
    done = json.loads(state.read_text(encoding="utf-8")) if state.is_file() else {}
    wanted = {
        file.name: file
        for file in step.files
        if (parts := file.name.split("/"))[0] not in left and ".." not in parts
    }
    missing = {
        name: file
        for name, file in wanted.items()
        if done.get(f"{step.step}/{name}") != [file.size, file.tag]
        or not _has_size(base / name, file.size)
    }
    if missing:
        size = sum(file.size for file in missing.values())
        say(f"{step.step}: {len(missing):,} of {len(wanted):,} files, {size / 1e6:,.1f} MB")
    for name, file in missing.items():
        outputs.get(file, base / name)
        done[f"{step.step}/{name}"] = [file.size, file.tag]
        write_text(state, json.dumps(done, indent=1))
    return sorted({name.split("/")[0] for name in wanted} - set(NO_ARTIFACTS))


def _has_size(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size
