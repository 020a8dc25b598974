"""Saved weights equal those of PyTorch's classes to the last bit; without PyTorch."""

from __future__ import annotations

import csv
import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from scipy.special import softmax

from kfp_finetune.components.load_data import pretrained
from kfp_finetune.components.model_folder.weight_files import WEIGHTS
from kfp_finetune.components.models import forward, saving
from tests.checkpoints import FAMILIES, LABELS, write_checkpoint
from tests.models.loaded import load


@pytest.mark.parametrize("family", FAMILIES)
def test_a_checkpoint_comes_back_as_the_file_it_was(family: str, tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "pytorch", family)
    saving.save(load(folder), folder, tmp_path / "saved")
    assert (tmp_path / "saved" / WEIGHTS).read_bytes() == (folder / WEIGHTS).read_bytes()
    saved, config = (
        json.loads((place / "config.json").read_text()) for place in (tmp_path / "saved", folder)
    )
    # A text that the family does not read could name code to whoever loads the model next.
    for key in ("transformers_version", "summary_activation", "summary_type"):
        config.pop(key, None)
    # Keys that have PyTorch's default are written too.
    assert saved == saved | config | {"problem_type": "single_label_classification"}


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0o077, 0o600)])
def test_who_may_read_the_model_follows_the_umask(umask: int, mode: int, tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "pytorch", "bert")
    before = os.umask(umask)
    try:
        saving.save(load(folder), folder, tmp_path / "saved")
    finally:
        os.umask(before)
    modes = {file.name: file.stat().st_mode & 0o777 for file in (tmp_path / "saved").iterdir()}
    assert WEIGHTS in modes and set(modes.values()) == {mode}


@pytest.mark.real
def test_a_real_encoder_comes_back_bit_for_bit(shared: Path, tmp_path: Path) -> None:
    folder = shared / "models" / "all-MiniLM-L6-v2"
    saving.save(load(folder), folder, tmp_path)
    before, after = load_file(folder / WEIGHTS), load_file(tmp_path / WEIGHTS)
    del before["embeddings.position_ids"]  # a buffer of old versions: 0, 1, 2, ...
    head = {"classifier.weight", "classifier.bias"}
    assert after.keys() == {f"bert.{name}" for name in before} | head
    for name, tensor in before.items():
        assert tensor.dtype == after[f"bert.{name}"].dtype
        np.testing.assert_array_equal(tensor, after[f"bert.{name}"], err_msg=name)


@pytest.mark.slow
@pytest.mark.real
def test_pytorch_and_its_pipeline_give_our_answers_to_real_texts(
    shared: Path, tmp_path: Path
) -> None:
    python = os.environ.get("TORCH_PYTHON")
    if not python:
        pytest.skip("TORCH_PYTHON names no Python that has PyTorch; .ci/run makes one")
    with (shared / "data/banking77/banking_data/test.csv").open(newline="") as file:
        texts = [row["text"] for row in csv.DictReader(file)][::30][:100]
    encoder = shared / "models" / "all-MiniLM-L6-v2"
    model = load(encoder)
    saving.save(model, encoder, tmp_path / "real")
    (tmp_path / "real" / "asked.json").write_text(json.dumps(texts))
    batch = pretrained.load_tokenizer(encoder)(
        texts, padding=True, truncation=True, max_length=128, return_tensors="np"
    )
    logits = forward.forward(model)(dict(batch)).numpy()

    script = Path(__file__).with_name("pytorch_answers.py")
    subprocess.run([python, script, tmp_path], check=True)
    theirs = json.loads((tmp_path / "real" / "answered.json").read_text())
    assert np.ptp(logits, axis=0).min() > 1e-3  # there is something to compare
    np.testing.assert_allclose(theirs["logits"], logits, atol=1e-5, rtol=0)
    expected = dict(zip(LABELS, softmax(logits[0]), strict=True))
    said = {answer["label"]: answer["score"] for answer in theirs["pipeline"]}
    assert said == pytest.approx(expected, abs=1e-5)
