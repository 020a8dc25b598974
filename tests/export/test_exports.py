"""An export has the model's logits where it is used, or does not exist."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from kfp_finetune.components.artifacts import model as model_artifact
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.export import exports, onnx_model, saved_model
from kfp_finetune.components.export.model_card import render_model_card
from kfp_finetune.components.models import loading, registry
from tests.checkpoints import FAMILIES, LABELS, write_config
from tests.models.parity.cases import CONFIGURATIONS, drawn
from tests.trained import write_trained

KINDS = {
    "text-classification": "single_label_classification",
    "token-classification": "entity_recognition",
}
# For the tokenizer and the widest batch; weights large enough for logits that say something.
SIZES = {"vocab_size": 40, "max_position_embeddings": 40, "initializer_range": 0.3}
FORMATS = {"pt": "model.safetensors", "savedmodel": "saved_model.pb", "onnx": "model.onnx"}


def export(model: Path, output: Path, form: str) -> float:
    read = model_artifact.read(model)
    card = render_model_card(str(output), read, form=form)
    return exports.export(model, read, card, form, output)


@pytest.fixture(scope="module")
def model(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_trained(tmp_path_factory.mktemp("trained") / "model", tiny_model)


@pytest.mark.parametrize("form", FORMATS)
def test_an_export_is_self_contained(form: str, model: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()  # an empty one may be there
    assert export(model, tmp_path / "out", form) <= 1e-5
    files = {path.name for path in (tmp_path / "out").iterdir()}
    assert {FORMATS[form], "README.md", "config.json", "tokenizer.json"} <= files
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["architectures"] == ["BertForSequenceClassification"]
    assert config["id2label"] == {"0": "negative", "1": "neutral", "2": "positive"}


@pytest.mark.slow
@pytest.mark.parametrize("form", ["savedmodel", "onnx"])
def test_the_code_on_the_card_runs(form: str, model: Path, tmp_path: Path) -> None:
    export(model, tmp_path / "out", form)
    card = (tmp_path / "out" / "README.md").read_text()
    (lines,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    said = subprocess.run(
        [sys.executable, "-c", lines], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert said.returncode == 0, said.stderr
    assert len(re.findall(r"-?\d+\.\d+", said.stdout)) == 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "form"),
    [*((family, "pt") for family in FAMILIES), ("bert", "savedmodel"), ("bert", "onnx")],
)
def test_every_recorded_checkpoint(
    family: str, form: str, tiny_model: Path, tmp_path: Path
) -> None:
    pair = {"text_pair_column": "other"} if family == "bert" else {}
    model = write_trained(tmp_path / "model", tiny_model, family, **pair)
    assert export(model, tmp_path / "out", form) <= 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("family", registry.FAMILIES)
def test_every_family_and_both_heads(family: str, tmp_path: Path) -> None:
    _, *configs = drawn(CONFIGURATIONS[family](), 6)  # the first one is the least
    # Every layer adds as much work, and nothing that ONNX does not have already.
    configs.sort(key=lambda c: registry.read_config(c, tmp_path).num_hidden_layers)
    for config, (task, kind) in zip(configs, KINDS.items(), strict=False):
        write_config(tmp_path / task, {**config, **SIZES, "initialize_from_config": True})
        network = loading.load_classifier(
            tmp_path / task,
            num_labels=len(LABELS),
            label_names=LABELS,
            problem_type=kind,
            per_token=task == "token-classification",
            seed=1,
        )
        mask = np.arange(24) < np.linspace(3, 24, 8).astype(int)[:, np.newaxis]
        ids = np.random.default_rng(0).integers(0, SIZES["vocab_size"], mask.shape)
        ids = np.where(mask, ids, network.config.pad_token_id or 0)
        features = {"input_ids": ids.astype(np.int32), "attention_mask": mask.astype(np.int32)}
        expected = network({name: tf.constant(value) for name, value in features.items()}).numpy()
        for written in (saved_model, onnx_model):
            folder = tmp_path / f"{task}-{written.__name__}"
            folder.mkdir()
            written.write(network, list(features), folder)
            found = written.logits(folder, features)
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4, err_msg=str(config))


def test_a_wrong_export_leaves_no_file(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = saved_model.logits
    monkeypatch.setattr(saved_model, "logits", lambda *given: right(*given) + np.float32(1e-3))
    with pytest.raises(RuntimeError, match=r"export differ by 0\.00"):
        export(model, tmp_path / "out", "savedmodel")
    assert not list(tmp_path.iterdir())


def test_invalid_output_folders_are_refused(model: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("years of work")
    (tmp_path / "file").write_text("")
    for output, found in {
        "full": "the folder is not empty",
        "file": "there is already a file",
        "nowhere/out": "its parent folder does not exist",
        "file/out": "its parent folder does not exist",
    }.items():
        with pytest.raises(InputError, match=found):
            export(model, tmp_path / output, "pt")
    assert (tmp_path / "full" / "thesis.tex").read_text() == "years of work"


def test_truncated_weights_leave_no_file(tiny_model: Path, tmp_path: Path) -> None:
    folder = write_trained(tmp_path / "model", tiny_model)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(InputError, match="the file is damaged"):
        export(folder, tmp_path / "out", "pt")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_missing_onnx_packages_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_model, "find_spec", lambda name: None)
    with pytest.raises(InputError) as caught:
        onnx_model.check_installed()
    assert caught.value.found == "not installed: tf2onnx, onnxruntime"
    assert caught.value.remedy == "pip install 'kfp-finetune[onnx]'"
