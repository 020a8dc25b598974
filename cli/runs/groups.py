"""Groups of runs that can be compared: one task, dataset and positive label, the best run first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from kfp_finetune.components.artifacts.metrics import LESS_IS_BETTER
from kfp_finetune.components.finetune.selection import optimised_metric
from kfp_finetune.components.storage.uris import without_secrets
from kfp_finetune.components.tasks.problem_type import ProblemType
from kfp_finetune.components.tasks.registry import DEFAULT_TASK, PROBLEM_TYPES, TASKS
from kfp_finetune.runs.folder import RunFolder

OF_VALIDATION = "validation_"
STARTED = "started"


@dataclass(frozen=True)
class Group:
    """Runs of one task on one dataset, whose scores mean the same.

    Attributes:
        task: The task, or the problem type if it is known, and the positive label if there is one.
        dataset: The dataset, without secrets.
        sort: The metric by which the runs are sorted; empty: the newest is first.
        runs: The runs, sorted.
    """

    task: str
    dataset: str
    sort: str
    runs: list[RunFolder]


def grouped(folders: Sequence[RunFolder], sort: str | None) -> list[Group]:
    """Divide runs into groups, the group with the newest run first.

    Args:
        folders: The runs, the newest first.
        sort: The metric to sort by, or "started"; None: what each group's runs optimised.
    """
    found: dict[tuple[str, str, str], list[RunFolder]] = {}
    for folder in folders:
        found.setdefault(_key(folder), []).append(folder)
    # A run without metrics, such as a failed one, belongs to the runs of its task and dataset.
    for key in [key for key in found if not key[2]]:
        alike = [other for other in found if other[2] and other[:2] == key[:2]]
        if len(alike) == 1:
            found[alike[0]] += found.pop(key)
    groups = []
    position = {folder.path: number for number, folder in enumerate(folders)}
    for (task, dataset, kind), runs in found.items():
        newest_first = sorted(runs, key=lambda folder: position[folder.path])
        metric = _optimised(newest_first) if sort is None else sort.removeprefix(STARTED)
        groups.append(Group(kind or task, dataset, metric, by_metric(newest_first, metric)))
    return sorted(groups, key=lambda group: min(position[folder.path] for folder in group.runs))


def by_metric(folders: Sequence[RunFolder], metric: str) -> list[RunFolder]:
    """Sort the best first, equal ones as they were, and runs without the metric last."""
    if not metric:
        return list(folders)
    sign = 1 if metric.removeprefix(OF_VALIDATION) in LESS_IS_BETTER else -1

    def key(folder: RunFolder) -> tuple[bool, float]:
        value = metrics_of(folder).get(metric, math.nan)
        return math.isnan(value), 0.0 if math.isnan(value) else sign * value

    return sorted(folders, key=key)


def metrics_of(folder: RunFolder) -> dict[str, float]:
    """The test split's metrics, and the validation split's as validation_NAME."""
    record = folder.record
    validation = {f"{OF_VALIDATION}{n}": v for n, v in record.validation_metrics.items()}
    return record.metrics | validation


def task_of_run(folder: RunFolder) -> str:
    """The run's task, or its problem type where that was given."""
    parameters = folder.record.parameters
    kind = str(parameters.get("problem_type") or "auto")
    return kind if kind != "auto" else str(parameters.get("task") or DEFAULT_TASK)


def _key(folder: RunFolder) -> tuple[str, str, str]:
    parameters, kind = folder.record.parameters, _problem_type(folder)
    task = str(parameters.get("task") or DEFAULT_TASK)
    positive = parameters.get("positive_label")
    name = (kind.name + (f", positive label {positive}" if positive else "")) if kind else ""
    return task, without_secrets(str(parameters.get("dataset"))), name


def _problem_type(folder: RunFolder) -> ProblemType | None:
    """The given problem type, or the one whose headline metric was measured; None without any."""
    parameters, measured = folder.record.parameters, folder.record.metrics
    if (given := parameters.get("problem_type")) in PROBLEM_TYPES:
        return PROBLEM_TYPES[str(given)]
    task = TASKS.get(str(parameters.get("task") or DEFAULT_TASK))
    kinds = task.problem_types if task else ()
    return next((kind for kind in kinds if kind.metric in measured), None)


def _optimised(runs: Sequence[RunFolder]) -> str:
    """The metric that selected weights in the newest run in which one did, or the headline metric.

    It is the validation split's if all runs that were evaluated have it: choosing by the test split
    would make its scores too good.
    """
    headline = (kind.metric for kind in map(_problem_type, runs) if kind)
    optimised = (optimised_metric(folder.record.parameters) for folder in runs)
    name = next(filter(None, optimised), "") or next(headline, "")
    evaluated = [folder for folder in runs if folder.record.metrics]
    if name and all(name in folder.record.validation_metrics for folder in evaluated):
        return OF_VALIDATION + name
    return name if any(name in folder.record.metrics for folder in evaluated) else ""
