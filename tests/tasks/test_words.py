"""Texts are split into words, which keep their positions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_finetune.components.tasks.token_classification.words import words_of


@given(st.text())
def test_every_character_but_white_space_is_in_a_word(text: str) -> None:
    words, starts, whole = words_of(text)
    assert whole == text
    assert "".join(words) == "".join(text.split())
    assert all(text[at : at + len(w)] == w for w, at in zip(words, starts, strict=True))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ada's in London.", ["Ada's", "in", "London", "."]),
        ("(U.S. firm)", ["(", "U.S", ".", "firm", ")"]),
        ("@ada_l #maths http://x.co/a?b=1, ok", ["@ada_l", "#maths", "http://x.co/a?b=1,", "ok"]),
        ("well-known 3.14", ["well-known", "3.14"]),
        ("नमस्ते दुनिया", ["नमस्ते", "दुनिया"]),
        ("我在北京", ["我", "在", "北", "京"]),
        ("fun😀😀!", ["fun", "😀", "😀", "!"]),
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    assert words_of(text)[0] == expected


def test_given_words_are_unchanged() -> None:
    words, starts, text = words_of(["New York", "'s", "mayor"])
    assert text == "New York 's mayor"
    assert [text[at : at + len(w)] for w, at in zip(words, starts, strict=True)] == words
