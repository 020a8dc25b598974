"""Labels of every problem type, and bad rows: load_data end to end."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfp_finetune.components.artifacts import data_report as report_artifact
from kfp_finetune.components.artifacts import tokenized_dataset as artifact
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.dataset import load_data
from kfp_finetune.components.load_data.parameters import Parameters
from kfp_finetune.components.load_data.repeats import find_groups
from kfp_finetune.components.load_data.stratification import assign_splits
from kfp_finetune.components.load_data.targets import Targets
from kfp_finetune.components.tasks.labels import Labels
from kfp_finetune.components.tasks.text_classification.problem_types import (
    MULTI_LABEL,
    REGRESSION,
    SINGLE_LABEL,
)
from tests import tiny

TEXTS = [row["text"] for row in tiny.rows(60)]
SETS = [["a"], ["b"], ["a", "c"], [], ["c", "b"], ["a", "b", "c"]]


class Loaded:
    """The result of load_data for a dataset, joined again by row."""

    def __init__(self, folder: Path, model: Path, dataset: Path, **parameters: Any) -> None:
        self.out = folder / "out"
        parameters = {"max_length": 16} | parameters
        self.manifest = load_data(
            Parameters(dataset=str(dataset), model=str(model), **parameters),
            str(self.out),
            str(folder / "data.html"),
        )
        self.report = report_artifact.read(self.out)
        self.names = self.manifest.label_names
        self.rows = {split: self._split(split) for split in artifact.SPLITS}
        self.sizes = {split: len(rows) for split, rows in self.rows.items()}
        for split, counts in self.manifest.splits.items():
            assert counts.rows_read == counts.rows + sum(counts.dropped.values())
            assert counts.rows == self.sizes[split]

    def _split(self, split: str) -> dict[int, Any]:
        table = artifact.open_split(self.out, split)
        return dict(zip(table["row"].to_pylist(), map(self._name, table["label"]), strict=True))

    def _name(self, label: Any) -> Any:
        label = label.as_py()
        if isinstance(label, list):
            return [self.names[i] for i in label]
        return self.names[label] if self.names else label

    @property
    def all(self) -> dict[int, Any]:
        """Every row's label, whatever its split."""
        return {row: label for rows in self.rows.values() for row, label in rows.items()}


def write(path: Path, labels: list[Any], **more: list[Any]) -> Path:
    """Rows with these labels, in turn, as JSON lines or CSV."""
    rows = [
        {"text": f"{text} {i}", "label": labels[i % len(labels)]}
        | {name: values[i % len(values)] for name, values in more.items()}
        for i, text in enumerate(TEXTS)
    ]
    if path.suffix == ".csv":
        return tiny.write_csv(path, rows)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def named(labels: list[Any]) -> dict[int, Any]:
    return {i: labels[i % len(labels)] for i in range(len(TEXTS))}


# Label types


def test_lists_are_several_labels(tiny_model: Path, tmp_path: Path) -> None:
    loaded = Loaded(tmp_path, tiny_model, write(tmp_path / "data.jsonl", SETS))
    assert loaded.manifest.problem_type == MULTI_LABEL
    assert loaded.names == ["a", "b", "c"]
    assert loaded.all == {i: sorted(labels) for i, labels in named(SETS).items()}
    assert "multi-label: the labels are lists" in loaded.report.notes


@pytest.mark.parametrize("separator", ["|", ";", ","])
def test_separated_texts_are_several_labels(
    separator: str, tiny_model: Path, tmp_path: Path
) -> None:
    sets = [labels for labels in SETS if labels]
    path = write(tmp_path / "data.csv", [separator.join(labels) for labels in sets])
    loaded = Loaded(tmp_path, tiny_model, path, problem_type=MULTI_LABEL)
    assert loaded.all == {i: sorted(labels) for i, labels in named(sets).items()}


