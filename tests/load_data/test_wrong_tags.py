"""Words with tags that are incomplete, contradict each other, or belong to another task."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests import tiny
from tests.load_data.refused import Case

DATA = tiny.sentences(60)
GOOD = "\n".join("".join(f"{w}\t{t}\n" for w, t in zip(*row, strict=True)) for row in DATA)
END = GOOD.count("\n") + 1  # of the good lines and a blank one
TAGGED = {"task": "token-classification"}
EVERY = "words, and a tag for each, in every row"
DROP = "--on-bad-row drop ... --on-bad-row repair"
ONE_ROW = {"tokens": ["a"], "tags": ["O"]}


def bad_lines(before: str, after: str, line: int, found: str) -> Case:
    """CoNLL with a bad sentence, which is the first or the last of all."""
    files = {"data.conll": before + GOOD + after}
    where = f"{{file}}, line {line:,}"
    row = 1 if before else len(DATA) + 1
    return Case(files, TAGGED, f"1 row ({row}): ... {found}", where, EVERY, DROP)


def bad_row(tokens: object, tags: object, found: str) -> Case:
    """JSON lines with a bad row as the last."""
    rows = [{"tokens": w, "tags": t} for w, t in DATA] + [{"tokens": tokens, "tags": tags}]
    files = {"data.jsonl": "".join(json.dumps(row) + "\n" for row in rows)}
    return Case(files, TAGGED, f"1 row (61): ... {found}", "{file}", EVERY, DROP)


def conll(content: str, found: str, **parts: Any) -> Case:
    given = TAGGED | parts.pop("given", {})
    return Case({"data.conll": content}, given, found, **parts)


CASES = {
    "an I that continues nothing": bad_lines(
        "", "\nlate\tO\nmoney\tI-payment\n", END + 2, "IOB2: I-payment after O"
    ),
    "a ragged line": bad_lines("late\tO\tx\nshop\tO\n\n", "", 1, "3 cells ... 2"),
    "an empty word": bad_lines("late\tO\n\tO\n\n", "", 2, "empty word"),
    "a word without a tag": bad_lines("", "\nlate\t\nshop\tO\n", END + 1, "without a tag"),
    "a tag of no scheme": bad_lines("late\tpayment\n\n", "", 1, "'payment'"),
    "fewer tags than words": bad_row(["a", "b"], ["O"], "1 tag ... 2 words"),
    "a text for a list of words": bad_row("a b", ["O", "O"], "'tokens'"),
    "a number for a word": bad_row(["a", 3], ["O", "O"], "word"),
    "no words": bad_row([], [], "no word"),
    "an object for a tag": bad_row(["a"], [{}], "tag"),
    "no entity anywhere": conll(
        "late\tO\nshop\tX\n\nlate\tX\n",
        "'O', 'X'",
        given={"problem_type": "entity_recognition"},
        where="column 'tags'",
        remedy="--problem-type word_tagging ... --label-column",
    ),
    "one tag for all": conll(
        "late\tO\nshop\tO\n\nlate\tO\n",
        "same ... 'O'",
        where="column 'tags'",
        remedy="--label-column",
    ),
    "a type that is not learned": Case(
        {"data.conll": GOOD, "test.conll": "late\tB-late\n"},
        TAGGED | {"test_dataset": "{dir}/test.conll"},
        found="1 ... 'B-late'",
        where="{dir}/test.conll (test), row 1",
    ),
    "several columns of tags": conll(
        "late O B-x\nshop X O\n",
        "2 ... columns",
        given={"label_column": "column_2,tags"},
        where="label_column",
        remedy="--label-column column_2",
    ),
    "a pair of texts": conll(
        "late O x\nshop O x\n",
        "text_pair_column ... 'column_2'",
        given={"text_pair_column": "column_2"},
        where="text_pair_column",
        remedy="omit --text-pair-column",
    ),
    "names that do not fit": conll(
        GOOD,
        "column_names ... 3 ... 2",
        given={"column_names": "word,pos,ner"},
        remedy="--column-names tokens,tags",
    ),
    "no sentence": conll("\n \n# nothing\n", "no rows"),
    "a problem type of texts": conll(
        GOOD,
        "problem_type 'regression'",
        given={"problem_type": "regression"},
        where="problem_type",
        expected="entity_recognition, word_tagging",
        remedy="--problem-type auto",
    ),
    "several columns that may be the tags": Case(
        {"data.jsonl": json.dumps({"tokens": ["a"], "pos_tags": ["X"], "ner_tags": ["O"]}) + "\n"},
        TAGGED,
        found="'pos_tags', 'ner_tags'",
        expected="label_column ... 'tokens' (e.g. \"['a']\")",
        remedy="--label-column pos_tags",
    ),
    "the task of texts": Case(
        {"data.conll": GOOD},
        {"text_column": "tokens", "label_column": "tags"},
        found="60 rows (1, 2, 3, 4, 5, ...) ... list ... 'tokens'",
        where="{file}, line 1",
        remedy="--task token-classification",
    ),
    "lists, and the task of texts": Case(
        {"data.jsonl": json.dumps(ONE_ROW) + "\n"},
        found="none has a usual name",
        expected="label_column ... 'tokens' (e.g. \"['a']\")",
        remedy="--task token-classification",
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_tags_that_cannot_be_learned_are_refused(
    case: Case, refuse: Callable[[Case], None]
) -> None:
    refuse(case)
