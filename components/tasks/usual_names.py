"""Names that datasets commonly give to columns, the most usual ones first.

Of several columns with usual names the one whose name is in the earlier group is meant; two of one
group are not chosen between.
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
ANSWERS = {"question", "context", "answers"}  # as SQuAD calls the columns of its rows


def matching(names: list[str], groups: Groups) -> list[str]:
    """Those of some columns that are in the earliest group of usual names that has one."""
    for group in groups:
        if found := [name for name in names if name.strip().lower() in group]:
            return found
    return []


def pair_among(names: list[str]) -> tuple[str, str] | None:
    """The two columns that are commonly a pair of texts; None if there is none, or more than one.

    A column with the most usual name of a single text leaves that open.
    """
    lower = {name.strip().lower(): name for name in names}
    found = [(lower[one], lower[two]) for one, two in PAIRS if {one, two} <= lower.keys()]
    return found[0] if len(found) == 1 and "text" not in lower else None


def is_usual(name: str) -> bool:
    """Whether a column of texts, labels, words or tags commonly has this name."""
    groups = (*TEXTS, *LABELS, *WORDS, *TAGS, *PAIRS)
    return any(name.strip().lower() in group for group in groups)
