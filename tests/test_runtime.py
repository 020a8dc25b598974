"""What every running step shares."""

from __future__ import annotations

import pytest

from kfp_finetune.components.runtime import run_of

RUN = "0f5be8a4-1d7f-4f3e-9b52-7a2f4f1d2c3b"
TASK = "minio://mlpipeline/v2/artifacts/kfp-finetune/" + RUN + "/finetune"


@pytest.mark.parametrize(
    ("output", "run"),
    [
        (f"{TASK}/7c0dbb02-7a6e-4c55-8f8a-1f3d3a9e6b11/model", TASK),
        (f"{TASK}/11111111-2222-3333-4444-555555555555/model", TASK),  # a retry in another pod
        (f"{TASK}/model", TASK),
        ("/home/me/runs/one/steps/finetune/model", "/home/me/runs/one/steps/finetune"),
        (f"/home/me/runs/{RUN}/steps/finetune/model/", f"/home/me/runs/{RUN}/steps/finetune"),
    ],
)
def test_a_retry_is_told_from_another_run(output: str, run: str) -> None:
    assert run_of(output) == run
