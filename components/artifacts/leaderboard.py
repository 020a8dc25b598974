"""What came of several trainings on the same data, the best first: leaderboard.json."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from kfp_finetune.components.artifacts.files import read_manifest, write_manifest


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Attempt(_Part):
    """One training: a candidate with one seed."""

    index: int = Field(description="its place among what was trained, from 0")
    seed: int
    value: float | None = Field(
        description="of the metric that decides; None: nothing was measured"
    )
    best_step: int | None = Field(description="the evaluation at which it was best")
    diverged_at: int | None = None
    validation_metrics: dict[str, float]
    test_metrics: dict[str, float]
    seconds: float = Field(description="in updates, evaluations left out")


class Candidate(_Part):
    """The same settings with every seed."""

    name: str
    settings: dict[str, Any]
    mean: float | None = Field(description="of the values of the seeds that did not diverge")
    spread: float | None = Field(description="their standard deviation; None for less than two")
    diverged: int = Field(description="how many seeds diverged")
    diagnosis: str = Field(description="what the curves of its best seed say, in a word")
    finding: str = Field(description="the same in a sentence, and what to try next")
    attempts: list[Attempt]


class Leaderboard(_Part):
    """All candidates, the best first."""

    schema_version: Literal[1] = 1
    metric: str = Field(description="that decides")
    split: Literal["validation", "test"] = Field(description="on which it was measured")
    less_is_better: bool
    verdict: str
    candidates: list[Candidate]


def read(path: str | Path) -> Leaderboard:
    """Read and validate it."""
    return read_manifest(Path(path), Leaderboard)


def write(path: str | Path, leaderboard: Leaderboard) -> None:
    """Write it."""
    write_manifest(Path(path), leaderboard)
