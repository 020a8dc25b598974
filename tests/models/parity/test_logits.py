"""Every family gives PyTorch's logits for random configurations, and PyTorch gives ours.

PARITY_CASES=50 compares 50 random models of each family; PARITY_SEED=1 draws others.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from kfp_finetune.components.models import registry, saving
from tests.models.parity.cases import CONFIGURATIONS, cases, drawn, families_of
from tests.models.parity.pytorch import TRANSFORMERS_4, ask, load, needs_torch, run_torch

TOLERANCE = 2e-5
CASES = int(os.environ.get("PARITY_CASES", "6"))  # for each family
# Types that Transformers 4.57 does not have.
ONLY_IN_5 = frozenset({"eurobert", "gte", "jina_embeddings_v3", "nomic_bert"})


def test_every_family_is_tried() -> None:
    assert sorted(CONFIGURATIONS) == sorted(registry.FAMILIES)


@pytest.fixture(scope="module")
def asked(request: pytest.FixtureRequest) -> dict[str, list[dict[str, Any]]]:
    """Random cases of every tested family; PyTorch starts once for all of them."""
    return {family: drawn(cases(family), CASES) for family in families_of(request)}


@pytest.fixture(scope="module")
def theirs(asked: dict[str, list[dict[str, Any]]], tmp_path_factory: Any) -> Path:
    """PyTorch's models of these cases, and their logits."""
    folder: Path = tmp_path_factory.mktemp("theirs")
    for family, some in asked.items():
        ask(folder / family, some)
    run_torch("make", folder)
    return folder


@pytest.fixture(scope="module")
def ours(
    asked: dict[str, list[dict[str, Any]]], theirs: Path, tmp_path_factory: Any
) -> tuple[Path, dict[str, list[np.ndarray]]]:
    """The same models as loaded and saved here, and their logits."""
    folder: Path = tmp_path_factory.mktemp("ours")
    logits: dict[str, list[np.ndarray]] = {}
    for family, some in asked.items():
        ask(folder / family, some)
        logits[family] = []
        for number, case in enumerate(some):
            model = load(theirs / family / f"{number:02}", case["kind"])
            inputs = {name: tf.constant(rows, tf.int32) for name, rows in case["inputs"].items()}
            logits[family].append(np.asarray(model(inputs)))
            saving.write(model, folder / family / f"{number:02}")
    return folder, logits


@pytest.fixture(scope="module")
def read_by_5(ours: tuple[Path, Any]) -> Path:
    """The models saved here, with their logits in the current Transformers."""
    run_torch("read", ours[0])
    return ours[0]


@pytest.fixture(scope="module")
def read_by_4(asked: dict[str, Any], ours: tuple[Path, Any]) -> Path:
    """The same in Transformers 4.57, for the families that it has."""
    old = [ours[0] / family for family in asked if family not in ONLY_IN_5]
    run_torch("read", *old, PYTHONPATH=str(TRANSFORMERS_4))
    return ours[0]


@pytest.mark.slow
@needs_torch
@pytest.mark.parametrize("family", registry.FAMILIES)
def test_a_model_of_pytorch_gives_its_logits_here(
    family: str, asked: Any, theirs: Path, ours: Any
) -> None:
    _assert_close(asked[family], ours[1][family], theirs / family, 5)


@pytest.mark.slow
@needs_torch
@pytest.mark.parametrize("family", registry.FAMILIES)
def test_a_model_saved_here_gives_its_logits_in_pytorch(
    family: str, asked: Any, ours: Any, read_by_5: Path
) -> None:
    _assert_close(asked[family], ours[1][family], read_by_5 / family, 5)


@pytest.mark.slow
@needs_torch
@pytest.mark.skipif(not TRANSFORMERS_4, reason="TRANSFORMERS_4 is not set")
@pytest.mark.parametrize("family", sorted(set(registry.FAMILIES) - ONLY_IN_5))
def test_a_model_saved_here_gives_its_logits_in_transformers_4(
    family: str, asked: Any, ours: Any, read_by_4: Path
) -> None:
    _assert_close(asked[family], ours[1][family], read_by_4 / family, 4)


def _assert_close(
    some: list[dict[str, Any]], ours: list[np.ndarray], theirs: Path, version: int
) -> None:
    assert len(some) == CASES
    for number, (case, logits) in enumerate(zip(some, ours, strict=True)):
        answered = json.loads((theirs / f"{number:02}" / f"answered_{version}.json").read_text())
        expected = np.array(answered, np.float32)
        if case["kind"] == "token":  # logits of padding mean nothing
            real = np.array(case["inputs"]["attention_mask"])[..., np.newaxis]
            logits, expected = logits * real, expected * real
        # MobileBERT has no normalization: at logits of 100, 1e-5 is the last bit.
        tolerance = TOLERANCE * max(1, np.abs(expected).max())
        np.testing.assert_allclose(logits, expected, rtol=0, atol=tolerance, err_msg=str(case))
