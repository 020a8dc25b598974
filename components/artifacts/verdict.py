"""The verdict on a training, which every page, file and terminal prints unchanged."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

Kind = Literal[
    "diverged",
    "nothing learned",
    "too high",
    "too low",
    "undertrained",
    "overfitted",
    "healthy",
    "unknown",
]
# Kinds that need no advice.
FINE: tuple[Kind, ...] = ("healthy", "unknown")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class RareScores(_Part):
    """The scores of a rare label, for the runs that repeat the training."""

    id: int = Field(description="number of the label")
    recall: float
    f1: float


class Tried(_Part):
    """A training that was judged, and the advice that was given."""

    kind: Kind
    learning_rate: float
    num_train_steps: int
    options: dict[str, Any] = Field(
        default_factory=dict, description="the advised parameters; empty if none were advised"
    )
    weighting: dict[str, Any] = Field(
        default_factory=dict, description="class_weights and focal_gamma, if not at their defaults"
    )
    rare_labels: list[RareScores] = Field(default_factory=list, description="the rarest first")


class Verdict(_Part):
    """The verdict on a training."""

    kind: Kind
    finding: str = Field(description="the reason, as a sentence")
    advice: str = Field(default="", description="what to try next, as a sentence; empty if healthy")
    options: dict[str, Any] = Field(
        default_factory=dict, description="the advice as parameters that change"
    )
    learning_rate: float = Field(description="the parameter: the peak, unless the rate rises")
    num_train_steps: int
    weighting: dict[str, Any] = Field(
        default_factory=dict, description="class_weights and focal_gamma, if not at their defaults"
    )
    rare_labels: list[RareScores] = Field(default_factory=list, description="the rarest first")
    tried: list[Tried] = Field(
        default_factory=list,
        description="the runs that this one repeats with changes, the first one first",
    )

    @property
    def text(self) -> str:
        """Finding and advice."""
        return f"{self.finding} {self.advice}".strip()

    @property
    def outcome(self) -> str:
        """The outcome of a run that has succeeded: whether its model has, too."""
        return "succeeded" if self.is_fine else f"finished: {self.kind}"

    @property
    def is_fine(self) -> bool:
        """Return True if nothing is known to be wrong."""
        return self.kind in FINE

    @property
    def is_lost(self) -> bool:
        """Return True if the model is useless."""
        return self.kind in ("diverged", "nothing learned")

    def as_tried(self) -> list[Tried]:
        """This training after those that it repeats, for the run that repeats it."""
        own = Tried(
            kind=self.kind,
            learning_rate=self.learning_rate,
            num_train_steps=self.num_train_steps,
            options=self.options,
            weighting=self.weighting,
            rare_labels=self.rare_labels,
        )
        return [*self.tried, own]


_RUNS = TypeAdapter(list[Tried])


def read_tried(text: str) -> list[Tried]:
    """Read the runs that a run repeats with changes; none from an empty text."""
    return _RUNS.validate_json(text) if text else []


def write_tried(runs: list[Tried]) -> str:
    """The inverse of `read_tried`."""
    return _RUNS.dump_json(runs).decode()
