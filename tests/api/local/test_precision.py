"""A run has one precision, decided where it begins."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kfp_finetune.components.finetune import precision
from kfp_finetune.local.precision import of_run, step_parameters

AMD = "AMD EPYC 9654 (avx avx2 avx512_bf16 avx512f fma)"
ARM = "aarch64 (asimd bf16 sve)"
AUTO: dict[str, Any] = {"precision": "auto"}


@pytest.mark.parametrize(
    ("parameters", "before", "where", "decided", "passed"),
    [
        ({}, {}, {}, "float32", {}),  # a pipeline that trains nothing
        ({"precision": "float32"}, {}, {}, "float32", {}),
        (AUTO, {}, {}, "bfloat16", {}),
        (AUTO, {"precision": "auto"}, {}, "bfloat16", {}),  # of an earlier version
        (AUTO, {"precision": "float32"}, {}, "float32", {"precision": "float32"}),
        (AUTO, {}, {"gpus": True}, "auto", {}),
        (AUTO, {}, {"here": False}, "bfloat16", {}),
    ],
)
def test_it_is_decided_once(
    parameters: dict[str, Any],
    before: dict[str, Any],
    where: dict[str, bool],
    decided: str,
    passed: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(precision, "processor", lambda: AMD)
    found = of_run(parameters, before, **{"here": True, "gpus": False, **where})
    assert found == decided
    assert step_parameters(parameters, found) == passed


def test_the_measured_precision_is_passed_to_every_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "processor", lambda: ARM)
    given: list[tuple[Any, ...]] = []

    def measure(*arguments: Any) -> str:
        given.append(arguments)
        return "bfloat16"

    monkeypatch.setattr("kfp_finetune.local.precision.decide_before_run", measure)
    config = {"hidden_size": 256, "intermediate_size": 1024}
    (tmp_path / "config.json").write_text(json.dumps(config))
    parameters = {**AUTO, "model": str(tmp_path), "batch_size": 8, "max_length": 64}
    assert of_run(parameters, {}, here=True, gpus=False) == "bfloat16"
    assert of_run({**AUTO, "model": "some/model"}, {}, here=True, gpus=False) == "bfloat16"
    assert given == [("auto", 512, 256, 1024), ("auto", 4096, 384, 1536)]
    assert step_parameters(parameters, "bfloat16") == {"precision": "bfloat16"}
    # In containers nothing is measured, and a step by itself comes to the same.
    assert of_run(parameters, {}, here=False, gpus=False) == "float32"
    assert step_parameters(parameters, "float32") == {}
