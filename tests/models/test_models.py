"""PyTorch's checkpoints, loaded without PyTorch, give its answers; what is saved loads back."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import load_file

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data import pretrained
from kfp_finetune.components.models import forward, registry, saving
from kfp_finetune.components.models.classifier import Classifier
from kfp_finetune.components.models.names import weights_of
from tests import checkpoints
from tests.checkpoints import LABELS, fill, record, write_checkpoint, write_config, write_weights
from tests.models.loaded import features, load

FAMILIES = checkpoints.FAMILIES


def weights(model: Classifier) -> dict[str, np.ndarray]:
    return {weight.name: np.array(weight.variable) for weight in weights_of(model)}


def assert_same_weights(a: Classifier, b: Classifier) -> None:
    first, second = weights(a), weights(b)
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


def assert_gives_pytorchs_logits(model: Classifier, family: str) -> None:
    logits = forward.forward(model)(features(family)).numpy()
    expected = np.reshape(record(family)["classifier"]["logits"], logits.shape)
    np.testing.assert_allclose(logits, expected, atol=1e-5, rtol=0)


def assert_gives_pytorchs_hidden_state(model: Classifier, family: str, kind: str) -> None:
    asked = features(family)
    mask = asked["attention_mask"].numpy()
    expected = np.reshape(record(family)[kind]["last_hidden_state"], [*mask.shape, -1])
    # Outputs on padding have no meaning, and DeBERTa fills them differently.
    real = mask[..., np.newaxis]
    hidden = model.encoder(asked).numpy()
    np.testing.assert_allclose(hidden * real, expected * real, atol=1e-5, rtol=0)


def update_by_gradient_descent(model: Classifier, asked: Mapping[str, tf.Tensor]) -> None:
    """One update, in a graph."""
    logits_of = forward.logits_of(model)

    @tf.function(autograph=False)
    def update() -> None:
        variables = [variable.value for variable in model.trainable_variables]
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.nn.log_softmax(logits_of(asked, training=True))[:, 0])
        for variable, gradient in zip(variables, tape.gradient(loss, variables), strict=True):
            variable.assign_add(0.1 * tf.convert_to_tensor(gradient))

    update()


def test_every_family_is_held_against_a_recorded_one() -> None:
    assert checkpoints.FAMILIES == registry.FAMILIES


@pytest.mark.parametrize(("family", "shards"), [*((family, 1) for family in FAMILIES), ("bert", 3)])
def test_a_classifier_gives_pytorchs_logits(family: str, shards: int, tmp_path: Path) -> None:
    notes: list[str] = []
    folder = write_checkpoint(tmp_path, family, "classifier", shards)
    model = load(folder, fresh_head=False, note=notes.append)
    assert_gives_pytorchs_logits(model, family)
    assert notes == []
    described = saving.config_of(model)
    assert described["id2label"] == {str(i): name for i, name in enumerate(LABELS)}
    assert described["label2id"] == {name: i for i, name in enumerate(LABELS)}
    assert described["problem_type"] == "single_label_classification"


@pytest.mark.parametrize("family", FAMILIES)
def test_a_language_model_in_shards_gives_pytorchs_hidden_state(
    family: str, tmp_path: Path
) -> None:
    notes: list[str] = []
    model = load(write_checkpoint(tmp_path, family, "masked_lm", 2), note=notes.append)
    assert_gives_pytorchs_hidden_state(model, family, "masked_lm")
    assert notes[-1].startswith("new weights initialised with seed 1: ")
    assert notes[-1].endswith("(the checkpoint has none)")


@pytest.mark.parametrize("family", FAMILIES)
def test_an_encoder_trained_and_saved_loads_back_bit_for_bit(family: str, tmp_path: Path) -> None:
    notes: list[str] = []
    model = load(write_checkpoint(tmp_path / "base", family, "base"), note=notes.append)
    assert_gives_pytorchs_hidden_state(model, family, "base")
    assert len(notes) == 1 and "encoder" not in notes[0] and "embeddings" not in notes[0]
    asked = features(family)
    before = weights(model)
    update_by_gradient_descent(model, asked)
    assert sum((weights(model)[name] != before[name]).any() for name in before) > 10

    saving.save(model, tmp_path / "base", tmp_path / "saved")
    again = load(tmp_path / "saved", seed=2, fresh_head=False)
    assert_same_weights(model, again)
    np.testing.assert_array_equal(model(asked), again(asked))


def test_the_graph_computes_what_the_model_does(tmp_path: Path) -> None:
    model, asked = load(write_checkpoint(tmp_path, "bert")), features("bert")
    computed = forward.forward(model)
    np.testing.assert_allclose(computed(asked), model(asked), atol=1e-6)
    one = {name: ids[:1, :4] for name, ids in asked.items()}
    assert computed(one).shape == (1, 3)


def test_the_tokenizers_files_are_saved_too(tiny_model: Path, tmp_path: Path) -> None:
    saving.save(load(tiny_model), tiny_model, tmp_path)
    assert pretrained.load_tokenizer(tmp_path).get_vocab()
    # A saved model that loses its weights must not silently be drawn anew.
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(InputError, match="the folder has no weights"):
        load(tmp_path)


def test_keys_that_name_code_are_not_saved(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path, "bert")
    hostile = {
        "trust_remote_code": True,
        "_attn_implementation_internal": "evil/kernel",
        "attn_implementation": "evil/kernel",
        "experts_implementation": "evil/kernel",
        "custom_pipelines": {"x": {"impl": "evil.Pipeline"}},
        "auto_map": {"AutoModel": "evil.Model"},
        "a_key_of_the_future": ["evil/kernel"],
        "_flag": 1,
    }
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | hostile | {"eos_token_id": 3}))
    saved = saving.config_of(load(folder))
    assert hostile.keys() & saved.keys() == set()
    assert saved["eos_token_id"] == 3 and saved["hidden_act"] == "gelu"


def test_old_names_and_buffers_are_understood(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path, "bert")
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): tensor
        for name, tensor in load_file(folder / "model.safetensors").items()
    }
    old["bert.embeddings.position_ids"] = np.arange(32, dtype=np.int64)[np.newaxis]
    write_weights(folder, old)
    notes: list[str] = []
    assert_gives_pytorchs_logits(load(folder, note=notes.append), "bert")
    assert notes == []


def test_half_precision_becomes_float32(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path, "bert")
    half = {n: t.astype(np.float16) for n, t in load_file(folder / "model.safetensors").items()}
    write_weights(folder, half)
    model = load(folder)
    assert {weight.variable.dtype for weight in weights_of(model)} == {"float32"}
    word_embeddings = half["bert.embeddings.word_embeddings.weight"].astype(np.float32)
    np.testing.assert_array_equal(model.word_embeddings.table, word_embeddings)


def test_the_head_is_fresh_for_another_number_of_labels(tmp_path: Path) -> None:
    notes: list[str] = []
    folder = write_checkpoint(tmp_path, "roberta")
    model = load(folder, num_labels=5, label_names=list("abcde"), note=notes.append)
    assert notes == [
        "new weights initialised with seed 1: classifier.out_proj.bias, classifier.out_proj.weight"
        " (the checkpoint's head has a different number of labels: [3] instead of [5])"
    ]
    assert model(features("roberta")).shape == (2, 5)
    dense = fill(record("roberta")["classifier"]["tensors"])["classifier.dense.weight"]
    np.testing.assert_array_equal(model.head.pooler.kernel, dense.T)


def test_the_head_is_fresh_for_other_labels_and_kept_for_unnamed_ones(tmp_path: Path) -> None:
    notes: list[str] = []
    folder = write_checkpoint(tmp_path, "bert")
    model = load(folder, label_names=["x", "y", "z"], note=notes.append)
    assert notes == [
        "new weights initialised with seed 1: classifier.bias, classifier.weight (the checkpoint's"
        " head is for the labels negative, neutral, positive)"
    ]
    assert not np.any(model.head.logits.bias)
    config = record("bert")["classifier"]["config"]
    write_config(folder, config | {"id2label": {i: f"LABEL_{i}" for i in range(3)}})
    kept = load(folder, label_names=["x", "y", "z"], fresh_head=False)
    assert_gives_pytorchs_logits(kept, "bert")


@pytest.mark.parametrize(("lacking", "is_given"), [("weight", True), ("bias", False)])
def test_the_bias_of_a_head_is_given_only_with_new_weights(
    tmp_path: Path, lacking: str, is_given: bool
) -> None:
    """Weights that were trained without a bias have learned the shares of the labels."""
    folder = write_checkpoint(tmp_path, "bert")
    tensors = load_file(folder / "model.safetensors")
    own = tensors.pop("classifier.bias")
    if lacking == "weight":
        del tensors["classifier.weight"]
    write_weights(folder, tensors)
    given = np.array([1, 2, 3], np.float32)
    head = load(folder, initial_bias=given).head.logits
    np.testing.assert_array_equal(head.bias, given if is_given else 0 * own)


def test_a_fresh_head_can_be_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        load(write_checkpoint(tmp_path, "bert", "base"), fresh_head=False)
    assert str(caught.value) == (
        "the model was not trained for these labels: the checkpoint has none\n"
        f"  where:    {tmp_path}\n"
        "  expected: a head for 3 labels (negative, neutral, positive)\n"
        "  remedy:   train the model first, or give one that was trained for these labels"
    )


HASH_IN_A_FRESH_PROCESS = """
import sys
from pathlib import Path
from tests.models.loaded import load
from tests.models.test_models import digest
print(digest(load(Path(sys.argv[1]), seed=7)))
"""


def digest(model: Classifier) -> str:
    values = weights(model)
    return hashlib.sha256(b"".join(values[name].tobytes() for name in sorted(values))).hexdigest()


def test_fresh_weights_depend_on_the_seed_alone(tiny_model: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", HASH_IN_A_FRESH_PROCESS, str(tiny_model)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert digest(load(tiny_model, seed=7)) == run.stdout.split()[-1]
    assert digest(load(tiny_model, seed=7)) == run.stdout.split()[-1]
    assert digest(load(tiny_model, seed=8)) != run.stdout.split()[-1]


@pytest.mark.real
def test_a_real_sentence_encoder_lacks_only_the_classifier(shared: Path) -> None:
    notes: list[str] = []
    model = load(shared / "models" / "all-MiniLM-L6-v2", seed=42, note=notes.append)
    assert notes == [
        "new weights initialised with seed 42: classifier.bias, classifier.weight"
        " (the checkpoint has none)"
    ]
    assert sum(value.size for value in weights(model).values()) == 22_713_216 + 3 * 385