def test_columns_of_0_and_1_are_several_labels(tiny_model: Path, tmp_path: Path) -> None:
    marks = {name: [int(name in labels) for labels in SETS] for name in "cab"}
    path = write(tmp_path / "data.csv", ["unused"], **marks)
    loaded = Loaded(tmp_path, tiny_model, path, label_column="c,a,b")
    assert loaded.manifest.problem_type == MULTI_LABEL
    assert loaded.names == ["c", "a", "b"]
    assert {i: sorted(found) for i, found in loaded.all.items()} == {
        i: sorted(labels) for i, labels in named(SETS).items()
    }


@pytest.mark.parametrize("suffix", [".txt", ".json"])
@pytest.mark.parametrize("ids", [["0", "2", "1"], ["0,2", "1", "2"]])
def test_label_names_from_a_file_are_counted_by_numbers(
    ids: list[str], suffix: str, tiny_model: Path, tmp_path: Path
) -> None:
    names = ["zero", "one", "two", "three"]
    file = tmp_path / f"names{suffix}"
    file.write_text(json.dumps(names) if suffix == ".json" else "\n".join(names) + "\n")
    path = write(tmp_path / "data.csv", ids)
    loaded = Loaded(tmp_path, tiny_model, path, label_names=str(file))
    several = "," in ids[0]
    assert loaded.manifest.problem_type == (MULTI_LABEL if several else SINGLE_LABEL)
    assert loaded.names == names
    meant = [[names[int(n)] for n in text.split(",")] for text in ids]
    assert loaded.all == named(meant if several else [labels[0] for labels in meant])


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_fractions_are_amounts(suffix: str, tiny_model: Path, tmp_path: Path) -> None:
    amounts = [i / 4 for i in range(60)]
    loaded = Loaded(tmp_path, tiny_model, write(tmp_path / f"data{suffix}", amounts))
    assert loaded.manifest.problem_type == REGRESSION
    assert (loaded.names, loaded.all) == ([], named(amounts))


VALUES = ["None", "NA", "01", "null", "nan", "1", "1.0", "true", "é 🙂"]


