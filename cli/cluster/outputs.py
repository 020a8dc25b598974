"""Where a cluster run's outputs are: PIPELINE_ROOT/PIPELINE/RUN_ID/TASK/UUID/OUTPUT.

KFP 2.17 has no way to ask for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kfp_finetune.cli.cluster.client import Cluster
from kfp_finetune.cli.cluster.logs import DEFAULT_ROOT
from kfp_finetune.cli.cluster.observed import observe
from kfp_finetune.cli.cluster.origins import candidates
from kfp_finetune.cli.cluster.store import Store, Stored
from kfp_finetune.cli.cluster.submit import Spec
from kfp_finetune.components.errors import InputError

LOG = "executor-logs"
# What KFP leaves beside the artifacts.
NO_ARTIFACTS = (LOG, "output_metadata.json")


@dataclass(frozen=True)
class StepOutputs:
    """What one step has left.

    Attributes:
        step: Its name.
        run: The run whose step it was: another where it came from the cache.
        files: Its files, their names beginning with the output's.
    """

    step: str
    run: Any
    files: list[Stored]


class Outputs:
    """The outputs of one cluster run.

    Args:
        cluster: Where it ran.
        run: The run.
        root: Its pipeline root, where that is neither in the run nor the default.

    Raises:
        InputError: If the store is not one that can be read.
    """

    def __init__(self, cluster: Cluster, run: Any, root: str | None = None) -> None:
        self._cluster = cluster
        self._run = run
        of_run = run.runtime_config.pipeline_root if run.runtime_config else None
        self._store = Store.open(root or of_run or DEFAULT_ROOT)
        self._spec = Spec.of_run(run)
        self._pipeline = self._spec.pipeline.get("pipelineInfo", {}).get("name", "")
        self._all_runs: list[Any] | None = None

    @property
    def place(self) -> str:
        """The folder of the run, for messages."""
        return self._store.uri(f"{self._pipeline}/{self._run.run_id}")

    def of(self, steps: Sequence[str] | None = None) -> list[StepOutputs]:
        """What the steps have left; without those that have left nothing.

        Args:
            steps: Their names; None: all.
        """
        states = {step.key: step.state for step in observe(self._cluster, self._run).steps}
        found = []
        for name in states if steps is None else steps:
            task = name.replace("_", "-")
            if task in self._spec.tasks:
                outputs = self._outputs(name, task, cached=states.get(name) == "cached")
                found += [outputs] if outputs else []
        return found

    def get(self, file: Stored, target: Path) -> None:
        """Download a file: whole, or not at all."""
        self._store.get(file, target)

    def read(self, file: Stored) -> str:
        """A file's text."""
        return self._store.read(file).decode("utf-8", errors="replace")

    def _outputs(self, name: str, task: str, *, cached: bool) -> StepOutputs | None:
        files = self._files(self._run, task)
        if files:
            return StepOutputs(name, self._run, files)
        if cached:
            if self._all_runs is None:
                self._all_runs = list(self._cluster.runs())
            for other in candidates(self._run, task, self._all_runs):
                files = self._files(other, task)
                if files:
                    return StepOutputs(name, other, files)
        return None

    def _files(self, run: Any, task: str) -> list[Stored]:
        # The folder is the task's display name, which is its name if it has no other.
        shown = Spec.of_run(run).tasks.get(task, {}).get("taskInfo", {}).get("name", task)
        folder = f"{self._pipeline}/{run.run_id}/{shown}"
        attempts = [
            self._store.files(f"{folder}/{attempt}") for attempt in self._store.folders(folder)
        ]
        return max(attempts, key=len, default=[])


def no_outputs(run: Any, place: str) -> InputError:
    """What is said when a run has left nothing that is looked for."""
    return InputError(
        f"run {run.display_name} has left nothing there",
        where=place,
        expected="PIPELINE_ROOT/PIPELINE/RUN_ID/TASK/UUID/OUTPUT of a step that has succeeded",
        remedy="look at kfp-finetune status; --pipeline-root URI, if the artifacts are elsewhere;"
        " AWS_ENDPOINT_URL and keys, if the store is the cluster's own",
    )
