"""Every family has PyTorch's gradients, weight by weight."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from kfp_finetune.components.models import registry
from kfp_finetune.components.models.names import weights_of
from tests.models.parity.cases import LABELS, cases, drawn, families_of
from tests.models.parity.pytorch import ask, load, needs_torch, run_torch

CASES = 3
# Of a tensor's own gradient, and of all gradients: a key's bias has a gradient of 0 and rounding.
OF_ITS_OWN, OF_ALL = 1e-3, 1e-6


@pytest.fixture(scope="module")
def asked(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, list[dict[str, Any]]]]:
    """Random cases of every tested family, and PyTorch's models and gradients of them."""
    folder = tmp_path_factory.mktemp("gradients")
    asked = {family: drawn(_with_direction(family), CASES) for family in families_of(request)}
    for family, some in asked.items():
        ask(folder / family, some)
    run_torch("make", folder)
    return folder, asked


@pytest.mark.slow
@needs_torch
@pytest.mark.parametrize("family", registry.FAMILIES)
def test_gradients_are_pytorchs(family: str, asked: tuple[Path, Any]) -> None:
    for number, case in enumerate(asked[1][family]):
        folder = asked[0] / family / f"{number:02}"
        ours = _gradients(folder, case)
        theirs = {
            weight.name: np.asarray(weight.variable)
            for weight in weights_of(load(folder / "gradients", case["kind"]))
        }
        everything = np.sqrt(sum(np.sum(np.square(gradient)) for gradient in theirs.values()))
        assert everything > 0
        far = {
            name: (float(np.linalg.norm(ours[name] - gradient)), float(np.linalg.norm(gradient)))
            for name, gradient in theirs.items()
            if np.linalg.norm(ours[name] - gradient)
            > OF_ITS_OWN * np.linalg.norm(gradient) + OF_ALL * everything
        }
        assert not far, (far, case)


@st.composite
def _with_direction(draw: DrawFn, family: str) -> dict[str, Any]:
    """A case, and a factor for each logit, 0 on padding."""
    case: dict[str, Any] = draw(cases(family))
    mask = np.array(case["inputs"]["attention_mask"])
    # Padding on the left is read by the head for texts; PyTorch never trains its embedding.
    case["kind"] = case["kind"] if mask[:, 0].all() else "token"
    rows, width = mask.shape
    shape = (rows, width, LABELS) if case["kind"] == "token" else (rows, LABELS)
    direction = np.random.default_rng(case["seed"]).standard_normal(shape).astype(np.float32)
    if case["kind"] == "token":
        direction *= mask[..., np.newaxis]
    return {**case, "toward": direction.tolist()}


def _gradients(folder: Path, case: dict[str, Any]) -> dict[str, Any]:
    """The gradients by the weights' names, in our layout."""
    model = load(folder, case["kind"])
    inputs = {name: tf.constant(rows, tf.int32) for name, rows in case["inputs"].items()}
    weights = weights_of(model)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(model(inputs) * tf.constant(case["toward"]))
    gradients = tape.gradient(
        total,
        [weight.variable.value for weight in weights],
        unconnected_gradients=tf.UnconnectedGradients.ZERO,
    )
    return {
        weight.name: tf.convert_to_tensor(gradient).numpy()
        for weight, gradient in zip(weights, gradients, strict=True)
    }
