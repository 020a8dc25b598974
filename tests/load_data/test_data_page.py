"""The data report as people read it."""

from __future__ import annotations

import re
from pathlib import Path

from kfp_finetune.components.artifacts import data_report
from kfp_finetune.components.load_data.dataset import load_data
from kfp_finetune.components.load_data.findings import describe_data
from kfp_finetune.components.load_data.parameters import Parameters
from kfp_finetune.components.load_data.report_page import render_data_report
from tests import tiny
from tests.evaluate.inputs import make_data_report


def text_of(page: str) -> str:
    body = page.partition("</style>")[2].partition("<script>")[0]
    return " ".join(re.sub(r"<[^>]*>", " ", body).split())


def csv_of(path: Path, texts: list[str], first: int = 0) -> str:
    """Numbers from 0 to 9.5 as labels, in steps of 0.5."""
    lines = [f'"{text}",{(first + i) % 20 / 2}' for i, text in enumerate(texts)]
    path.write_text("text,score\n" + "\n".join(lines) + "\n")
    return str(path)


def test_the_page_shows_numbers_sources_and_texts_in_two_splits(
    tiny_model: Path, tmp_path: Path
) -> None:
    texts = [f"{row['text']} {i}" for i, row in enumerate(tiny.rows(60))]
    load_data(
        Parameters(
            dataset=csv_of(tmp_path / "spring.csv", texts[:40]),
            validation_dataset=csv_of(tmp_path / "summer.csv", texts[38:50], 38),
            test_dataset=csv_of(tmp_path / "autumn.csv", texts[47:], 47),
            model=str(tiny_model),
            max_length=16,
        ),
        str(tmp_path / "out"),
        str(tmp_path / "data.html"),
    )
    page = (tmp_path / "data.html").read_text()
    text, report = text_of(page), data_report.read(tmp_path / "out")
    for part in (
        "train from spring.csv 40",
        "validation from summer.csv 12",
        "test from autumn.csv 13",
        "Texts in two splits train and validation 2 of the train rows train and test 0 of the"
        " train rows validation and test 3 of the validation rows",
        "3 validation texts also occur in the test split",
        "Numbers 0 to 9.5 mean",
        "Range Training rows Validation Test 0 to 0.95 4",
        f"Pieces per word {report.pieces_per_word:.2f}",
    ):
        assert part in text
    assert report.numbers is not None
    for split, rows in (("train", 40), ("validation", 12), ("test", 13)):
        assert sum(part.rows[split] for part in report.numbers.bins) == rows


def test_the_tag_of_everything_else_has_no_bar() -> None:
    counts = {"O": 5000, "B-person": 50, "I-person": 25}
    page = render_data_report(
        make_data_report(
            list(counts),
            unit="words",
            problem_type="entity_recognition",
            labels={name: {"train": n, "validation": 7, "test": 8} for name, n in counts.items()},
        )
    )
    assert re.findall(r'width:([\d.]+)%"></i></span> ([\d,]+)', page) == [
        ("100.0", "50"),
        ("50.0", "25"),
    ]
    assert "is not drawn: 5,000 training, 7 validation and 8 test words" in text_of(page)
    assert '<span class="whole">--drop-overlap</span>' in page


def test_a_tokenizer_that_splits_words_into_many_pieces_is_questioned(
    tiny_model: Path, tmp_path: Path
) -> None:
    rows = [f'"{" ".join(row["text"])}",{row["label"]}' for row in tiny.rows(60)]
    (tmp_path / "data.csv").write_text("text,label\n" + "\n".join(rows) + "\n")
    manifest = load_data(
        Parameters(dataset=str(tmp_path / "data.csv"), model=str(tiny_model), max_length=16),
        str(tmp_path / "out"),
        str(tmp_path / "data.html"),
    )
    counts = {split: [0] * len(manifest.label_names) for split in manifest.splits}
    found = {}
    for pieces in (1.2, 1.9):

        class Counted:
            pieces_per_word = pieces
            unknown, kept = 0, 1

            def percentile(self, share: float) -> int:
                return 9

        report = describe_data(manifest, counts, Counted(), [])  # type: ignore[arg-type]
        found[pieces] = [w for w in report.warnings if "is it for this language?" in w]
    assert found[1.2] == []
    assert "splits a word into 1.9 pieces on average" in found[1.9][0]
