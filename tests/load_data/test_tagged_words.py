"""Words with tags, from every kind of file: read whole and understood."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import datasets
import pytest

from kfp_finetune.components.artifacts import data_report, tokenized_dataset
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.dataset import load_data, load_evaluation_data
from kfp_finetune.components.load_data.opening import ReadOptions, open_source
from kfp_finetune.components.load_data.parameters import Parameters
from tests import tiny

CONLL = ReadOptions(plain_text="conll")
DATA = tiny.sentences(60)
WORDS = [words for words, _ in DATA]
TAGS = [tags for _, tags in DATA]
NAMES = ["O", "B-payment", "I-payment", "B-place", "I-place"]


def conll(separator: str = "\t", blank: str = "", end: str = "\n", first: str = "") -> str:
    lines = [f"{w}{separator}{t}" for words, tags in DATA for w, t in zip(words, tags, strict=True)]
    ends = [len(words) for words in WORDS]
    for at in reversed([sum(ends[: i + 1]) for i in range(len(ends))]):
        lines.insert(at, blank)
    return first + end.join(lines)


def conllu() -> str:
    rows = ["# newdoc id = 1"]
    for words, tags in DATA:
        rows += ["# text = " + " ".join(words), "1-2\tx\t" + "\t".join("_" * 8)]
        rows += [
            f"{i}\t{w}\t{w}\t{t}\t" + "\t".join("_" * 6)
            for i, (w, t) in enumerate(zip(words, tags, strict=True), start=1)
        ]
        rows += ["8.1\tx\t" + "\t".join("_" * 8), ""]
    return "\n".join(rows)


LAYOUTS: dict[str, tuple[str, str]] = {
    "tabs": ("data.conll", conll()),
    "spaces": ("data.iob", conll(" ")),
    "carriage returns": ("data.txt", conll(end="\r\n")),
    "lines of white space between": ("data.bio", conll(blank="\t ")),
    "several blank lines, and a document": (
        "data.train",
        conll(blank="\n", first="-DOCSTART-\tO\n\n"),
    ),
    "comments, and words that begin with their mark": ("data", conll(first="# of two words\n")),
    "a byte order mark": ("data.conll", "\ufeff" + conll()),
    "a .tsv": ("data.tsv", conll()),
    "CoNLL-U": ("data.conllu", conllu()),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("packed", [False, True])
def test_sentences_are_the_same_in_every_layout(layout: str, packed: bool, tmp_path: Path) -> None:
    name, content = LAYOUTS[layout]
    path = tmp_path / name
    path.write_text(content, newline="")
    if packed and path.suffix:
        path = path.with_name(name + ".gz")
        path.write_bytes(gzip.compress(content.encode()))
    source = open_source(str(path), options=CONLL)
    batches = list(source.read())
    column = "upos" if "upos" in source.columns else "tags"
    assert [w for batch in batches for w in batch.columns["tokens"]] == WORDS
    assert [t for batch in batches for t in batch.columns[column]] == TAGS
    assert source.rows == len(DATA)
    # Every word is where it is said to be.
    lines = content.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    for batch in batches:
        for words, numbers in zip(batch.columns["tokens"], batch.lines, strict=True):
            assert all(w in lines[n - 1].split() for w, n in zip(words, numbers, strict=True))


def test_columns_have_names(tmp_path: Path) -> None:
    path = tmp_path / "data.conll"
    path.write_text("a DT B-NP O\n#hash NN I-NP B-x\n\n# a comment\n#\tSYM O O\n")
    source = open_source(str(path))
    assert source.columns == ["tokens", "column_2", "column_3", "tags"]
    assert [b.columns["tokens"] for b in source.read()] == [[["a", "#hash"], ["#"]]]
    named = ReadOptions(column_names=("word", "pos", "chunk", "ner"))
    assert open_source(str(path), options=named).columns == ["word", "pos", "chunk", "ner"]


def test_folders_have_splits(tmp_path: Path) -> None:
    for split in ("train", "dev", "test"):
        (tmp_path / f"{split}.txt").write_text(f"{split} O\n\nmore B-x\n")
    for split in ("train", "validation", "test"):
        batch = next(iter(open_source(str(tmp_path), split, CONLL).read()))
        assert batch.columns["tokens"][0] == [split.replace("validation", "dev")]


def load(tmp_path: Path, model: Path, **given: Any) -> tokenized_dataset.TokenizedDatasetManifest:
    parameters = {"task": "token-classification", "model": str(model), "max_length": 16} | given
    return load_data(Parameters(**parameters), str(tmp_path / "out"), str(tmp_path / "data.html"))


def written(folder: Path, names: list[str]) -> dict[int, tuple[list[str], list[str]]]:
    """The words and tags of every row, by its number."""
    found: dict[int, tuple[list[str], list[str]]] = {}
    for split in ("train", "validation", "test"):
        for row in tokenized_dataset.open_split(folder, split).to_pylist():
            words, tags = found.setdefault(row["row"], ([], []))
            words += row["text"]
            tags += [names[i] for i in row["label"] if i >= 0]
    return found


def saved(path: Path) -> None:
    tag = datasets.Sequence(datasets.ClassLabel(names=["B-payment", "O", "I-payment", "B-place"]))
    features = datasets.Features({"words": datasets.Sequence(datasets.Value("string")), "ner": tag})
    rows = [{"words": words, "ner": tags} for words, tags in DATA]
    datasets.Dataset.from_list(rows, features=features).save_to_disk(str(path))


def lines(path: Path) -> None:
    rows = [{"id": i, "tokens": w, "ner_tags": t} for i, (w, t) in enumerate(DATA)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def iob1(path: Path) -> None:
    """In which an entity begins with B only if it follows another of its type."""
    old = []
    for words, tags in DATA:
        before = ["O", *tags]
        old.append((words, ["I" + t[1:] if t[0] == "B" and before[i][1:] != t[1:] else t
                            for i, t in enumerate(tags)]))  # fmt: skip
    tiny.write_conll(path, old)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("data.conll", lambda path: tiny.write_conll(path, DATA)),
        ("data.jsonl", lines),
        ("saved", saved),
        ("old.conll", iob1),
    ],
)
def test_every_word_and_tag_is_written_once(
    name: str, write: Any, tiny_model: Path, tmp_path: Path
) -> None:
    write(tmp_path / name)
    manifest = load(tmp_path, tiny_model, dataset=str(tmp_path / name), max_length=8)
    assert sorted(manifest.label_names) == sorted(NAMES)
    assert manifest.problem_type == "entity_recognition"
    assert list(written(tmp_path / "out", manifest.label_names).values()) != []
    found = written(tmp_path / "out", manifest.label_names)
    assert [found[i] for i in range(len(DATA))] == [(w, t) for w, t in DATA]
    counts = manifest.splits
    assert sum(split.rows_read for split in counts.values()) == len(DATA)
    assert all(s.rows_read == s.rows - s.divided for s in counts.values())
    assert sum(split.divided for split in counts.values()) > 0
    report = data_report.read(tmp_path / "out")
    of_tags = Counter(tag for tags in TAGS for tag in tags)
    assert {name: sum(counts.values()) for name, counts in report.labels.items()} == {
        name: of_tags[name] for name in manifest.label_names
    }


def test_parts_of_speech(tiny_model: Path, tmp_path: Path) -> None:
    content = conllu().replace("-", ".").replace("\tO\t", "\tX\t")
    (tmp_path / "data.conllu").write_text(content)
    manifest = load(tmp_path, tiny_model, dataset=str(tmp_path / "data.conllu"))
    assert manifest.problem_type == "word_tagging"
    assert manifest.label_names == ["B.payment", "B.place", "I.payment", "X"]


BAD = "good O\n late B-payment\n\nlate O\nmoney I-payment\n\nshop B-place\n" + conll(" ")


@pytest.mark.parametrize("repair", ["repair", "mend"])  # mend: its name in 0.1.0
def test_bad_rows_are_dropped_or_repaired(repair: str, tiny_model: Path, tmp_path: Path) -> None:
    rows = [{"tokens": w, "tags": t} for w, t in DATA]
    rows += [
        {"tokens": ["late", "money"], "tags": ["O", "I-payment"]},
        {"tokens": ["late", " ", "shop"], "tags": ["O", "O", "B-place"]},
        {"tokens": ["late"], "tags": ["O", "O"]},
    ]
    path = tmp_path / "data.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    dropped = load(tmp_path, tiny_model, dataset=str(path), on_bad_row="drop")
    assert dropped.splits["train"].dropped == {
        "tags that are not IOB2: I-payment after O": 1,
        "an empty word": 1,
        "2 tags for 1 word": 1,
    }
    repaired = load(tmp_path, tiny_model, dataset=str(path), on_bad_row=repair)
    assert repaired.splits["train"].dropped == {"2 tags for 1 word": 1}
    found = written(tmp_path / "out", repaired.label_names)
    assert found[60] == (["late", "money"], ["O", "B-payment"])
    assert found[61] == (["late", "shop"], ["O", "B-place"])
    notes = data_report.read(tmp_path / "out").notes
    assert any("repaired the order of the tags in 1 sentence" in note for note in notes)


def test_other_data_has_the_tags_of_a_model(tiny_model: Path, tmp_path: Path) -> None:
    iob1(tmp_path / "old.conll")
    parameters = Parameters(
        dataset=str(tmp_path / "old.conll"),
        model=str(tiny_model),
        task="token-classification",
        max_length=16,
    )
    manifest = load_evaluation_data(
        parameters, NAMES, "entity_recognition", str(tmp_path / "out"), str(tmp_path / "data.html")
    )
    assert manifest.label_names == NAMES
    assert written(tmp_path / "out", NAMES)[5] == DATA[5]


@pytest.mark.real
def test_wnut17_has_the_published_counts(shared: Path, tiny_model: Path, tmp_path: Path) -> None:
    folder = shared / "data/wnut17"
    manifest = load(
        tmp_path,
        tiny_model,
        dataset=str(folder / "wnut17train.conll"),
        validation_dataset=str(folder / "emerging.dev.conll"),
        test_dataset=str(folder / "emerging.test.annotated"),
        max_length=40,
    )
    report = data_report.read(tmp_path / "out")
    assert report.rows_kept == {"train": 3_394, "validation": 1_009, "test": 1_287}
    words = {split: sum(c[split] for c in report.labels.values()) for split in report.rows_kept}
    assert words == {"train": 62_730, "validation": 15_733, "test": 23_394}
    entities = {n: c["train"] for n, c in report.labels.items() if n.startswith("B-")}
    assert entities == {
        "B-person": 660,
        "B-location": 548,
        "B-group": 264,
        "B-corporation": 221,
        "B-product": 142,
        "B-creative-work": 140,
    }
    assert len(manifest.label_names) == 13
    odd = "lines between sentences that contain only white space: 2,394"
    assert any(note.endswith(odd) for note in report.notes)


GOOD = conll()


def test_data_to_score_a_model_on_may_have_no_entity(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "none.conll").write_text("late\tO\nshop\tO\n")
    parameters = Parameters(
        dataset=str(tmp_path / "none.conll"),
        model=str(tiny_model),
        task="token-classification",
        max_length=16,
    )
    manifest = load_evaluation_data(
        parameters, NAMES, "entity_recognition", str(tmp_path / "out"), str(tmp_path / "data.html")
    )
    assert (manifest.label_names, manifest.splits["test"].rows) == (NAMES, 1)


def test_the_unread_files_of_a_folder_are_listed(tmp_path: Path) -> None:
    (tmp_path / "train.conll").write_text(GOOD)
    (tmp_path / "emerging.test.annotated").write_text(GOOD)
    (tmp_path / "README.md").write_text("about")
    notes = open_source(str(tmp_path), options=CONLL).notes
    told = "name the file to read it): README.md, emerging.test.annotated"
    assert any(note.endswith(told) for note in notes)


def test_numbers_are_not_taken_for_the_tags_of_a_model(tiny_model: Path, tmp_path: Path) -> None:
    """The data may count them in another order, and nothing would show it but the scores."""
    ids = {name: i for i, name in enumerate(reversed(NAMES))}
    rows = [{"tokens": w, "tags": [ids[t] for t in tags]} for w, tags in DATA]
    (tmp_path / "ids.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    parameters = Parameters(
        dataset=str(tmp_path / "ids.jsonl"),
        model=str(tiny_model),
        task="token-classification",
        max_length=16,
    )
    with pytest.raises(InputError, match="no tag marks an entity: '1', '2', '3', '4'"):
        load_evaluation_data(
            parameters, NAMES, "entity_recognition", str(tmp_path / "o"), str(tmp_path / "d.html")
        )


def _spelled(how: str) -> list[list[str]]:
    """The tags of the data in another spelling."""
    changes: dict[str, Any] = {
        "0 for O": lambda tag: tag.replace("O", "0") if tag == "O" else tag,
        "small o and letters": lambda tag: tag.replace("B-", "b-").replace("I-", "i-").lower(),
        "- for O": lambda tag: "-" if tag == "O" else tag,
        "_ for O": lambda tag: "_" if tag == "O" else tag,
        "I-O": lambda tag: "I-O" if tag == "O" else tag,
        "low lines": lambda tag: tag.replace("-", "_"),
        "letters behind": lambda tag: "-".join(reversed(tag.split("-"))),
        "letters alone": lambda tag: tag[0],
        "types alone": lambda tag: tag if tag == "O" else tag[2:],
    }
    return [[changes[how](tag) for tag in tags] for tags in TAGS]


@pytest.mark.parametrize(
    "how",
    [
        *("0 for O", "small o and letters", "- for O", "_ for O", "I-O"),
        *("low lines", "letters behind", "letters alone", "types alone"),
    ],
)
def test_entities_in_another_spelling_become_the_same_tags(
    how: str, tiny_model: Path, tmp_path: Path
) -> None:
    spelled = _spelled(how)
    path = tmp_path / "data.jsonl"
    rows = [{"tokens": w, "tags": t} for w, t in zip(WORDS, spelled, strict=True)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    manifest = load(tmp_path, tiny_model, dataset=str(path))
    assert manifest.problem_type == "entity_recognition"
    found = written(tmp_path / "out", manifest.label_names)
    for row, tags in enumerate(TAGS):
        expected = [t if t == "O" or how != "letters alone" else f"{t[0]}-entity" for t in tags]
        if how == "types alone":  # one after the other they are one
            before = ["O", *tags]
            same = [t[2:] == b[2:] != "" for t, b in zip(tags, before, strict=False)]
            expected = [f"I{t[1:]}" if s else t for t, s in zip(tags, same, strict=True)]
        assert found[row] == (WORDS[row], expected)
    if how == "types alone":
        warnings = data_report.read(tmp_path / "out").warnings
        assert any(w.startswith("the tags are types without letters") for w in warnings)
    (note,) = [n for n in data_report.read(tmp_path / "out").notes if "mark entities" in n]
    assert "; read '" in note


def test_tags_that_only_partly_look_like_entities_are_reported(
    tiny_model: Path, tmp_path: Path
) -> None:
    for number, tags in enumerate(
        (
            [["none" if tag == "O" else tag for tag in tags] for tags in TAGS],
            [[NAMES.index(tag) for tag in tags] for tags in TAGS],
        )
    ):
        path = tmp_path / f"data{number}.jsonl"
        rows = [{"tokens": w, "tags": t} for w, t in zip(WORDS, tags, strict=True)]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        assert load(tmp_path, tiny_model, dataset=str(path)).problem_type == "word_tagging"
        warnings = data_report.read(tmp_path / "out").warnings
        told = ("look like tags of entities", "the tags are the numbers 0, 1, 2")[number]
        assert any(told in warning for warning in warnings)


def test_no_tag_is_no_class(tiny_model: Path, tmp_path: Path) -> None:
    lines = [
        "\n".join(f"{word}\t{'_' if row == 3 and i == 1 else 'NOUN' if i % 2 else 'VERB'}"
                  for i, word in enumerate(words))
        for row, words in enumerate(WORDS)
    ]  # fmt: skip
    path = tmp_path / "data.conll"
    path.write_text("\n\n".join(lines) + "\n")
    with pytest.raises(InputError) as caught:
        load(tmp_path, tiny_model, dataset=str(path))
    assert "1 row (4): a word without a tag: '_' stands for none" in str(caught.value)
    at = sum(len(words) + 1 for words in WORDS[:3]) + 2
    assert caught.value.where.endswith(f"data.conll, line {at}")
    manifest = load(tmp_path, tiny_model, dataset=str(path), on_bad_row="drop")
    assert manifest.label_names == ["NOUN", "VERB"]


def test_words_left_out_are_counted(tiny_model: Path, tmp_path: Path) -> None:
    rows = [{"tokens": ["", *w, "  "], "tags": ["O", *t, "O"]} for w, t in DATA]
    path = tmp_path / "data.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    manifest = load(tmp_path, tiny_model, dataset=str(path), on_bad_row="repair")
    assert next(iter(written(tmp_path / "out", manifest.label_names).values()))[0] in WORDS
    told = f"dropped {2 * len(DATA)} empty words from the sentences"
    assert any(note.startswith(told) for note in data_report.read(tmp_path / "out").notes)
    assert told in (tmp_path / "data.html").read_text()
