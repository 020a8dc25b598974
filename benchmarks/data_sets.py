"""Eight public datasets as the files that load_data reads, for studies of training.

They are read from a folder with one folder per set, each with the files of its source repository
(SOURCE.md there names it).
"""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Row = dict[str, Any]


@dataclass(frozen=True)
class DataSet:
    """A dataset.

    Attributes:
        rows: Reads the rows of a split, given the folder and "train" or "test".
        metric: The metric of the test split that the set is judged by; higher is better.
        parameters: Parameters of load_data.
    """

    rows: Callable[[Path, str], list[Row]]
    metric: str
    parameters: dict[str, Any]

    def write(self, source: Path, folder: Path, rows: int, test_rows: int) -> dict[str, Any]:
        """Write at most this many rows of each split, drawn with a fixed seed.

        Args:
            source: The folder of all sets.
            folder: Where to write train.jsonl and test.jsonl.
            rows: Rows for training and validation.
            test_rows: Rows of the test split.

        Returns:
            Parameters of load_data.
        """
        for split, limit in (("train", rows), ("test", test_rows)):
            found = self.rows(source, split)
            random.Random(0).shuffle(found)  # noqa: S311
            with (folder / f"{split}.jsonl").open("w", encoding="utf-8") as file:
                file.writelines(json.dumps(row) + "\n" for row in found[:limit])
        files = {"dataset": "train", "test_dataset": "test"}
        paths = {name: str(folder / f"{split}.jsonl") for name, split in files.items()}
        return paths | self.parameters


def _lines(path: Path) -> list[str]:
    """The lines of a file; texts may hold other separators that `splitlines` would split at."""
    lines = path.read_text("utf-8").split("\n")
    return lines if lines[-1] else lines[:-1]


def _banking77(source: Path, split: str) -> list[Row]:
    path = source / "banking77" / "banking_data" / f"{split}.csv"
    with path.open(newline="", encoding="utf-8") as file:
        return [{"text": r["text"], "label": r["category"]} for r in csv.DictReader(file)]


def _clinc150(source: Path, split: str) -> list[Row]:
    path = source / "clinc150" / "data" / "data_full.json"
    return [{"text": t, "label": n} for t, n in json.loads(path.read_text("utf-8"))[split]]


def _sms_spam(source: Path, split: str) -> list[Row]:
    path = source / "sms_spam" / "data" / "sms.tsv"
    found = dict.fromkeys(_lines(path))  # without its repeated texts
    rows = [dict(zip(("label", "text"), line.split("\t", 1), strict=True)) for line in found]
    random.Random(1).shuffle(rows)  # noqa: S311
    return rows[:1000] if split == "test" else rows[1000:]


def _goemotions(source: Path, split: str) -> list[Row]:
    folder = source / "goemotions" / "data" / "original"
    names = (folder / "labels.txt").read_text("utf-8").split()
    lines = _lines(folder / f"{split}.tsv")
    cells = (line.split("\t") for line in lines)
    return [{"text": c[0], "label": [names[int(i)] for i in c[1].split(",")]} for c in cells]


def _stsb(source: Path, split: str) -> list[Row]:
    with (source / "stsb" / f"stsb-en-{split}.csv").open(newline="", encoding="utf-8") as file:
        cells = list(csv.reader(file))
    return [{"text": one, "other": two, "label": float(score)} for one, two, score in cells]


def _wnut17(source: Path, split: str) -> list[Row]:
    name = {"train": "wnut17train.conll", "test": "emerging.test.annotated"}[split]
    lines = _lines(source / "wnut17" / name)
    return [{"words": words, "tags": tags} for words, tags in _sentences(lines)]


def _sentences(lines: list[str]) -> Iterator[tuple[list[str], list[str]]]:
    words: list[str] = []
    tags: list[str] = []
    for line in [*lines, ""]:
        word, _, tag = line.partition("\t")
        if word.strip():
            words.append(word)
            tags.append(tag.strip())
        elif words:
            yield words, tags
            words, tags = [], []


def _tweeteval(task: str) -> Callable[[Path, str], list[Row]]:
    def rows(source: Path, split: str) -> list[Row]:
        folder = source / "tweeteval" / task
        mapping = _lines(folder / "mapping.txt")
        names = dict(line.split("\t", 1) for line in mapping if line.strip())
        texts = _lines(folder / f"{split}_text.txt")
        labels = (folder / f"{split}_labels.txt").read_text("utf-8").split()
        pairs = zip(texts, labels, strict=True)
        return [{"text": text.strip(), "label": names[n].strip()} for text, n in pairs]

    return rows


_TEXTS = {"text_column": "text", "label_column": "label"}
_ONE_LABEL = _TEXTS | {"problem_type": "single_label_classification"}
DATA_SETS = {
    "banking77": DataSet(_banking77, "accuracy", _ONE_LABEL),
    "clinc150": DataSet(_clinc150, "accuracy", _ONE_LABEL),
    "sms_spam": DataSet(_sms_spam, "macro_f1", _ONE_LABEL),
    "goemotions": DataSet(
        _goemotions, "micro_f1", _TEXTS | {"problem_type": "multi_label_classification"}
    ),
    "stsb": DataSet(
        _stsb, "pearson", _TEXTS | {"text_pair_column": "other", "problem_type": "regression"}
    ),
    "wnut17": DataSet(
        _wnut17,
        "f1",
        {"task": "token-classification", "text_column": "words", "label_column": "tags"},
    ),
    "emotion": DataSet(_tweeteval("emotion"), "macro_f1", _ONE_LABEL),
    "stance_climate": DataSet(_tweeteval("stance_climate"), "macro_f1", _ONE_LABEL),
}