@pytest.mark.parametrize("in_folder", [False, True])
def test_labels_in_csv_stay_unchanged(in_folder: bool, tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    path = write(folder / "train.csv", VALUES)
    loaded = Loaded(tmp_path, tiny_model, folder if in_folder else path)
    assert sorted(loaded.names) == sorted(VALUES)
    assert loaded.all == named(VALUES)


def test_long_cells_are_read(tiny_model: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "data.csv", ["a", "b"])
    path.write_text(path.read_text() + '"' + "good, " * 50_000 + '",a\n')
    loaded = Loaded(tmp_path, tiny_model, path)
    assert loaded.all == named(["a", "b"]) | {60: "a"}
    assert loaded.report.length_percentiles["100"] >= 50_000


# Declared names

FEATURES = {
    "one": lambda names: datasets.ClassLabel(names=names),
    "several": lambda names: datasets.Sequence(datasets.ClassLabel(names=names)),
}


def declared(kind: str, names: list[str], labels: list[str]) -> datasets.Dataset:
    """A dataset whose labels are numbers with declared names."""
    ids = [names.index(label) for label in labels]
    return datasets.Dataset.from_dict(
        {
            "text": [f"{text} {i}" for i, text in enumerate(TEXTS[: len(ids)])],
            "label": [[n] for n in ids] if kind == "several" else ids,
        },
        features=datasets.Features(text=datasets.Value("string"), label=FEATURES[kind](names)),
    )


def save(data: datasets.Dataset, path: Path) -> Path:
    if path.suffix == ".parquet":
        data.to_parquet(path)
    else:
        data.save_to_disk(path)
    return path


@pytest.mark.parametrize("kind", FEATURES)
@pytest.mark.parametrize("name", ["data", "data.parquet"])
def test_declared_names_are_kept_whatever_their_order(
    name: str, kind: str, tiny_model: Path, tmp_path: Path
) -> None:
    labels = [("z", "a", "m")[i % 3] for i in range(60)]
    train = save(declared(kind, ["z", "a", "m"], labels), tmp_path / name)
    test = save(declared(kind, ["m", "z", "a"], labels[:9]), tmp_path / f"test_{name}")
    loaded = Loaded(tmp_path, tiny_model, train, test_dataset=str(test), validation_fraction=0.2)
    assert loaded.names == ["z", "a", "m"]
    wanted = [[label] if kind == "several" else label for label in labels]
    assert loaded.rows["test"] == dict(enumerate(wanted[:9]))
    assert loaded.rows["train"] | loaded.rows["validation"] == dict(enumerate(wanted))


def test_files_that_declare_other_names_are_not_joined(tiny_model: Path, tmp_path: Path) -> None:
    labels = ["z", "a"] * 20
    (tmp_path / "in").mkdir()
    save(declared("one", ["z", "a"], labels), tmp_path / "in/1.parquet")
    save(declared("one", ["a", "z"], labels), tmp_path / "in/2.parquet")
    with pytest.raises(InputError, match="declares different label names"):
        Loaded(tmp_path, tiny_model, tmp_path / "in")


# Which row goes where


def test_a_column_names_the_splits(tiny_model: Path, tmp_path: Path) -> None:
    parts = ["train", "dev", "Test", " training", "val", "valid"]
    path = write(tmp_path / "data.csv", ["a", "b"] * 6 + ["b"], part=parts)
    loaded = Loaded(tmp_path, tiny_model, path, split_column="part")
    assert set(loaded.rows["train"]) == {i for i in range(60) if i % 6 in (0, 3)}
    assert set(loaded.rows["test"]) == {i for i in range(60) if i % 6 == 2}
    assert loaded.sizes == {"train": 20, "validation": 30, "test": 10}


def test_a_dropped_row_needs_no_split(tiny_model: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "data.csv", ["a", "b", "b"], part=["train", "test"])
    path.write_text(path.read_text() + "only one cell\n,a,nowhere\n")
    loaded = Loaded(tmp_path, tiny_model, path, split_column="part", on_bad_row="drop")
    assert loaded.sizes == {"train": 30, "validation": 0, "test": 30}


@settings(deadline=None, derandomize=True)
@given(
    groups=st.lists(st.integers(0, 30), min_size=20, max_size=200),
    fraction=st.floats(0.05, 0.4),
    seed=st.integers(0, 1_000),
)
def test_a_group_never_straddles_splits(groups: list[int], fraction: float, seed: int) -> None:
    of_group = np.array(groups, np.uint64)
    found = find_groups(of_group, np.ones(len(groups), bool))
    strata = found.leaders % 3
    of_row = np.zeros(len(groups), np.int8)
    found.spread(assign_splits(strata, {"validation": fraction, "test": fraction}, seed), of_row)
    for group in set(groups):
        assert len(set(of_row[of_group == group].tolist())) == 1
    assert (of_row[found.leaders] == 1).sum() == round(fraction * len(set(groups)))


def test_groups_and_equal_texts_stay_together(tiny_model: Path, tmp_path: Path) -> None:
    users = [f"user {i}" for i in range(20)]
    path = write(tmp_path / "data.csv", ["a", "b", "a"], user=users)
    loaded = Loaded(tmp_path, tiny_model, path, group_column="user", test_fraction=0.25)
    places = {(row % 20, split) for split, rows in loaded.rows.items() for row in rows}
    assert len(places) == 20
    assert loaded.sizes == {"train": 39, "validation": 6, "test": 15}

    rows = [{"text": TEXTS[i % 30], "label": "ab"[i % 2]} for i in range(90)]
    loaded = Loaded(tmp_path, tiny_model, tiny.write_csv(tmp_path / "again.csv", rows))
    seen = {(rows[i]["text"], split) for split, found in loaded.rows.items() for i in found}
    assert len(seen) == len({row["text"] for row in rows})


def test_repeats_are_counted_and_dropped_when_asked(tiny_model: Path, tmp_path: Path) -> None:
    rows = tiny.rows(40)
    rows = [row | {"text": f"{row['text']} {i}"} for i, row in enumerate(rows)]
    rows[7] = dict(rows[2])  # a copy
    rows[9] = rows[3] | {"label": "returns" if rows[3]["label"] != "returns" else "payment"}
    path = tiny.write_csv(tmp_path / "data.csv", rows)
    new = [row | {"text": f"late {row['text']}"} for row in rows[20:30]]
    test = tiny.write_csv(tmp_path / "test.csv", [*new, rows[5], rows[6]])
    given: dict[str, Any] = {"test_dataset": str(test), "validation_fraction": 0.0}
    loaded = Loaded(tmp_path, tiny_model, path, **given)
    for warning in (
        "1 row of the train data is a copy of an earlier row: row 8; --drop-duplicates omits it",
        "1 row of the train data has the text of an earlier row but another label: row 10",
        "2 training texts also occur in the test split (leakage): rows 6, 7; --drop-overlap omits"
        " them",
    ):
        assert warning in loaded.report.warnings
    given |= {"drop_duplicates": True, "drop_overlap": True}
    loaded = Loaded(tmp_path, tiny_model, path, **given)
    assert loaded.manifest.splits["train"].dropped == {
        "a copy of an earlier row": 1,
        "text also in the test split": 2,
    }
    assert set(range(40)) - set(loaded.rows["train"]) == {5, 6, 7}


@settings(deadline=None, derandomize=True)
@given(
    amounts=st.lists(st.floats(-1e6, 1e6, width=32), min_size=50, max_size=300),
    seed=st.integers(0, 99),
)
def test_amounts_of_every_size_are_in_every_split(amounts: list[float], seed: int) -> None:
    targets = Targets(Labels(REGRESSION, [], list(amounts)), "score")
    strata = targets.strata(np.arange(len(amounts), dtype=np.int32))
    chosen = assign_splits(strata, {"validation": 0.2, "test": 0.2}, seed)
    for number in (1, 2):
        assert (chosen == number).sum() == round(0.2 * len(amounts))
        for stratum in np.unique(strata):
            inside = strata == stratum
            assert abs((inside & (chosen == number)).sum() - 0.2 * inside.sum()) <= 2


@pytest.mark.parametrize(("validation", "test"), [(0.1, 0.1), (0.0, 0.5), (0.25, 0.3)])
@pytest.mark.parametrize("labels", [["a", "b", "c"], SETS, [i / 7 for i in range(60)]])
def test_fractions_are_respected(
    labels: list[Any], validation: float, test: float, tiny_model: Path, tmp_path: Path
) -> None:
    path = write(tmp_path / "data.jsonl", labels)
    given = {"validation_fraction": validation, "test_fraction": test}
    loaded = Loaded(tmp_path, tiny_model, path, **given)
    sizes = {"validation": round(60 * validation), "test": round(60 * test)}
    assert loaded.sizes == {"train": 60 - sum(sizes.values())} | sizes


# Real data


@pytest.mark.real
def test_goemotions(shared: Path, tiny_model: Path, tmp_path: Path) -> None:
    folder = shared / "data/goemotions/data/original"
    loaded = Loaded(
        tmp_path,
        tiny_model,
        folder,
        column_names="text,labels,id",
        label_names=str(folder / "labels.txt"),
    )
    assert loaded.manifest.problem_type == MULTI_LABEL
    assert loaded.names == (folder / "labels.txt").read_text().split()
    assert loaded.sizes == {"train": 43_410, "validation": 5_426, "test": 5_427}
    counts = {name: loaded.report.labels[name] for name in ("neutral", "admiration", "grief")}
    assert [counts[name]["train"] for name in counts] == [14_219, 4_130, 77]
    assert counts["grief"]["test"] == 6
    per_row = Counter(map(len, loaded.rows["train"].values()))
    assert per_row == {1: 36_308, 2: 6_541, 3: 532, 4: 28, 5: 1}


@pytest.mark.real
def test_goemotions_made_splits_have_every_labels_share(
    shared: Path, tiny_model: Path, tmp_path: Path
) -> None:
    folder = shared / "data/goemotions/data/original"
    loaded = Loaded(
        tmp_path,
        tiny_model,
        folder / "train.tsv",
        column_names="text,labels,id",
        label_names=str(folder / "labels.txt"),
        test_fraction=0.2,
    )
    for counts in loaded.report.labels.values():
        assert abs(counts["test"] - 0.2 * sum(counts.values())) <= 0.02 * sum(counts.values()) + 2


@pytest.mark.real
def test_te_new_protocols(shared: Path, tiny_model: Path, tmp_path: Path) -> None:
    loaded = Loaded(
        tmp_path,
        tiny_model,
        shared / "data/te_new_protocols/data/base/train.tsv",
        test_dataset=str(shared / "data/te_new_protocols/data/base/val.tsv"),
        validation_fraction=0.0,
        text_column="sentence1",
        text_pair_column="sentence2",
        label_column="gold_label",
    )
    assert loaded.manifest.problem_type == SINGLE_LABEL
    assert loaded.names == ["contradiction", "entailment", "neutral"]
    counts = {name: (c["train"], c["test"]) for name, c in loaded.report.labels.items()}
    assert counts == {
        "neutral": (2_854, 402),
        "entailment": (2_828, 428),
        "contradiction": (2_818, 438),
    }


@pytest.mark.real
def test_sms_spam(shared: Path, tiny_model: Path, tmp_path: Path) -> None:
    path = shared / "data/sms_spam/data/sms.tsv"
    loaded = Loaded(tmp_path, tiny_model, path, column_names="label,text")
    assert sum(loaded.sizes.values()) == 5_574
    totals = {name: sum(counts.values()) for name, counts in loaded.report.labels.items()}
    assert totals == {"ham": 4_827, "spam": 747}
    assert "403 rows of the train data are copies" in " ".join(loaded.report.warnings)
    assert "of the test split" not in " ".join(loaded.report.warnings)


@pytest.mark.real
def test_clinc150(shared: Path, tiny_model: Path, tmp_path: Path) -> None:
    path = shared / "data/clinc150/data/data_full.json"
    loaded = Loaded(tmp_path, tiny_model, path, column_names="text,label")
    assert loaded.sizes == {"train": 15_000, "validation": 3_000, "test": 4_500}
    assert len(loaded.names) == 150
    assert {tuple(counts.values()) for counts in loaded.report.labels.values()} == {(100, 20, 30)}


def test_rows_that_all_have_the_same_set_of_labels_are_refused(
    tiny_model: Path, tmp_path: Path
) -> None:
    dataset = write(tmp_path / "data.jsonl", [["a", "b"]])
    with pytest.raises(InputError, match="every row has the same set of labels: 'a', 'b'"):
        Loaded(tmp_path, tiny_model, dataset)


def test_odd_labels_are_in_the_report_and_on_the_page(tiny_model: Path, tmp_path: Path) -> None:
    dataset = write(tmp_path / "data.csv", ["spam ", "Spam", "-", "ham", "spam"])
    found = Loaded(tmp_path, tiny_model, dataset)
    assert found.names == ["-", "Spam", "ham", "spam"]
    page = (tmp_path / "data.html").read_text()
    for words in (
        "labels of 12 rows",
        "&#39;spam&#39; (24) and &#39;Spam&#39; (12)",
        "&#39;-&#39; (12)",
    ):
        assert words in page
    assert len(found.report.warnings) == 4  # and the tiny vocabulary


def test_a_missing_value_mark_is_counted_by_name(tiny_model: Path, tmp_path: Path) -> None:
    dataset = write(tmp_path / "data.csv", ["0.5", "1.5", "NA", "2.5"])
    with pytest.raises(InputError, match=r"15 rows \(3, 7, .*\): the label 'NA'"):
        Loaded(tmp_path, tiny_model, dataset)
    found = Loaded(tmp_path, tiny_model, dataset, on_bad_row="drop")
    assert found.report.problem_type == REGRESSION
    dropped = sum(sum(reasons.values()) for reasons in found.report.rows_dropped.values())
    assert dropped == 15
    assert "the label 'NA'" in next(iter(found.report.rows_dropped["train"]))
