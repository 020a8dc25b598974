"""Tags of all schemes mark the same entities, and violations are found."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_finetune.components.tasks.token_classification.decoding import best_tags, entities
from kfp_finetune.components.tasks.token_classification.tags import (
    IOB1,
    IOB2,
    IOBES,
    find_scheme,
    iob2_names,
    mark_entities,
    parse,
    to_iob2,
    violations,
)

TYPES = ("person", "place-name")
# Parts of a sentence: an entity of some words, or a word without an entity.
SENTENCES = st.lists(st.tuples(st.integers(1, 3), st.sampled_from([*TYPES, ""])), max_size=8)


def write(sentence: list[tuple[int, str]], scheme: str) -> list[str]:
    """The tags of a sentence."""
    tags: list[str] = []
    for length, kind in sentence:
        if not kind:
            tags += ["O"] * length
            continue
        follows = bool(tags) and tags[-1].endswith(f"-{kind}")
        letters = {
            IOB2: ["B", *"I" * (length - 1)],
            IOB1: ["B" if follows else "I", *"I" * (length - 1)],
            IOBES: ["S"] if length == 1 else ["B", *"I" * (length - 2), "E"],
            "BILOU": ["U"] if length == 1 else ["B", *"I" * (length - 2), "L"],
            "BMES": ["S"] if length == 1 else ["B", *"M" * (length - 2), "E"],
        }[scheme]
        tags += [f"{letter}-{kind}" for letter in letters]
    return tags


@given(SENTENCES)
def test_every_scheme_becomes_the_same_iob2(sentence: list[tuple[int, str]]) -> None:
    expected = write(sentence, IOB2)
    for scheme in (IOB1, IOB2, IOBES, "BILOU", "BMES"):
        tags = write(sentence, scheme)
        assert to_iob2(tags) == expected
        assert {"BILOU": IOBES, "BMES": IOBES}.get(scheme, scheme) not in violations(tags)
    found = []
    at = 0
    for length, kind in sentence:
        if kind:
            found.append((at, at + length, kind))
        at += length
    assert entities(expected) == found


@given(st.lists(SENTENCES, min_size=1, max_size=5))
def test_the_scheme_is_detected_unless_both_fit(data: list[list[tuple[int, str]]]) -> None:
    for scheme in (IOB1, IOB2, IOBES):
        tags = [write(sentence, scheme) for sentence in data]
        wrong = {s: sum(s in violations(t) for t in tags) for s in (IOB1, IOB2, IOBES)}
        found = find_scheme({parse(tag)[0] for t in tags for tag in t}, wrong)
        assert found == scheme or wrong[found] == 0


@pytest.mark.parametrize(
    ("tags", "scheme", "word", "said"),
    [
        (["O", "I-a"], IOB2, 1, "I-a after O"),
        (["I-a"], IOB2, 0, "I-a after the beginning"),
        (["B-a", "I-b"], IOB2, 1, "I-b after B-a"),
        (["O", "B-a"], IOB1, 1, "B-a after O"),
        (["I-a", "B-b"], IOB1, 1, "B-b after I-a"),
        (["S-a", "I-a"], IOBES, 1, "I-a after S-a"),
        (["B-a", "O"], IOBES, 1, "O after B-a"),
        (["O", "B-a"], IOBES, 1, "the end after B-a"),
        (["B-a", "E-b"], IOBES, 1, "E-b after B-a"),
    ],
)
def test_violations_of_a_scheme(tags: list[str], scheme: str, word: int, said: str) -> None:
    assert violations(tags)[scheme] == (word, said)
    assert scheme not in violations(["O"] * 3)


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        (["O", "B-a", "I-a"], True),
        (["B-a", "I-a"], True),
        (["S-a", "O", "PER"], True),  # which is then an error, and no tag of its own
        (["NOUN", "VERB", "O"], False),
        (["O"], False),
        (["-LRB-", "NN", "HYPH"], False),
        (["B-", "NN"], False),
    ],
)
def test_whether_tags_mark_entities(tags: list[str], expected: bool) -> None:
    assert mark_entities(tags) is expected


def test_the_best_tags_are_the_most_probable_valid_ones() -> None:
    names = iob2_names(TYPES)
    random = np.random.default_rng(0)
    for count in (1, 2, 4):
        for _ in range(20):
            logits = random.normal(size=(count, len(names)))
            scores = {
                ids: sum(logits[i, k] for i, k in enumerate(ids))
                for ids in product(range(len(names)), repeat=count)
                if IOB2 not in violations([names[k] for k in ids])
            }
            assert tuple(best_tags(logits, names)) == max(scores, key=scores.__getitem__)
    logits = random.normal(size=(50, 3))
    assert (best_tags(logits, ["NOUN", "VERB", "X"]) == logits.argmax(axis=1)).all()
