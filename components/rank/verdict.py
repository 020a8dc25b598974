"""The verdict on a comparison, in words."""

from __future__ import annotations

from collections.abc import Sequence

from kfp_finetune.components.artifacts.leaderboard import Candidate
from kfp_finetune.components.rank.deciding import DecidingMetric

# Verdicts on a trial that needed more steps or a higher rate.
_TOO_LITTLE = ("undertrained", "too low")
NOTHING = "nothing learned"


def verdict_on(candidates: Sequence[Candidate], metric: DecidingMetric, split: str) -> str:
    """Say which candidate is best, or that none is.

    Args:
        candidates: The best first, compared with each other.
        metric: The deciding metric.
        split: The split that decides.
    """
    first = candidates[0]
    if first.mean is None:
        return "Every candidate diverged."
    left = [c for c in candidates if c.mean is not None]
    measured = f"{split} {metric.name}"
    if all(c.diagnosis == NOTHING for c in left):
        return (
            f"No candidate learned anything: {_those(left)} like a constant answer, with a"
            f" {measured} of {_value(first, metric)}. None is best."
        )
    tied = [first, *(c for c in left if c.tied)]
    if len(tied) > 1:
        values = " and ".join(_value(c, metric) for c in tied[:2])
        found = f"{_listed([c.name for c in tied])} cannot be told apart: {measured} {values}"
        found += _difference(tied[1], metric)
    else:
        found = f"{first.name} is best: {measured} {_value(first, metric)}"
    if others := [c for c in left[1:] if not c.tied]:
        found += f"; next is {others[0].name}, {_value(others[0], metric)}"
        found += _difference(others[0], metric) if len(tied) == 1 else ""
    elif len(candidates) > len(left):
        found += "; all others diverged"
    found += "." + (_without_intervals(left, split) if len(tied) == 1 else "")
    if len(tied) > 1:
        found += f" The model of {first.name} is passed on."
    if short := [c.name for c in candidates[1:] if c.diagnosis in _TOO_LITTLE]:
        was = "was" if len(short) == 1 else "were"
        found += f" {_listed(short)} {was} undertrained: not a fault of the schedule."
    if idle := [c.name for c in candidates[1:] if c.diagnosis == NOTHING]:
        found += f" {_listed(idle)} learned nothing."
    return found


def _difference(candidate: Candidate, metric: DecidingMetric) -> str:
    """The interval of the difference from the best candidate, as a part of a sentence."""
    if candidate.behind is None:
        return ""
    low, high = (metric.text(end) for end in candidate.behind)
    return f"; the difference is {low} to {high} (95%, on the same rows)"


def _without_intervals(left: Sequence[Candidate], split: str) -> str:
    """A warning if the first two cannot be compared row by row."""
    if len(left) < 2 or left[1].behind is not None:
        return ""
    # Finetune keeps resamples of the validation split only.
    reason = (
        "Without validation rows there are no paired intervals"
        if split == "test"
        else "The trials were not measured on the same rows"
    )
    first, second = left[:2]
    if first.spread is None or second.spread is None:
        return f" {reason}: the difference may be noise."
    assert first.mean is not None and second.mean is not None  # noqa: S101 - of `left`
    spread = max(first.spread, second.spread)
    larger = "larger" if abs(first.mean - second.mean) > spread else "not larger"
    return f" {reason}: the difference is {larger} than the spread over the seeds."


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _those(candidates: Sequence[Candidate]) -> str:
    return f"{candidates[0].name} answers" if len(candidates) == 1 else "all answer"


def _value(candidate: Candidate, metric: DecidingMetric) -> str:
    assert candidate.mean is not None  # noqa: S101 - only called with a mean
    text = metric.text(candidate.mean)
    if candidate.spread is not None:
        seeds = len(candidate.attempts) - candidate.diverged
        text += f" ± {metric.text(candidate.spread)} over {seeds} seeds"
    if candidate.diverged:
        text += f" ({candidate.diverged} of {len(candidate.attempts)} seeds diverged)"
    return text
