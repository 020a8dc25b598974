"""CoNLL files whose lines are easily taken for something else."""

from __future__ import annotations

from pathlib import Path

import pytest

from kfp_finetune.components.load_data.opening import ReadOptions, open_source

CONLL = ReadOptions(plain_text="conll")
EMPTY = "\t_" * 8

# A file's name and content; its sentences, its last column or None, and the ends of its notes.
FILES: dict[str, tuple[str, str, list[list[str]], list[list[str]] | None, list[str]]] = {
    "comments with as many cells as a word": (
        "data.conll",
        "# sent_id = 1\n# text = a b\na DT B-N O\nb NN I-N B-x\n\n# sent_id = 2\nc NN B-N O\n",
        [["a", "b"], ["c"]],
        [["O", "B-x"], ["O"]],
        [],
    ),
    "comments with a tab": (
        "data.conll",
        "# id 5-a\tdomain=x\na _ _ O\nb _ _ B-x\n\n# id 7-b\tdomain=x\nc _ _ O\n",
        [["a", "b"], ["c"]],
        [["O", "B-x"], ["O"]],
        [],
    ),
    "words that begin with #": (
        "data.conll",
        "# SYM O\n1 CD O\n\n#tag NN B-x\n# SYM O\n",
        [["#", "1"], ["#tag", "#"]],
        [["O", "O"], ["B-x", "O"]],
        [],
    ),
    "words that are numbered": (
        "data.conll",
        "1\ta\tO\n2\tb\tB-x\n\n1\tc\tO\n",
        [["a", "b"], ["c"]],
        [["O", "B-x"], ["O"]],
        ["the first column numbers the words and is called id"],
    ),
    "words that are numbered from 0, and comments": (
        "data.conll",
        "#\thttp://x [2020]\n0\ta\tO\tO\n1\tb\tB-x\tO\n\n#\ty\n0\tc\tO\tO\n",
        [["a", "b"], ["c"]],
        [["O", "O"], ["O"]],
        ["the first column numbers the words and is called id"],
    ),
    "words that are numbers": (
        "data.conll",
        "1 CD\n0 CD\n\n1 CD\n",
        [["1", "0"], ["1"]],
        [["CD", "CD"], ["CD"]],
        [],
    ),
    "tags of entities before the words": (
        "data.conll",
        "O\ta\nB-x\tb\n\nO\tc\n",
        [["a", "b"], ["c"]],
        [["O", "B-x"], ["O"]],
        ["the tags are before the words"],
    ),
    "other tags before the words, numbered": (
        "data.conll",
        "".join(f"1\tNN\tw{i}\n2\tVB\tv{i}\n\n" for i in range(30)),
        [[f"w{i}", f"v{i}"] for i in range(30)],
        [["NN", "VB"]] * 30,
        [
            "the first column numbers the words and is called id",
            "the tags are before the words",
        ],
    ),
    "a line that names the columns, in every part": (
        "data.conll",
        "FORM\tXPOS\na\tO\nb\tB-x\n\nFORM\tXPOS\nc\tO\n",
        [["a", "b"], ["c"]],
        [["O", "B-x"], ["O"]],
        ["lines that name the columns: 2"],
    ),
    "a first sentence of words that could be names": (
        "data.conll",
        "word O\nof O\n\nc B-x\n",
        [["word", "of"], ["c"]],
        [["O", "O"], ["B-x"]],
        [],
    ),
    "a comment within a sentence": (
        "data.conll",
        "a\tO\n#tag\nb\tO\n\nc\tO\n",
        [["a", "b"], ["c"]],
        [["O", "O"], ["O"]],
        ["lines within sentences that begin with # and are read as comments: 1"],
    ),
    "no-break and ideographic spaces": (
        "data.conll",
        "10\u00a0000 O\n\u3000 O\n\n a  B-x \n",
        [["10\u00a0000", "\u3000"], ["a"]],
        [["O", "O"], ["B-x"]],
        [],
    ),
    "words that cannot be seen, and an empty one": (
        "data.conll",
        "a\tO\n\u200b\tO\n\ufeff\tO\n\tO\n\n b c \tB-x\n",
        [["a", "\u200b", "\ufeff", ""], ["b c"]],
        [["O", "O", "O", "O"], ["B-x"]],
        [],
    ),
    "documents, and white space between": (
        "data.testa",
        "-DOCSTART- -X- O\n\na DT O\n \nb NN O\n-DOCSTART- -X- O\nc NN O",
        [["a"], ["b"], ["c"]],
        [["O"], ["O"], ["O"]],
        [
            "lines between sentences that contain only white space: 1",
            "-DOCSTART- lines omitted: 2",
        ],
    ),
    "a .tsv of words": (
        "data.tsv",
        "a\tO\nb\tB-x\n\nc\tO\n",
        [["a", "b"], ["c"]],
        [["O", "B-x"], ["O"]],
        ["data.tsv has blank lines between blocks of lines: read as CoNLL"],
    ),
    "CoNLL-U with an id that is none": (
        "data.conllu",
        f"1\ta{EMPTY}\nx\tb{EMPTY}\n\n1-2\tcd{EMPTY}\n1\tc{EMPTY}\n",
        [["a", "b"], ["c"]],
        None,
        ["lines of multiword tokens and empty nodes omitted: 1"],
    ),
    "words alone": ("data.conll", "a\nb\n\n# two cells\nc\n", [["a", "b"], ["c"]], None, []),
}


@pytest.mark.parametrize("case", FILES)
def test_words_are_distinguished_from_other_lines(case: str, tmp_path: Path) -> None:
    name, content, words, tags, notes = FILES[case]
    (tmp_path / name).write_text(content, encoding="utf-8", newline="")
    source = open_source(str(tmp_path / name), options=CONLL)
    batches = list(source.read())
    assert source.rows == len(words)
    named = "FORM" in source.columns
    of_words, of_tags = ("FORM", "XPOS") if named else ("tokens", "tags")
    assert [batch.columns[of_words] for batch in batches] == [words]
    assert tags is None or [batch.columns[of_tags] for batch in batches] == [tags]
    assert not any(batch.problems for batch in batches)
    assert len(source.notes) == len(notes)
    assert all(said.endswith(end) for said, end in zip(source.notes, notes, strict=True))


def test_blank_lines_at_the_end_make_no_words_of_a_table(tmp_path: Path) -> None:
    (tmp_path / "data.tsv").write_text("text\tlabel\na b\tx\nc d\ty\n\n\n")
    assert open_source(str(tmp_path / "data.tsv"), options=CONLL).columns == ["text", "label"]
