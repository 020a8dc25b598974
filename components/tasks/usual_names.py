"""Usual names of columns in datasets, the most common ones first.

If several columns have usual names, the one in the earlier group is used; two of the same group are
ambiguous.
"""

from __future__ import annotations

Groups = tuple[tuple[str, ...], ...]

TEXTS: Groups = (
    ("text", "sentence", "utterance", "message", "content", "review", "question"),
    ("comment", "comment_text", "tweet", "query"),
)
LABELS: Groups = (
    ("label", "labels", "category", "intent", "class", "target", "gold_label"),
    ("score", "similarity", "similarity_score", "relatedness_score", "stars", "rating"),
    ("sentiment", "emotion", "emotions", "polarity", "topic", "stance", "is_duplicate", "toxic"),
)
PAIRS = (
    ("sentence1", "sentence2"),
    ("sentence_1", "sentence_2"),
    ("sentence_a", "sentence_b"),
    ("question1", "question2"),
    ("text1", "text2"),
    ("text_1", "text_2"),
    ("text_a", "text_b"),
    ("premise", "hypothesis"),
)
WORDS: Groups = (("tokens", "words", "token", "word", "form", "text", "sentence"),)
TAGS: Groups = (
    (
        *("tags", "ner_tags", "pos_tags", "chunk_tags", "upos", "ner", "pos"),
        *("labels", "label"),
    ),
    ("tag", "ner_tag", "pos_tag", "chunk_tag", "xpos", "iob", "bio"),
)
ANSWERS = {"question", "context", "answers"}  # the columns of SQuAD


def matching(names: list[str], groups: Groups) -> list[str]:
    """The columns whose names are in the earliest group that has any of them."""
    for group in groups:
        if found := [name for name in names if name.strip().lower() in group]:
            return found
    return []


def pair_among(names: list[str]) -> tuple[str, str] | None:
    """The two columns with usual names of a pair of texts; None if there is none, or several.

    With a column named `text`, a pair would be ambiguous.
    """
    lower = {name.strip().lower(): name for name in names}
    found = [(lower[one], lower[two]) for one, two in PAIRS if {one, two} <= lower.keys()]
    return found[0] if len(found) == 1 and "text" not in lower else None


def is_usual(name: str) -> bool:
    """Return True if this is a usual name of a column of texts, labels, words or tags."""
    groups = (*TEXTS, *LABELS, *WORDS, *TAGS, *PAIRS)
    return any(name.strip().lower() in group for group in groups)
