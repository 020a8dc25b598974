"""The names and remaining time of the trials of a comparison."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from kfp_finetune.progress.lines import duration

_LONG = "finetune"  # the longest step


class Trials:
    """Names the trial of a step, and estimates the remaining time of all trials.

    Args:
        candidates: The run's candidates; empty if it is not a comparison.
    """

    def __init__(self, candidates: Sequence[Mapping[str, Any]]) -> None:
        self._candidates = candidates
        self._several_seeds = len({c["seed"] for c in candidates}) > 1
        self._first: tuple[int, float] | None = None  # the first uncached trial, and its start

    def title(self, step: str) -> str:
        """The title of a step: "2/6 linear 5e-5, seed 1: finetune"."""
        trial, is_trial, name = step.rpartition("/")
        if not is_trial:
            return step
        return f"{int(trial) + 1}/{len(self._candidates)} {self.name(int(trial))}: {name}"

    def name(self, trial: int) -> str:
        """The name of a trial: "linear 5e-5, seed 1"; also valid as a file name."""
        candidate = self._candidates[trial]
        seed = f", seed {candidate['seed']}" if self._several_seeds else ""
        return str(candidate["name"]).replace("/", "∕") + seed

    def started(self, step: str) -> None:
        """Note that a step has started, so it does not come from the cache."""
        trial, is_trial, name = step.rpartition("/")
        if is_trial and name == _LONG and self._first is None:
            self._first = int(trial), time.monotonic()

    def detail(self, step: str, done: int, total: int | None, detail: str) -> str:
        """The text beside a step's progress, with the remaining time of all trials.

        The remaining trials are assumed to take as long as those since the first uncached one.
        """
        trial, is_trial, name = step.rpartition("/")
        if not is_trial or name != _LONG or self._first is None or not total:
            return detail
        first, began = self._first
        share = (int(trial) - first + done / total) / (len(self._candidates) - first)
        left = (time.monotonic() - began) * (1 - share) / share
        return f"{detail} · all in {duration(left)}"
