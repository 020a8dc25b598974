"""Files that Transformers' TensorFlow classes wrote load, and give the logits that those gave."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from safetensors.numpy import save_file

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.models import forward, saving
from kfp_finetune.components.models.classifier import Classifier
from tests.checkpoints import FAMILIES, RECORDS, fill, record, write_config, write_weights
from tests.models.loaded import features, load

SAFETENSORS = "model.safetensors"
HDF5 = "tf_model.h5"


def recorded(family: str) -> dict[str, Any]:
    """What TensorFlow saved and answered for this family."""
    return json.loads((RECORDS / "tensorflow" / f"{family}.json").read_text())


def tensors_of(family: str) -> dict[str, np.ndarray]:
    """The tensors by the names that they had in safetensors."""
    arrays = recorded(family)["arrays"]
    return fill({path.split("/", 2)[2]: shape for path, shape in arrays.items()})


def write_safetensors(folder: Path, family: str) -> None:
    save_file(tensors_of(family), folder / SAFETENSORS, metadata={"format": "tf"})


def write_hdf5(folder: Path, family: str) -> None:
    tensors = tensors_of(family)
    with h5py.File(folder / HDF5, "w") as archive:
        for path in recorded(family)["arrays"]:
            archive.create_dataset(path, data=tensors[path.split("/", 2)[2]])


def assert_gives_tensorflows_logits(model: Classifier, family: str) -> None:
    logits = forward.forward(model)(features(family)).numpy()
    expected = np.reshape(recorded(family)["logits"], logits.shape)
    np.testing.assert_allclose(logits, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("write", [write_safetensors, write_hdf5])
@pytest.mark.parametrize("family", FAMILIES)
def test_what_tensorflow_saved_gives_its_logits(family: str, write: Any, tmp_path: Path) -> None:
    notes: list[str] = []
    write_config(tmp_path, record(family)["classifier"]["config"])
    write(tmp_path, family)
    model = load(tmp_path, fresh_head=False, note=notes.append)
    assert notes == []
    assert_gives_tensorflows_logits(model, family)

    saving.write(model, tmp_path)  # in PyTorch's names, over what was read
    assert_gives_tensorflows_logits(load(tmp_path, fresh_head=False), family)


def test_tensorflows_shards_load(tmp_path: Path) -> None:
    write_config(tmp_path, record("bert")["classifier"]["config"])
    write_weights(tmp_path, tensors_of("bert"), shards=3, layout="tf")
    assert_gives_tensorflows_logits(load(tmp_path, fresh_head=False), "bert")


def test_a_tensor_of_another_shape_is_refused(tmp_path: Path) -> None:
    write_config(tmp_path, record("bert")["classifier"]["config"])
    tensors = tensors_of("bert")
    name = "bert/encoder/layer_._1/attention/self/key/kernel:0"
    tensors[name] = tensors[name][:, :8]
    write_weights(tmp_path, tensors, layout="tf")
    with pytest.raises(InputError, match=r"layer\.1\.attention\.self\.key\.weight: \[16, 8\] inst"):
        load(tmp_path)
