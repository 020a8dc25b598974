"""PyTorch's checkpoints, loaded without PyTorch, give its answers; what is saved loads back."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import load_file
from transformers import TFAutoModelForSequenceClassification

from kfp_finetune.components.build_optimizer.optimizers import build_optimizer
from kfp_finetune.components.build_optimizer.parameters import build_optimizer_config
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.finetune import models
from kfp_finetune.components.finetune.trainer import Trainer
from kfp_finetune.components.load_data import pretrained
from kfp_finetune.components.tasks import text_classification
from kfp_finetune.components.tasks.problem_types import SINGLE_LABEL
from tests import checkpoints
from tests.checkpoints import LABELS, fill, record, write_checkpoint, write_config, write_weights


def load(folder: Path, **changes: Any) -> Any:
    settings: dict[str, Any] = {
        "num_labels": 3,
        "label_names": LABELS,
        "problem_type": "single_label_classification",
        "seed": 1,
    }
    return models.load_classifier(folder, **(settings | changes))


def features(family: str) -> dict[str, tf.Tensor]:
    return {name: tf.constant(ids) for name, ids in record(family)["inputs"].items()}


def weights(model: Any) -> dict[str, np.ndarray]:
    """What the logits depend on: MPNet's head makes no use of the pooler, and it is not saved."""
    found = {weight.name.partition("/")[2]: weight.numpy() for weight in model.weights}
    unused = "mpnet/pooler/" if model.config.model_type == "mpnet" else "-"
    return {name: value for name, value in found.items() if not name.startswith(unused)}


def assert_same_weights(a: Any, b: Any) -> None:
    first, second = weights(a), weights(b)
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


def assert_gives_pytorchs_logits(model: Any, family: str) -> None:
    logits = models.forward(model)(features(family)).numpy()
    expected = np.reshape(record(family)["classifier"]["logits"], logits.shape)
    np.testing.assert_allclose(logits, expected, atol=1e-5, rtol=0)


def assert_gives_pytorchs_hidden_state(model: Any, family: str, kind: str) -> None:
    asked = features(family)
    hidden = getattr(model, model.base_model_prefix)(asked)[0].numpy()
    mask = asked["attention_mask"].numpy()
    expected = np.reshape(record(family)[kind]["last_hidden_state"], [*mask.shape, -1])
    # The last layer may be computed for the first token only.
    expected, mask = expected[:, : hidden.shape[1]], mask[:, : hidden.shape[1]]
    # What stands on padding means nothing, and DeBERTa fills it differently.
    real = mask[..., np.newaxis]
    np.testing.assert_allclose(hidden * real, expected * real, atol=1e-5, rtol=0)


def update_by_gradient_descent(model: Any, asked: dict[str, tf.Tensor]) -> None:
    """One update, in a graph, as finetune makes it."""
    trainer = Trainer(model, num_train_steps=1)
    optimizer = build_optimizer(build_optimizer_config(1, learning_rate=0.1))
    trainer.compile(optimizer=optimizer, loss=text_classification.loss(SINGLE_LABEL))
    update = {
        "features": {name: ids[tf.newaxis] for name, ids in asked.items()},
        "labels": tf.constant([[0, 2]]),
        "weights": tf.ones([1, 2]),
        "rows": tf.constant([[0, 1]]),
    }
    trainer.fit(tf.data.Dataset.from_tensors(update), verbose=0)


def test_every_family_is_held_against_a_recorded_one() -> None:
    assert checkpoints.FAMILIES == pretrained.FAMILIES


@pytest.mark.parametrize(
    ("family", "shards"), [*((family, 1) for family in pretrained.FAMILIES), ("bert", 3)]
)
def test_a_classifier_gives_pytorchs_logits(family: str, shards: int, tmp_path: Path) -> None:
    notes: list[str] = []
    folder = write_checkpoint(tmp_path, family, "classifier", shards)
    model = load(folder, fresh_head=False, note=notes.append)
    assert_gives_pytorchs_logits(model, family)
    assert notes == []
    assert model.config.id2label == dict(enumerate(LABELS))
    assert model.config.label2id == {name: i for i, name in enumerate(LABELS)}
    assert model.config.problem_type == "single_label_classification"


@pytest.mark.parametrize("family", pretrained.FAMILIES)
def test_a_language_model_in_shards_gives_pytorchs_hidden_state(
    family: str, tmp_path: Path
) -> None:
    notes: list[str] = []
    model = load(write_checkpoint(tmp_path, family, "masked_lm", 2), note=notes.append)
    assert_gives_pytorchs_hidden_state(model, family, "masked_lm")
    assert notes[-1].startswith("fresh, drawn with seed 1: ")
    assert notes[-1].endswith("(the checkpoint has none)")


@pytest.mark.parametrize("family", pretrained.FAMILIES)
def test_an_encoder_trained_and_saved_loads_back_bit_for_bit(family: str, tmp_path: Path) -> None:
    notes: list[str] = []
    model = load(write_checkpoint(tmp_path / "base", family, "base"), note=notes.append)
    assert_gives_pytorchs_hidden_state(model, family, "base")
    assert len(notes) == 1 and "encoder" not in notes[0] and "embeddings" not in notes[0]
    asked = features(family)
    before = weights(model)
    update_by_gradient_descent(model, asked)
    assert sum((weights(model)[name] != before[name]).any() for name in before) > 10

    models.save(model, tmp_path / "base", tmp_path / "saved")
    again = load(tmp_path / "saved", seed=2, fresh_head=False)
    assert_same_weights(model, again)
    np.testing.assert_array_equal(model(asked).logits, again(asked).logits)


