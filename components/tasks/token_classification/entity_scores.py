"""The scores of entities on one split, and the outcome of each entity."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import zip_longest

import numpy as np
from scipy.sparse import csr_array
from sklearn.metrics import confusion_matrix

from kfp_finetune.components.artifacts.metrics import (
    ClassScores,
    EntityErrors,
    MarkedSentence,
    MarkedSpan,
    Metrics,
)
from kfp_finetune.components.tasks.scores.tally import Tally, share, stack
from kfp_finetune.components.tasks.token_classification.decoding import Entity, entities
from kfp_finetune.components.tasks.token_classification.sentences import Sentence
from kfp_finetune.components.tasks.token_classification.tags import OUTSIDE, parse

MOST_SENTENCES = 20
_MOST_WORDS = 80


def measure_entities(
    sentences: Sequence[Sentence],
    label_names: list[str],
    split: str,
    known: set[tuple[str, str]],
    *,
    with_texts: bool,
) -> Metrics:
    """Measure entities strictly: exact span and type.

    Equals seqeval's strict mode with IOB2, which tests compare. (seqeval itself cannot be a pinned
    dependency: only its source is published, whose build dependencies are unpinned.)

    Args:
        sentences: Sentences of the split, at least one.
        label_names: The tags, as the model has them.
        split: The split's name.
        known: The entities of the training data, by words and type; empty if unknown.
        with_texts: Whether sentences are shown.

    Returns:
        Scalars `precision`, `recall` and `f1` over all entities, `macro_f1` (the mean F1 of the
        types that occur or are predicted, as seqeval's macro average), `accuracy` and `loss` of
        words, `outside_baseline_accuracy` (that of always predicting O) and, with training data,
        `seen_recall` and `unseen_recall`: of entities that occur in it, and of entities unseen in
        training. Scores by type, the confusion matrix of words, outcomes, and sentences to read.
    """
    tally = entity_tally(sentences, label_names)
    metrics = tally.overall()
    kinds = _kinds(label_names)
    errors = {kind: EntityErrors(label=kind) for kind in kinds}
    marked: list[list[tuple[float, Sentence, list[MarkedSpan]]]] = [[], []]
    seen: Counter[bool] = Counter()
    seen_right: Counter[bool] = Counter()
    for sentence in sentences:
        true, given = entities(sentence.tags), entities(sentence.predicted)
        spans = compare(true, given)
        for span in spans:
            count = errors[span.label or span.predicted or ""]
            setattr(count, span.kind, getattr(count, span.kind) + 1)
        for entity in true:
            start, stop, kind = entity
            is_seen = (" ".join(sentence.words[start:stop]), kind) in known
            seen[is_seen] += 1
            seen_right[is_seen] += entity in given
        for _, _, kind in given:
            errors[kind].predicted += 1
        # Models are more confident of O than of any entity: missed entities would hide all others.
        wrong = [span for span in spans if span.kind not in ("correct", "missed")]
        missed = [span for span in spans if span.kind == "missed"]
        if wrong or missed:
            surest = _surest(sentence, wrong or missed)
            marked[not wrong].append((surest, sentence, spans))
    tags = [tag for sentence in sentences for tag in sentence.tags]
    metrics["outside_baseline_accuracy"] = tags.count(OUTSIDE) / len(tags)
    for name, is_seen in (("seen_recall", True), ("unseen_recall", False)):
        if known and seen[is_seen]:
            metrics[name] = seen_right[is_seen] / seen[is_seen]
    frequencies = np.array(list(Counter(tags).values())) / len(tags)
    return Metrics(
        split=split,
        num_examples=len(sentences),
        metrics=metrics,
        intervals=tally.intervals(),
        baseline={
            "accuracy": metrics["outside_baseline_accuracy"],
            "f1": 0.0,
            "loss": float(-(frequencies * np.log(frequencies)).sum()),
        },
        per_class=[_scores(errors[kind]) for kind in kinds],
        confusion_matrix=confusion_matrix(
            tags, [tag for s in sentences for tag in s.predicted], labels=label_names
        ).tolist(),
        label_names=label_names,
        entity_errors=list(errors.values()),
        sentences=_worth_reading(marked) if with_texts else [],
    )


def entity_tally(sentences: Sequence[Sentence], label_names: Sequence[str]) -> Tally:
    """Precision, recall and F1 of entities, accuracy and loss of words, of any weighting.

    Args:
        sentences: Sentences of the split, at least one.
        label_names: The tags, as the model has them. Where none marks entities, only words are
            scored, by accuracy, loss and the mean F1 of the tags.
    """
    of_entities = _kinds(label_names)
    kinds = of_entities or list(label_names)
    ids = {kind: i for i, kind in enumerate(kinds)}
    cells: list[tuple[int, int]] = []
    of_words = np.zeros((len(sentences), 3))
    for row, sentence in enumerate(sentences):
        true, given = (
            set(entities(tags) if of_entities else _single_words(tags))
            for tags in (sentence.tags, sentence.predicted)
        )
        for i, found in enumerate((true & given, given, true)):
            cells += ((row, i * len(kinds) + ids[kind]) for _, _, kind in found)
        right = sum(map(str.__eq__, sentence.tags, sentence.predicted))
        of_words[row] = right, len(sentence.words), sentence.loss
    # Sparse, because there may be thousands of tags; equal cells are added up.
    at = tuple(np.array(cells, np.int64).reshape(-1, 2).T)
    counts = csr_array((np.ones(len(cells)), at), shape=(len(sentences), 3 * len(kinds)))

    def scores_of(sums: np.ndarray) -> dict[str, np.ndarray]:
        right, words, loss = sums[:, -3:].T
        both, given, true = np.split(sums[:, :-3], 3, axis=1)
        f1 = share(2 * both, given + true)
        macro_f1 = share(f1.sum(axis=1), (given + true > 0).sum(axis=1))
        scores = {"macro_f1": macro_f1, "accuracy": share(right, words), "loss": share(loss, words)}
        if not of_entities:
            return scores
        both_all, given_all, true_all = (part.sum(axis=1) for part in (both, given, true))
        return {
            "f1": share(2 * both_all, given_all + true_all),
            "precision": share(both_all, given_all),
            "recall": share(both_all, true_all),
        } | scores

    return Tally(stack(counts, of_words), scores_of)


def compare(true: Sequence[Entity], given: Sequence[Entity]) -> list[MarkedSpan]:
    """The outcome of every entity of a sentence.

    A true entity is predicted with its span and type ("correct"), with another type ("wrong_type"),
    with an overlapping span ("wrong_boundary"), with an overlapping span and another type
    ("wrong_both"), or not at all ("missed"). A prediction that overlaps no entity is "spurious".

    Args:
        true: The entities of the data.
        given: The predicted entities.

    Returns:
        Every true entity and every spurious one, with its prediction: the first of the best
        fitting ones if several overlap.
    """
    spans = []
    for entity in true:
        start, stop, kind = entity
        over = [g for g in given if g[0] < stop and start < g[1]]
        same_words = [g for g in over if g[:2] == (start, stop)]
        same_type = [g for g in over if g[2] == kind]
        best = next(iter(same_words or same_type or over), None)
        what = "missed"
        if best is not None:
            right = best[:2] == (start, stop), best[2] == kind
            what = {
                (True, True): "correct",
                (True, False): "wrong_type",
                (False, True): "wrong_boundary",
                (False, False): "wrong_both",
            }[right]
        spans.append(
            MarkedSpan(
                start=start,
                stop=stop,
                label=kind,
                predicted=best[2] if best else None,
                predicted_start=best[0] if best else None,
                predicted_stop=best[1] if best else None,
                kind=what,
            )
        )
    for start, stop, kind in given:
        if not any(t[0] < stop and start < t[1] for t in true):
            spans.append(MarkedSpan(start=start, stop=stop, predicted=kind, kind="spurious"))
    return sorted(spans, key=lambda span: span.start)


def _single_words(tags: Sequence[str]) -> list[Entity]:
    """Every word as a span with its tag."""
    return [(i, i + 1, tag) for i, tag in enumerate(tags)]


def _kinds(label_names: Sequence[str]) -> list[str]:
    """The types of entities that tags mark."""
    return sorted({kind for _, kind in map(parse, label_names)} - {""})


def _scores(errors: EntityErrors) -> ClassScores:
    support = (
        errors.correct
        + errors.wrong_type
        + errors.wrong_boundary
        + errors.wrong_both
        + errors.missed
    )
    return ClassScores(
        label=errors.label,
        precision=errors.correct / max(errors.predicted, 1),
        recall=errors.correct / max(support, 1),
        f1=2 * errors.correct / max(errors.predicted + support, 1),
        support=support,
    )


def _surest(sentence: Sentence, spans: Sequence[MarkedSpan]) -> float:
    """The probability of the most confident mistake."""
    return max(float(sentence.confidence[span.start : span.stop].min()) for span in spans)


def _worth_reading(
    marked: Sequence[list[tuple[float, Sentence, list[MarkedSpan]]]],
) -> list[MarkedSentence]:
    """The most confident mistakes, alternating between wrong and merely missed entities."""
    ordered = [sorted(part, key=lambda one: -one[0]) for part in marked]
    taken = [one for pair in zip_longest(*ordered) for one in pair if one is not None]
    return [_marked(sentence, spans) for _, sentence, spans in taken[:MOST_SENTENCES]]


def _marked(sentence: Sentence, spans: Sequence[MarkedSpan]) -> MarkedSentence:
    words = sentence.words[:_MOST_WORDS]
    return MarkedSentence(
        row=sentence.row + 1,
        words=words,
        more_words=len(sentence.words) - len(words),
        spans=[span for span in spans if span.stop <= len(words)],
    )
