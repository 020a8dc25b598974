"""A model and a dataset small enough that every test trains for real."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path
from typing import Any

WORDS = ["good", "bad", "parcel", "late", "early", "money", "back", "open", "shop", "card"]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LABELS = ("delivery", "payment", "returns")
_OF_LABEL = {"delivery": "parcel", "payment": "card", "returns": "back"}


def write_model(folder: Path, **config: Any) -> Path:
    """A BERT of one layer, 16 wide, with a vocabulary of a dozen words and no weights."""
    folder.mkdir(parents=True)
    vocabulary = [*SPECIAL, *WORDS]
    write_tokenizer(folder, vocabulary)
    settings = {
        "model_type": "bert",
        "architectures": ["BertForSequenceClassification"],
        "vocab_size": len(vocabulary),
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "max_position_embeddings": 40,
        "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1,
        "type_vocab_size": 2,
        "initialize_from_config": True,
    }
    (folder / "config.json").write_text(json.dumps(settings | config))
    return folder


def write_tokenizer(folder: Path, vocabulary: list[str]) -> None:
    """BERT's tokenizer, in the files that Transformers 4 writes."""
    from tokenizers import AddedToken
    from tokenizers.implementations import BertWordPieceTokenizer

    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    numbered = {token: i for i, token in enumerate(vocabulary)}
    tokenizer = BertWordPieceTokenizer(numbered, strip_accents=None)
    special = [AddedToken(token, normalized=False, special=True) for token in SPECIAL]
    tokenizer.add_special_tokens(special)
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {f"{token[1:-1].lower()}_token": token for token in SPECIAL}
    flags = dict.fromkeys(("lstrip", "normalized", "rstrip", "single_word"), False)
    settings = {
        "added_tokens_decoder": {
            str(i): {"content": token, "special": True} | flags for i, token in enumerate(SPECIAL)
        },
        "do_lower_case": True,
        "extra_special_tokens": {},
        "model_max_length": int(1e30),
        "strip_accents": None,
        "tokenize_chinese_chars": True,
        "tokenizer_class": "BertTokenizer",
    }
    for name, content in (
        ("tokenizer_config.json", settings | names),
        ("special_tokens_map.json", names),
    ):
        (folder / name).write_text(json.dumps(content, indent=2))


def rows(count: int, seed: int = 0) -> list[dict[str, str]]:
    """Messages of 3 to 12 words; one of the words tells the label."""
    random_ = random.Random(seed)
    made = []
    for i in range(count):
        label = LABELS[i % len(LABELS)]
        words = random_.choices(
            [w for w in WORDS if w not in _OF_LABEL.values()], k=random_.randint(2, 11)
        )
        words.insert(random_.randint(0, len(words)), _OF_LABEL[label])
        made.append({"text": " ".join(words), "label": label})
    return made


def write_csv(path: Path, data: list[dict[str, Any]]) -> Path:
    """Rows as a CSV file."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(data[0]))
        writer.writeheader()
        writer.writerows(data)
    return path


def tokenize(folder: Path, **parameters: Any) -> Path:
    """Run load_data into a new folder, and return the tokenized dataset."""
    from kfp_finetune.components.load_data.dataset import load_data
    from kfp_finetune.components.load_data.parameters import Parameters

    load_data(Parameters(**parameters), str(folder / "tokenized"), str(folder / "data.html"))
    return folder / "tokenized"


def sentences(count: int, seed: int = 0) -> list[tuple[list[str], list[str]]]:
    """Words and tags of IOB2: money back is a payment, a shop a place."""
    random_ = random.Random(seed)
    tags_of = {"money": "B-payment", "back": "I-payment", "shop": "B-place"}
    made = []
    for _ in range(count):
        units = random_.choices([w for w in WORDS if w != "back"], k=random_.randint(3, 10))
        words = [w for unit in units for w in ([unit, "back"] if unit == "money" else [unit])]
        made.append((words, [tags_of.get(word, "O") for word in words]))
    return made


def write_conll(path: Path, data: list[tuple[list[str], list[str]]]) -> Path:
    """Sentences as a CoNLL file."""
    lines = ["".join(f"{w}\t{t}\n" for w, t in zip(*s, strict=True)) for s in data]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path
