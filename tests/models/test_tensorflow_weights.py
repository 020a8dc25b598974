"""Files that Transformers' TensorFlow classes wrote load, and give the logits that those gave."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kfp_finetune.components.artifacts import model as model_artifact
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.models import loading, saving
from kfp_finetune.components.models.classifier import Classifier
from tests.checkpoints import RECORDS, fill, record, write_config, write_weights
from tests.models.loaded import features, load
from tests.trained import manifest

# All that Transformers had TensorFlow classes of and version 0.1.0 trained.
FAMILIES = sorted(path.stem for path in (RECORDS / "tensorflow").glob("*.json"))


def recorded(family: str) -> dict[str, Any]:
    """The weights and logits that TensorFlow saved for this family."""
    return json.loads((RECORDS / "tensorflow" / f"{family}.json").read_text())


def write_tensorflows(folder: Path, family: str, shards: int = 1, **other: np.ndarray) -> None:
    """The weights that TensorFlow's class saved, with other values for some of the tensors."""
    write_config(folder, record(family)["classifier"]["config"])
    tensors = fill(recorded(family)["tensors"]) | other
    write_weights(folder, tensors, shards, layout="tf")


def assert_gives_tensorflows_logits(model: Classifier, family: str) -> None:
    logits = np.asarray(model(features(family)))
    expected = np.reshape(recorded(family)["logits"], logits.shape)
    np.testing.assert_allclose(logits, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("family", FAMILIES)
def test_what_tensorflow_saved_gives_its_logits(family: str, tmp_path: Path) -> None:
    notes: list[str] = []
    write_tensorflows(tmp_path, family)
    model = load(tmp_path, fresh_head=False, note=notes.append)
    assert notes == []
    assert_gives_tensorflows_logits(model, family)

    saving.write(model, tmp_path)  # in PyTorch's names, over what was read
    assert_gives_tensorflows_logits(load(tmp_path, fresh_head=False), family)


def test_every_family_of_version_0_1_0_is_recorded() -> None:
    assert len(FAMILIES) == 14


def test_a_model_that_version_0_1_0_left_in_tensorflows_format_loads(tmp_path: Path) -> None:
    """As it left ConvBERT, and no other family."""
    write_tensorflows(tmp_path, "convbert")
    model_artifact.write(tmp_path, manifest(weights_format="tf"))
    model = loading.load_trained(tmp_path, model_artifact.read(tmp_path))
    assert_gives_tensorflows_logits(model, "convbert")


def test_tensorflows_shards_load(tmp_path: Path) -> None:
    write_tensorflows(tmp_path, "bert", shards=3)
    assert_gives_tensorflows_logits(load(tmp_path, fresh_head=False), "bert")


def test_a_tensor_of_another_shape_is_refused(tmp_path: Path) -> None:
    name = "bert/encoder/layer_._1/attention/self/key/kernel:0"
    write_tensorflows(tmp_path, "bert", **{name: np.zeros([16, 8], np.float32)})
    with pytest.raises(InputError, match=r"layer\.1\.attention\.self\.key\.weight: \[16, 8\] inst"):
        load(tmp_path)
