"""The bundled sample is what its README says, and fit to learn from."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from pathlib import Path

import pytest
import yaml
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from transformers import AutoTokenizer

SAMPLE = Path(__file__).parents[2] / "pipelines" / "finetune" / "sample"


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    with (SAMPLE / "messages.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_there_are_enough_messages_of_every_intent(rows: list[dict[str, str]]) -> None:
    counts = Counter(row["label"] for row in rows)
    assert len(rows) >= 1_500
    assert 6 <= len(counts) <= 8
    assert min(counts.values()) >= 150
    assert all(3 <= len(row["text"].split()) <= 40 for row in rows)
    readme = (SAMPLE / "README.md").read_text(encoding="utf-8")
    assert dict(re.findall(r"^\| (\w+) \| (\d+) \|$", readme, re.MULTILINE)) == {
        label: str(count) for label, count in counts.items()
    }


def test_no_message_is_nearly_another(rows: list[dict[str, str]]) -> None:
    """Two messages are near-duplicates if 80 % of the words in either are in both."""
    words = [frozenset(re.findall(r"\w+", row["text"].lower())) for row in rows]
    near = {
        i
        for a in range(len(words))
        for b in range(a)
        if 0.8 <= len(words[a]) / len(words[b]) <= 1.25
        and len(words[a] & words[b]) >= 0.8 * len(words[a] | words[b])
        for i in (a, b)
    }
    assert len(near) < 0.01 * len(rows)


def test_counting_words_does_well_but_not_perfectly(rows: list[dict[str, str]]) -> None:
    model = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression(C=10))
    texts, labels = [row["text"] for row in rows], [row["label"] for row in rows]
    assert 0.85 < cross_val_score(model, texts, labels, cv=3).mean() < 0.985


def test_the_settings_point_at_the_sample(rows: list[dict[str, str]]) -> None:
    settings = yaml.safe_load((SAMPLE / "sample.yaml").read_text())
    assert (SAMPLE / settings["dataset"]).is_file()
    assert (SAMPLE / settings["model"] / "config.json").is_file()
    assert {settings["text_column"], settings["label_column"]} == set(rows[0])


def test_the_tokenizer_knows_the_messages(rows: list[dict[str, str]]) -> None:
    tokenizer = AutoTokenizer.from_pretrained(SAMPLE / "model")
    config = json.loads((SAMPLE / "model" / "config.json").read_text())
    assert config["vocab_size"] == len(tokenizer)
    ids = tokenizer([row["text"] for row in rows])["input_ids"]
    settings = yaml.safe_load((SAMPLE / "sample.yaml").read_text())
    assert max(map(len, ids)) <= settings["max_length"]
    tokens = [token for row in ids for token in row]
    assert tokens.count(tokenizer.unk_token_id) / len(tokens) < 0.01
