"""The turns of a comparison, a candidate each: what they are called, how long they take."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from kfp_finetune.cli.screen.lines import duration

_LONG = "finetune"  # the step that takes the time


class Turns:
    """Tells which candidate a step is of, and when all will be done.

    Args:
        candidates: The run's; empty where it compares nothing.
    """

    def __init__(self, candidates: Sequence[Mapping[str, Any]]) -> None:
        self._candidates = candidates
        self._several_seeds = len({c["seed"] for c in candidates}) > 1
        self._first: tuple[int, float] | None = None  # turn that was not cached, and when it began

    def title(self, step: str) -> str:
        """A step as a person reads it: "2/6 linear 5e-5, seed 1: finetune"."""
        turn, is_turn, name = step.rpartition("/")
        if not is_turn:
            return step
        return f"{int(turn) + 1}/{len(self._candidates)} {self.name(int(turn))}: {name}"

    def name(self, turn: int) -> str:
        """What a turn trains: "linear 5e-5, seed 1"; usable as a file's name."""
        candidate = self._candidates[turn]
        seed = f", seed {candidate['seed']}" if self._several_seeds else ""
        return str(candidate["name"]).replace("/", "∕") + seed

    def started(self, step: str) -> None:
        """A step has started, and so does not come from the cache."""
        turn, is_turn, name = step.rpartition("/")
        if is_turn and name == _LONG and self._first is None:
            self._first = int(turn), time.monotonic()

    def detail(self, step: str, done: int, total: int | None, detail: str) -> str:
        """What is shown beside a step's progress: in a turn also when the last one will have ended.

        As if all turns that are left took as long as those since the first that was not cached.
        """
        turn, is_turn, name = step.rpartition("/")
        if not is_turn or name != _LONG or self._first is None or not total:
            return detail
        first, began = self._first
        share = (int(turn) - first + done / total) / (len(self._candidates) - first)
        left = (time.monotonic() - began) * (1 - share) / share
        return f"{detail} · all in {duration(left)}"
