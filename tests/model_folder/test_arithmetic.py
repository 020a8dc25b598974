"""Settings that change a model's computation: refused if not implemented, otherwise applied."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from kfp_finetune.components.artifacts import data_report
from kfp_finetune.components.artifacts import tokenized_dataset as artifact
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.dataset import load_data
from kfp_finetune.components.load_data.parameters import Parameters
from kfp_finetune.components.load_data.pretrained import read_config
from tests import tiny

PAIRS = [
    {"premise": row["text"], "hypothesis": row["text"][::-1], "label": row["label"]}
    for row in tiny.rows(40)
]


@pytest.fixture
def model(tiny_model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_model, tmp_path / "model"))


def change(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


@pytest.mark.parametrize(
    ("keys", "named"),
    [
        ({"position_embedding_type": "relative_key"}, "position_embedding_type 'relative_key'"),
        (
            {"position_embedding_type": "relative_key_query"},
            "position_embedding_type 'relative_key_query'",
        ),
        ({"is_decoder": True}, "is_decoder True"),
        ({"hidden_act": "softmax"}, "hidden_act 'softmax'"),
        ({"pruned_heads": {"0": [1]}}, "pruned_heads {'0': [1]}"),
    ],
)
def test_a_key_that_changes_the_arithmetic_is_refused_by_name(
    keys: dict[str, Any], named: str, model: Path
) -> None:
    change(model / "config.json", **keys)
    with pytest.raises(InputError) as caught:
        read_config(model)
    assert caught.value.found == f"the model uses unsupported settings: {named}"


@pytest.mark.parametrize(
    "keys",
    [{}, {"hidden_act": "gelu_pytorch_tanh"}, {"model_type": "roberta", "pad_token_id": 0}],
)
def test_implemented_values_are_accepted(keys: dict[str, Any], model: Path) -> None:
    config = json.loads((model / "config.json").read_text())
    if keys:
        config.pop("pad_token_id", None)
    (model / "config.json").write_text(json.dumps(config | keys))
    assert read_config(model)


def load(model: Path, tmp_path: Path, **given: Any) -> artifact.TokenizedDatasetManifest:
    dataset = str(tiny.write_csv(tmp_path / "pairs.csv", PAIRS))
    parameters = Parameters(dataset=dataset, model=str(model), **({"max_length": 24} | given))
    return load_data(parameters, str(tmp_path / "out"), str(tmp_path / "data.html"))


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({}, True),
        ({"type_vocab_size": 1}, False),
        ({"model_type": "roberta", "type_vocab_size": 1, "pad_token_id": 1}, False),
        ({"model_type": "distilbert"}, False),
    ],
)
def test_pairs_have_token_types_only_where_the_model_takes_them(
    keys: dict[str, Any], expected: bool, model: Path, tmp_path: Path
) -> None:
    change(model / "config.json", **keys)  # the tokenizer stays BERT's, which has them
    assert load(model, tmp_path).has_token_type_ids == expected
    columns = artifact.open_split(tmp_path / "out", "train").column_names
    assert ("token_type_ids" in columns) == expected


@pytest.mark.parametrize("value", [-1, "64", 0, 1.5, True, [512]])
def test_a_length_that_is_none_is_not_used(value: Any, model: Path, tmp_path: Path) -> None:
    change(model / "tokenizer_config.json", model_max_length=value)
    load(model, tmp_path)
    note = f"ignored the tokenizer's model_max_length: {value!r} is not a valid length"
    assert note in data_report.read(tmp_path / "out").notes
    written = json.loads((tmp_path / "out/tokenizer/tokenizer_config.json").read_text())
    assert written["model_max_length"] > 10**20
    with pytest.raises(InputError) as caught:
        load(model, tmp_path, max_length=10_000)
    assert "4 to 40 tokens" in caught.value.expected
