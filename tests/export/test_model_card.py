"""The Hub can read the card, and it has no local paths."""

from __future__ import annotations

import json
from typing import Any

import pytest
from huggingface_hub import ModelCard

from kfp_finetune.components.artifacts.data_report import DataReport
from kfp_finetune.components.artifacts.metrics import Metrics
from kfp_finetune.components.export.model_card import render_model_card
from tests.trained import manifest

METRICS = Metrics(
    split="test",
    num_examples=1234,
    metrics={"accuracy": 0.91234, "macro_f1": 0.5, "loss": 0.25},
    per_class=[],
    confusion_matrix=[],
    label_names=["negative", "neutral", "positive"],
)
DATA = DataReport(
    dataset="train.csv",
    model="bert",
    rows_read={"train": 100, "validation": 0, "test": 1234},
    rows_kept={"train": 100, "validation": 0, "test": 1234},
    rows_dropped={},
    problem_type="single_label_classification",
    labels={"negative": {"train": 60}, "a|b [x](y) <i>": {"train": 40, "test": 1234}},
    columns={},
    max_length=24,
    length_percentiles={},
    truncated_share=0.125,
    max_length_for_1_percent=30,
    unknown_token_share=0.0,
    notes=[],
    warnings=[],
    examples=[],
)


def test_the_content_of_the_card() -> None:
    text = render_model_card("someone/texts", manifest(temperature=1.5), METRICS, DATA)
    card = ModelCard(text)
    assert card.data.to_dict()["pipeline_tag"] == "text-classification"
    assert card.data.library_name == "transformers"
    assert card.data.base_model == "google-bert/bert-base-uncased"
    assert card.data.metrics == ["accuracy", "f1"]
    results = {result.metric_name: result.metric_value for result in card.data.eval_results}
    assert results == {"accuracy": 0.91234, "macro f1": 0.5}
    assert 'pipeline("text-classification", model="someone/texts", truncation=True' in text
    assert "| accuracy | 0.912 |" in text and "| loss | 0.250 |" in text
    assert "the 1,234 examples of the test split" in text
    assert "| all | 100 | 1,234 |\n" in text
    assert "| a\\|b \\[x\\](y) \\<i\\> | 40 | 1,234 |\n" in text
    assert "12.5 % of the texts were truncated at 24 tokens" in text
    assert "divide the logits by a temperature of\n1.5" in text
    assert "polynomial decay (power 1) from 5e-05 to 0 over 30 steps" in text
    assert "30 of 30 planned steps" in text
    assert "somebody" not in text and "secret" not in text
    assert "\n\n\n" not in text


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {
                "problem_type": "multi_label_classification",
                "thresholds": [0.5, 0.25, 0.125],
                "dataset": "someone/emotions",
            },
            ["any of 3 labels", "negative 0.5, neutral 0.25, positive 0.125.", "someone/emotions"],
        ),
        (
            {"problem_type": "regression", "label_names": [], "base_model": "/somebody/bert"},
            ["predicts a number for each text", "It is bert, fine-tuned on train.csv"],
        ),
        (
            {"text_pair_column": "hypothesis", "dataset": "https://me:pw@host/data.csv?key=1"},
            ['"text_pair": "The second text."', "https://host/data.csv", "a pair of texts"],
        ),
    ],
)
def test_the_card_of_other_models(changes: dict[str, Any], said: list[str]) -> None:
    text = render_model_card("a/b", manifest(**changes))
    metadata = ModelCard(text).data.to_dict()
    assert metadata.get("datasets") == ("someone/emotions" if changes.get("thresholds") else None)
    assert ("base_model" in metadata) == (changes.get("label_names") is None)
    for part in said:
        assert part in text
    assert "It has not been evaluated." in text
    assert "pw" not in text and "somebody" not in text


def test_control_characters_in_data_are_removed() -> None:
    """Neither those for terminals nor those for the direction of text."""
    label = "gut\u202e\u2066\x1b[2J\x00\u2028<script>&lt;"
    data = DATA.model_copy(update={"labels": {label: {"train": 1}}, "rows_kept": {"train": 1}})
    changes = {"label_names": [label, "b", "c"], "dataset": f"/x/{label}", "base_model": label}
    text = render_model_card(f"me/{label}", manifest(**changes), METRICS, data)
    rendered = text.partition("\n---\n")[2].replace(json.dumps(f"me/{label}"), "")
    assert not set(text) & set("\u202e\u2066\x1b\x00\u2028")
    assert "gut\ufffd\ufffd" in rendered and "<script>" not in rendered.replace("\\<", "")
    ModelCard(text)
