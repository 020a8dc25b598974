"""Ranked trials on the same data, the best first: leaderboard.json."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from kfp_finetune.components.artifacts.files import read_manifest, write_manifest


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class RankedTrial(_Part):
    """One trial: a candidate with one seed."""

    index: int = Field(description="its position in the order of training, from 0")
    seed: int
    value: float | None = Field(
        description="value of the deciding metric; None: nothing was measured"
    )
    best_step: int | None = Field(description="step of its best evaluation")
    diverged_at: int | None = None
    validation_metrics: dict[str, float]
    test_metrics: dict[str, float]
    seconds: float = Field(description="duration of its steps, without evaluations")


class Candidate(_Part):
    """The same settings with every seed."""

    name: str
    settings: dict[str, Any]
    mean: float | None = Field(description="mean value of the seeds that did not diverge")
    spread: float | None = Field(description="their standard deviation; None for fewer than two")
    interval: tuple[float, float] | None = Field(
        default=None, description="95 % bootstrap interval of the mean, over rows and seeds"
    )
    behind: tuple[float, float] | None = Field(
        default=None,
        description="paired 95 % interval by which the first candidate is better; None if unknown",
    )
    tied: bool = Field(
        default=False, description="whether it is within noise of the first candidate"
    )
    place: int = Field(default=0, description="from 1; tied candidates share one; 0: not recorded")
    test_mean: float | None = Field(
        default=None,
        description="mean of the same metric on the test split, over the same seeds, and measured"
        " in the same way: labels are predicted above 0.5",
    )
    diverged: int = Field(description="number of seeds that diverged")
    diagnosis: str = Field(description="diagnosis of its best seed, in a word")
    finding: str = Field(description="the same as a sentence, and what to try next")
    attempts: list[RankedTrial]


class Leaderboard(_Part):
    """All candidates, the best first."""

    schema_version: Literal[1] = 1
    metric: str = Field(description="the deciding metric")
    split: Literal["validation", "test"] = Field(description="split on which it was measured")
    less_is_better: bool
    verdict: str
    candidates: list[Candidate]


def read(path: str | Path) -> Leaderboard:
    """Read and validate a leaderboard."""
    return read_manifest(Path(path), Leaderboard)


def write(path: str | Path, leaderboard: Leaderboard) -> None:
    """Write a leaderboard."""
    write_manifest(Path(path), leaderboard)