def test_the_graph_computes_what_the_model_does(tmp_path: Path) -> None:
    model, asked = load(write_checkpoint(tmp_path, "bert")), features("bert")
    forward = models.forward(model)
    np.testing.assert_allclose(forward(asked), model(asked).logits, atol=1e-6)
    one = {name: ids[:1, :4] for name, ids in asked.items()}
    assert forward(one).shape == (1, 3)


def test_tensorflows_hdf5_file_loads_where_there_is_no_safetensors(tmp_path: Path) -> None:
    model = load(write_checkpoint(tmp_path / "base", "deberta-v2", "base"))
    model.save_pretrained(tmp_path / "saved", safe_serialization=False)
    assert (tmp_path / "saved" / "tf_model.h5").is_file()
    assert_same_weights(model, load(tmp_path / "saved", seed=2, fresh_head=False))


def test_tensorflows_shards_load(tmp_path: Path) -> None:
    model = load(write_checkpoint(tmp_path / "base", "bert", "base"))
    model.save_pretrained(tmp_path / "saved", safe_serialization=True, max_shard_size="4KB")
    assert len(list((tmp_path / "saved").glob("model-*.safetensors"))) > 2
    assert_same_weights(model, load(tmp_path / "saved", seed=2, fresh_head=False))


def test_the_tokenizers_files_are_saved_too(tiny_model: Path, tmp_path: Path) -> None:
    models.save(load(tiny_model), tiny_model, tmp_path)
    assert pretrained.load_tokenizer(tmp_path).get_vocab()
    # A saved model that loses its weights must not silently be drawn anew.
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(InputError, match="the folder has no weights"):
        load(tmp_path)


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
    assert {weight.dtype for weight in model.weights} == {tf.float32}
    word_embeddings = half["bert.embeddings.word_embeddings.weight"].astype(np.float32)
    np.testing.assert_array_equal(model.bert.embeddings.weight, word_embeddings)


def test_the_head_is_fresh_for_another_number_of_labels(tmp_path: Path) -> None:
    notes: list[str] = []
    folder = write_checkpoint(tmp_path, "roberta")
    model = load(folder, num_labels=5, label_names=list("abcde"), note=notes.append)
    assert notes == [
        "fresh, drawn with seed 1: classifier.out_proj.bias, classifier.out_proj.weight (the "
        "checkpoint's is for another number of labels: [3] instead of [5])"
    ]
    assert model(features("roberta")).logits.shape == (2, 5)
    dense = fill(record("roberta")["classifier"]["tensors"])["classifier.dense.weight"]
    np.testing.assert_array_equal(model.classifier.dense.kernel, dense.T)


def test_the_head_is_fresh_for_other_labels_and_kept_for_unnamed_ones(tmp_path: Path) -> None:
    notes: list[str] = []
    folder = write_checkpoint(tmp_path, "bert")
    model = load(folder, label_names=["x", "y", "z"], note=notes.append)
    assert notes == [
        "fresh, drawn with seed 1: classifier.bias, classifier.weight (the checkpoint's is for the "
        "labels negative, neutral, positive)"
    ]
    assert not model.classifier.bias.numpy().any()
    config = record("bert")["classifier"]["config"]
    write_config(folder, config | {"id2label": {i: f"LABEL_{i}" for i in range(3)}})
    kept = load(folder, label_names=["x", "y", "z"], fresh_head=False)
    assert_gives_pytorchs_logits(kept, "bert")


def test_a_fresh_head_can_be_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        load(write_checkpoint(tmp_path, "bert", "base"), fresh_head=False)
    assert str(caught.value) == (
        "the model has not been trained for these labels: the checkpoint has none\n"
        f"  where:    {tmp_path}\n"
        "  expected: a head for 3 labels (negative, neutral, positive)\n"
        "  remedy:   train it first, or give a model that has been trained for them"
    )


HASH_IN_A_FRESH_PROCESS = """
import sys
from pathlib import Path
from tests.finetune.test_models import digest, load
print(digest(load(Path(sys.argv[1]), seed=7)))
"""


def digest(model: Any) -> str:
    return hashlib.sha256(b"".join(w.numpy().tobytes() for w in model.weights)).hexdigest()


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


def test_transformers_still_cannot_do_it(tmp_path: Path) -> None:
    """When this fails, transformers#40028 is mended: `weights.Checkpoint` may go."""
    with pytest.raises(TypeError, match="object is not iterable"):
        TFAutoModelForSequenceClassification.from_pretrained(write_checkpoint(tmp_path, "bert"))


@pytest.mark.real
def test_a_real_sentence_encoder_lacks_only_the_classifier(shared: Path) -> None:
    notes: list[str] = []
    model = load(shared / "models" / "all-MiniLM-L6-v2", seed=42, note=notes.append)
    assert notes == [
        "fresh, drawn with seed 42: classifier.bias, classifier.weight (the checkpoint has none)"
    ]
    assert model.num_parameters() == 22_713_216 + 3 * 385
