"""Real datasets, with the row counts that their SOURCE.md says."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from kfp_finetune.components.load_data.opening import ReadOptions, open_source, split_names

pytestmark = pytest.mark.real

EMOTIONS = ("text", "labels", "id")
REAL: dict[str, tuple[str, str | None, tuple[str, ...] | None, int]] = {
    "banking77 train": ("banking77/banking_data/train.csv", None, None, 10_003),
    "banking77 test": ("banking77/banking_data/test.csv", None, None, 3_080),
    "banking77, the folder": ("banking77", "test", None, 3_080),
    "clinc150 train": ("clinc150/data/data_full.json", "train", ("text", "label"), 15_000),
    "clinc150 val": ("clinc150/data/data_full.json", "val", ("text", "label"), 3_000),
    "clinc150 test": ("clinc150/data/data_full.json", "test", ("text", "label"), 4_500),
    "clinc150 oos_test": ("clinc150/data/data_full.json", "oos_test", ("text", "label"), 1_000),
    "goemotions train": ("goemotions/data/original/train.tsv", None, EMOTIONS, 43_410),
    "goemotions dev": ("goemotions/data/original", "dev", EMOTIONS, 5_426),
    "goemotions test": ("goemotions/data/original", "test", EMOTIONS, 5_427),
    "sms_spam": ("sms_spam/data/sms.tsv", None, ("label", "text"), 5_574),
    "te_new_protocols train": ("te_new_protocols/data/base/train.tsv", None, None, 8_500),
    "te_new_protocols val": ("te_new_protocols", "validation", None, 1_268),
    "xquad": ("xquad/xquad.zh.json", None, None, 48),
}


@pytest.mark.parametrize("case", REAL)
def test_every_row_is_read(case: str, shared: Path) -> None:
    path, split, names, rows = REAL[case]
    source = open_source(str(shared / "data" / path), split, ReadOptions(column_names=names))
    batches = list(source.read())
    assert source.rows == sum(map(len, batches)) == rows
    assert not any(batch.problems for batch in batches)


def test_texts_are_unchanged(shared: Path) -> None:
    data = shared / "data"
    banking = open_source(str(data / "banking77/banking_data/train.csv"))
    assert sum("\n" in text for batch in banking.read() for text in batch.columns["text"]) == 10
    sms = open_source(
        str(data / "sms_spam/data/sms.tsv"), options=ReadOptions(column_names=("label", "text"))
    )
    labels = [label for batch in sms.read() for label in batch.columns["label"]]
    assert (labels.count("ham"), labels.count("spam")) == (4_827, 747)
    assert [note.partition(": ")[2] for note in sms.notes] == [
        "quotes are read as plain characters because a quote in line 283 is not closed at"
        " the end of its cell; --quoting minimal reads them as CSV quotes"
    ]
    emotions = open_source(
        str(data / "goemotions/data/original/dev.tsv"), options=ReadOptions(column_names=EMOTIONS)
    )
    texts = [text for batch in emotions.read() for text in batch.columns["text"]]
    assert texts[88].startswith("\"I didn't learn anything")
    entailment = open_source(str(data / "te_new_protocols/data/base/val.tsv"))
    assert entailment.columns[4:8] == ["null", "null_2", "null_3", "null_4"]
    assert (
        next(entailment.read())
        .columns["sentence1"][0]
        .startswith('In 1967, Ray wrote a script for a film to be called "The Alien", based')
    )


def test_splits_are_found(shared: Path) -> None:
    data = shared / "data"
    assert split_names(str(data / "goemotions")) == ["test", "train", "validation"]
    assert split_names(str(data / "te_new_protocols")) == ["train", "validation"]
    assert split_names(str(data / "clinc150/data/data_full.json")) == [
        "oos_test",
        "oos_train",
        "oos_val",
        "test",
        "train",
        "validation",
    ]


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("case", ["banking77 test", "goemotions dev", "sms_spam"])
def test_one_more_quote_loses_no_row(case: str, seed: int, shared: Path, tmp_path: Path) -> None:
    """A quote put before or after a text is plain, or makes its row a problem: never a loss."""
    name, split, names, rows = REAL[case]
    source = shared / "data" / name
    source = source / f"{split}.tsv" if source.is_dir() else source
    lines = source.read_bytes().decode().split("\n")
    chooser = random.Random(seed)
    whole = [i for i, line in enumerate(lines[1:-1], start=1) if '"' not in line]
    delimiter = "," if source.suffix == ".csv" else "\t"
    chosen = chooser.choice([i for i in whole if delimiter in lines[i]])
    cells = lines[chosen].removesuffix("\r").split(delimiter)
    at = 1 if "sms" in case else 0
    cells[at] = '"' + cells[at] if seed % 2 else cells[at] + '"'
    lines[chosen] = delimiter.join(cells)
    path = tmp_path / f"data{source.suffix}"
    path.write_bytes("\n".join(lines).encode())
    opened = open_source(str(path), options=ReadOptions(column_names=names))
    read = bad = 0
    for batch in opened.read():
        read += len(batch)
        bad += len(batch.problems)
    assert opened.rows == read == rows
    assert bad <= 1
