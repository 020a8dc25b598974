"""The candidates of a comparison."""

from __future__ import annotations

from typing import Any

import pytest

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.not_given import is_given
from kfp_finetune.pipelines.catalog import find
from kfp_finetune.pipelines.checks import check_settings
from kfp_finetune.pipelines.compare_schedules.candidates import DEFAULTS, PRESETS, expand
from kfp_finetune.pipelines.parameters import load
from kfp_finetune.pipelines.settings import settings

GIVEN = {"dataset": "a/b", "model": "c/d"}


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_can_be_trained(preset: str) -> None:
    compare = find("compare_schedules")
    values = settings(compare, GIVEN, None, preset, "1,2,3")
    assert len(values["candidates"]) == 3 * len(PRESETS[preset])
    assert all(candidate.keys() == DEFAULTS.keys() for candidate in values["candidates"])
    check_settings("compare_schedules", values)


def test_the_defaults_are_those_of_the_steps() -> None:
    of_finetune = {p.name: p.default for p in load(find("finetune").definition)}
    assert {n: of_finetune[n] for n in DEFAULTS if n != "name"} == {
        n: v if is_given(n, v) else None for n, v in DEFAULTS.items() if n != "name"
    }


def test_candidates_are_named_by_their_differences() -> None:
    rate = {"learning_rate": "1e-4"}
    names = [c["name"] for c in expand([{}, rate, {**rate, "warmup_ratio": 0.1}])]
    assert names == ["polynomial", "polynomial 0.0001", "polynomial 0.0001, warmup_ratio 0.1"]


@pytest.mark.parametrize(
    ("candidates", "message"),
    [
        ([], "there are no candidates"),
        (["linear"], "candidate 1 is 'linear'"),
        ([{}, {"rate": 1}], "candidate 2 has rate"),
        ([{"learning_rate": "fast"}], "candidate 1 has learning_rate: 'fast'"),
        ([{"seed": 1.5}], "candidate 1 has seed: 1.5"),
        ([{}, {"learning_rate": 0}], "several candidates are named 'polynomial'"),
    ],
)
def test_wrong_candidates(candidates: list[Any], message: str) -> None:
    with pytest.raises(InputError) as error:
        expand(candidates)
    assert message in error.value.found


@pytest.mark.parametrize(
    ("pipeline", "flags", "preset", "seeds", "message"),
    [
        ("compare_schedules", {"learning_rate": 1e-3}, None, None,
         "compare_schedules has no --learning-rate"),
        ("compare_schedules", {}, "curse", None, "unknown preset 'curse'"),
        ("compare_schedules", {}, "course", "1,x", "--seeds is '1,x'"),
        ("finetune", {}, "curse", None, "unknown preset 'curse'"),
        ("finetune", {}, "rates", None, "preset 'rates' is one of candidates"),
        ("finetune", {}, None, "1,2", "finetune trains once"),
    ],
)  # fmt: skip
def test_wrong_settings(
    pipeline: str, flags: dict[str, Any], preset: str | None, seeds: str | None, message: str
) -> None:
    with pytest.raises(InputError) as error:
        settings(find(pipeline), GIVEN | flags, None, preset, seeds)
    assert message in error.value.found


def test_a_candidate_that_cannot_be_built_is_refused_before_anything_starts() -> None:
    values = settings(find("compare_schedules"), GIVEN, None, "course")
    values["candidates"][1]["warmup_ratio"] = 2.0
    with pytest.raises(InputError, match="warmup_ratio"):
        check_settings("compare_schedules", values)
