"""The report on a model: what each section shows."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from kfp_finetune.components.artifacts.model import StoppedAt
from kfp_finetune.components.artifacts.tokenized_dataset import (
    SplitCounts,
)
from kfp_finetune.components.evaluate.confusion import (
    confusion_matrices,
    confusion_picture,
    roc_curves,
)
from kfp_finetune.components.evaluate.report_page import render_report
from kfp_finetune.components.export.model_card import render_model_card
from kfp_finetune.components.tasks.text_classification.measure import measure
from kfp_finetune.components.tasks.text_classification.problem_types import (
    MULTI_LABEL,
    REGRESSION,
    SINGLE_LABEL,
)
from kfp_finetune.components.tasks.text_classification.task import TASK
from kfp_finetune.runs.scores import lines
from tests.evaluate.inputs import (
    make_inputs,
    names_of,
    synthetic_predictions,
)
from tests.evaluate.outline import HOSTILE, Outline


@pytest.fixture(scope="module")
def page() -> str:
    return render_report(*make_inputs(names_of(6)))


@pytest.mark.parametrize(
    ("problem_type", "count", "between"),
    [
        (SINGLE_LABEL, 6, ["confusion", "classes", "calibration"]),
        (MULTI_LABEL, 28, ["classes", "calibration"]),
        (REGRESSION, 0, ["predictions"]),
    ],
)
def test_every_tag_is_closed_and_sections_come_in_reading_order(
    problem_type: str, count: int, between: list[str]
) -> None:
    outline = Outline(render_report(*make_inputs(names_of(count), problem_type=problem_type)))
    assert outline.open == []
    last = ["slices", "mistakes", "data", "reproduce"]
    assert outline.sections == ["verdict", "metrics", "curves", *between, *last]


@pytest.mark.parametrize(
    ("problem_type", "count"),
    [
        *((SINGLE_LABEL, count) for count in (2, 6, 20, 21, 77)),
        *((MULTI_LABEL, count) for count in (1, 2, 28, 300)),
        (REGRESSION, 0),
    ],
)
def test_nothing_refers_to_the_network_and_the_page_stays_small(
    problem_type: str, count: int
) -> None:
    page = render_report(*make_inputs(names_of(count), problem_type=problem_type))
    assert Outline(page).addresses == ["data:,"]
    assert not re.search(r"https?://|url\(|@import|fetch\(|XMLHttp", page)
    assert len(page.encode()) < 2_000_000


def test_77_classes_that_are_all_confused_still_stay_under_two_megabytes() -> None:
    page = render_report(*make_inputs(names_of(77), skill=-2, steps_per_epoch=20_000))
    assert len(page.encode()) < 2_000_000


def test_the_same_input_gives_the_same_bytes(page: str) -> None:
    assert render_report(*make_inputs(names_of(6))) == page


@pytest.mark.parametrize("problem_type", [SINGLE_LABEL, MULTI_LABEL, REGRESSION])
def test_text_from_data_is_escaped_everywhere(problem_type: str) -> None:
    names = [] if problem_type == REGRESSION else [HOSTILE, "b", "c"]
    metrics, model, log, dataset = make_inputs(
        names, problem_type=problem_type, text=HOSTILE, column=HOSTILE
    )
    model = model.model_copy(
        update={
            "base_model": HOSTILE,
            "environment": {HOSTILE: HOSTILE},
            "stopped_at": StoppedAt(step=5, reason=HOSTILE),
        }
    )
    counts = SplitCounts(rows_read=2, rows=1, dropped={HOSTILE: 1})
    dataset = dataset.model_copy(
        update={"dataset": HOSTILE, "text_column": HOSTILE, "splits": {HOSTILE: counts}}
    )
    page = render_report(metrics.model_copy(update={"split": HOSTILE}), model, log, dataset)
    outline = Outline(page)
    assert outline.tags.count("script") == 1
    assert "<b>bold</b>" not in page
    assert "<b>bold</b>" in outline.text


def test_the_verdict_has_accuracy_f1_examples_labels_and_baseline(page: str) -> None:
    metrics = make_inputs(names_of(6))[0]
    scores = metrics.metrics
    text = Outline(page).text
    for part in (
        f"{scores['accuracy']:.1%} of {metrics.num_examples} test examples of 6 labels",
        f"{scores['majority_baseline_accuracy']:.1%} for always predicting the most frequent label",
        f"macro-F1 is {scores['macro_f1']:.3f}",
    ):
        assert part in text


def test_a_model_no_better_than_a_constant_answer_is_reported() -> None:
    _, model, log, dataset = make_inputs(["a", "b"])
    metrics = measure(
        SINGLE_LABEL, np.array([0, 0, 1]), np.array([[1.0, 0.0]] * 3), ["a", "b"], "test"
    )
    assert "no better than a constant answer" in render_report(metrics, model, log, dataset)


def test_the_positive_label_has_its_own_scores() -> None:
    _, model, log, dataset = make_inputs(["ham", "spam"])
    model.positive_label = "ham"
    model.validation_metrics["f1"] = 0.625
    labels = np.array([0, 0, 0, 1, 1, 1, 1, 1])
    logits = np.array([[2.0, 0], [2, 0], [0, 2], [2, 0], [0, 2], [0, 2], [0, 2], [0, 2]])
    metrics = measure(SINGLE_LABEL, labels, logits, ["ham", "spam"], "test", positive_label="ham")
    text = Outline(render_report(metrics, model, log, dataset)).text
    for part in (
        "and F1 of ham is 0.667",
        "Precision of ham 0.667",
        "Recall of ham 0.667",
        "Validation F1 of ham 0.625",
    ):
        assert part in text
    card = render_model_card("someone/texts", model, metrics)
    assert "| f1 of ham | 0.667 |" in card
    assert dict(lines(metrics))["recall of ham"].startswith("0.6667")  # in the terminal


def test_the_multi_label_page_shows_f1_baseline_and_curve() -> None:
    inputs = make_inputs(names_of(28), problem_type=MULTI_LABEL)
    scores, text = inputs[0].metrics, Outline(render_report(*inputs)).text
    for part in (
        f"Micro-F1 is {scores['micro_f1']:.3f} on 1,680 test examples of 28 labels",
        f"against {scores['constant_baseline_micro_f1']:.3f} for always predicting the same labels",
        f"{scores['subset_accuracy']:.1%} have exactly the right labels",
        "Validation micro-F1",
        f"Log loss {scores['loss']:.3f}",
    ):
        assert part in text


def test_the_regression_page_shows_error_baseline_and_curve() -> None:
    inputs = make_inputs([], problem_type=REGRESSION)
    scores, text = inputs[0].metrics, Outline(render_report(*inputs)).text
    for part in (
        f"Predictions are off by {scores['mae']:.3f} on average over 600 test examples",
        f"against {scores['mean_baseline_mae']:.3f} for always predicting the mean",
        f"R² is {scores['r2']:.3f}",
        "Validation mean absolute error",
    ):
        assert part in text
    assert "confus" not in text.lower()


@pytest.mark.parametrize(
    ("problem_type", "labels", "logits"),
    [
        (MULTI_LABEL, [[1, 0], [1, 1], [0, 1], [1, 0]], [[1, -1]] * 4),
        (MULTI_LABEL, [[0, 0]], [[-1, -1]]),
        (REGRESSION, [[1], [2], [3]], [[2]] * 3),
        (REGRESSION, [[2], [2]], [[1], [3]]),
    ],
)
def test_other_constant_answers_are_reported_too(
    problem_type: str, labels: list[list[int]], logits: list[list[int]]
) -> None:
    names = ["a", "b"] if problem_type == MULTI_LABEL else []
    _, model, log, dataset = make_inputs(names, problem_type=problem_type)
    metrics = measure(problem_type, np.array(labels), np.array(logits), names, "test")
    page = render_report(metrics, model, log, dataset)
    assert "no better than a constant answer" in page


def test_large_numbers_are_written_in_their_own_unit() -> None:
    _, model, log, dataset = make_inputs([], problem_type=REGRESSION)
    prices = np.array([[120e3], [250e3], [400e3]])
    metrics = measure(REGRESSION, prices, prices + 13_500, [], "test")
    assert "off by 13,500 on average" in Outline(render_report(metrics, model, log, dataset)).text


@pytest.mark.parametrize(
    ("problem_type", "count", "matrices"),
    [(SINGLE_LABEL, 3, 1), (MULTI_LABEL, 3, 0), (MULTI_LABEL, 28, 0), (REGRESSION, 0, 0)],
)
def test_only_one_label_per_example_has_a_confusion_matrix(
    problem_type: str, count: int, matrices: int
) -> None:
    metrics = make_inputs(names_of(count), problem_type=problem_type)[0]
    assert confusion_matrices(metrics) == [(names_of(3), metrics.confusion_matrix)] * matrices


def test_with_many_labels_the_most_confused_ones_are_shown() -> None:
    metrics = make_inputs(names_of(77))[0]
    ((names, small),) = confusion_matrices(metrics)
    whole = np.array(metrics.confusion_matrix)
    assert len(names) == len(small) == 20
    assert names[-1] == "58 other labels"
    assert np.sum(small) == whole.sum()
    for i, name in enumerate(names[:-1]):
        label = metrics.label_names.index(name)
        assert sum(small[i]) == whole[label].sum()
        assert small[i][i] == whole[label, label]


def test_the_matrix_of_very_many_labels_is_limited() -> None:
    metrics = make_inputs(names_of(600))[0]
    assert metrics.confusion_matrix == []
    ((names, small),) = confusion_matrices(metrics)
    assert len(names) == 20
    assert np.sum(small) == metrics.num_examples
    picture = confusion_picture(metrics)
    assert picture is not None
    assert picture["size"] == len(picture["labels"]) == len(picture["rows"]) == 500
    assert sum(count for row in picture["rows"] for _, count in row) == metrics.num_examples


def test_two_labels_have_a_roc_curve() -> None:
    ((false, true, thresholds),) = roc_curves(make_inputs(names_of(2))[0])
    assert (false[0], true[0], false[-1], true[-1]) == (0, 0, 1, 1)
    assert thresholds == sorted(thresholds, reverse=True)
    assert roc_curves(make_inputs(names_of(3))[0]) == []


def test_the_page_shows_intervals_calibration_slices_and_mistakes(page: str) -> None:
    metrics = make_inputs(names_of(6))[0]
    text = Outline(page).text
    low, high = metrics.intervals["accuracy"]
    surest = metrics.mistakes[0]
    pair = metrics.confused_pairs[0]
    for part in (
        f"{low:.1%} to {high:.1%}, baseline {metrics.baseline['accuracy']:.1%}",
        f"ECE {metrics.metrics['calibrated_ece']:.3f}",
        "By channel",
        f"{pair.count}, {pair.share:.1%} of the label",
        f"row {surest.row}",
        f"{surest.confidence:.1%}",
        str(surest.text),
    ):
        assert part in text
    assert pair.count == max(np.array(metrics.confusion_matrix)[~np.eye(6, dtype=bool)])


def test_possible_label_errors_are_marked_in_the_list_of_errors() -> None:
    inputs = make_inputs(names_of(6))
    mistakes, suspected = inputs[0].mistakes, inputs[0].suspected_label_errors
    rows = {example.row for example in [*mistakes, *suspected]}
    text = Outline(render_report(*inputs)).text.partition("Most confident errors")[2]
    shown = re.findall(r"row (\S+)\s+labelled", text)
    assert sorted(shown) == sorted(f"{row:,}" for row in rows)
    assert text.count("label may be wrong") == len(suspected) > 0


def test_the_most_confident_error_shows_whether_its_label_was_predicted() -> None:
    _, model, log, dataset = make_inputs(["a", "b"], problem_type=MULTI_LABEL)
    truth, logits = np.array([[1, 0], [0, 0]]), np.array([[-4.0, -1], [-1, 3]])
    predictions = synthetic_predictions(np.random.default_rng(1), truth, logits, "text", "channel")
    metrics = TASK.score(predictions, pa.table({}), model, dataset, "test", with_texts=True)
    text = Outline(render_report(metrics, model, log, dataset)).text
    assert "most confident error: a is absent, 98.2%" in text
    assert "most confident error: b is present, 95.3%" in text


def test_a_temperature_that_does_not_help_is_reported() -> None:
    metrics, *others = make_inputs(names_of(6))
    found = metrics.calibration
    assert found is not None
    for ece, loss in ((0.2, 0.2), (0.2, 0.6), (0.4, 0.2), (0.4, 0.6)):
        before = found.before.model_copy(update={"ece": 0.3, "loss": 0.5})
        after = found.before.model_copy(update={"ece": ece, "loss": loss})
        changed = found.model_copy(update={"before": before, "after": after})
        page = render_report(metrics.model_copy(update={"calibration": changed}), *others)
        shown = Outline(page).text
        assert ("the calibration error is 0.400 with it and 0.300 without it" in shown) == (
            ece > 0.3
        )
        assert ("the log loss is 0.600 with it and 0.500 without it" in shown) == (loss > 0.5)
        assert ("the temperature does not help" in shown) == (ece > 0.3 or loss > 0.5)


def test_a_rejected_temperature_is_reported() -> None:
    metrics, *others = make_inputs(names_of(6))
    assert metrics.calibration is not None
    shown = "A temperature of 1.250 was fitted but is not used"
    assert shown not in Outline(render_report(metrics, *others)).text
    metrics.calibration.rejected_temperature = 1.25
    assert shown in Outline(render_report(metrics, *others)).text


def test_data_and_environment_are_read_by_people() -> None:
    metrics, model, log, dataset = make_inputs(names_of(6))
    environment = {
        "processor": "AMD EPYC (avx avx2 fma)",
        "devices": ["/physical_device:CPU:0", "/physical_device:GPU:0", "/physical_device:GPU:1"],
        "variables": {},
        "op_determinism": True,
    }
    prints = {"base_model_fingerprint": "b" * 64, "dataset_fingerprint": "d" * 64}
    model = model.model_copy(update={"environment": environment, **prints})
    splits = {
        "train": SplitCounts(source="/data/train.csv", rows_read=9, rows=9),
        "test": SplitCounts(source="/data/later.csv", rows_read=5, rows=5),
    }
    dataset = dataset.model_copy(update={"splits": splits, "longest": 301} | prints)
    page = render_report(metrics, model, log, dataset)
    text, folded = Outline(page).text, page.partition('<details class="sub">')[2]
    assert "Evaluation on the test split: later.csv" in text
    assert "test from later.csv" in text
    assert "Longest input 301 tokens" in text
    assert "Truncated at 128 tokens" in text
    assert "devices 1 CPU, 2 GPUs" in text
    assert "deterministic operations yes" in text
    assert "{}" not in text
    for long in ("b" * 64, "d" * 64, "avx avx2 fma"):
        assert page.count(long) == folded.count(long) == 1


def test_a_score_near_zero_is_no_scientific_number() -> None:
    metrics, *others = make_inputs(names_of(6))
    baseline = metrics.baseline | {"macro_f1": 4.68e-4}
    page = render_report(metrics.model_copy(update={"baseline": baseline}), *others)
    assert "baseline 0.000" in Outline(page).text
    assert "e-04" not in Outline(page).text.partition("How to reproduce")[0]


@pytest.mark.parametrize("problem_type", [SINGLE_LABEL, MULTI_LABEL, REGRESSION])
def test_omitted_texts_are_nowhere(problem_type: str) -> None:
    names = [] if problem_type == REGRESSION else names_of(6)
    inputs = make_inputs(names, problem_type=problem_type, text="secret", with_texts=False)
    assert inputs[0].mistakes
    assert "secret" not in inputs[0].model_dump_json()
    assert "secret" not in render_report(*inputs)
    shown = make_inputs(names, problem_type=problem_type, text="secret")
    assert "secret" in render_report(*shown)


def test_the_page_shows_the_plan_and_row_counts(page: str) -> None:
    text = Outline(page).text
    assert "9,003 examples ÷ 32 = 282 steps × 3 epochs = 846 steps" in text
    assert "empty text 7, missing label 3" in text
    assert "1.2%" in text


def test_predicted_numbers_are_drawn_against_the_true_ones() -> None:
    inputs = make_inputs([], problem_type=REGRESSION)
    pairs, scores = inputs[0].predicted_numbers, inputs[0].metrics
    page = render_report(*inputs)
    assert pairs is not None
    section = page.partition('<section id="predictions">')[2].partition("</section>")[0]
    path = section.partition('class="dots points" d="')[2].partition('"')[0]
    drawn = np.array([[*map(float, p.split())] for p in re.findall(r"M([\d. ]+)h0", path)])
    assert drawn.shape == (len(pairs.labels), 2) == (600, 2)
    # The same scale on both axes: a point on the diagonal has x + y = 1000.
    off = np.array(pairs.predicted) - np.array(pairs.labels)
    assert np.corrcoef(1000 - drawn[:, 1] - drawn[:, 0], off)[0, 1] > 0.999
    for name in ("pearson", "spearman"):
        assert f"{name.capitalize()} {scores[name]:.3f}" in section
    counts = [int(n) for n in re.findall(r"\"(\d+) examples?\"", section)]
    assert sum(counts) == 600


def test_a_label_without_examples_has_no_scores() -> None:
    _, model, log, dataset = make_inputs(["a", "b", "c"])
    metrics = measure(SINGLE_LABEL, np.array([0, 1]), np.eye(3)[:2], ["a", "b", "c"], "test")
    page = render_report(metrics, model, log, dataset)
    assert "A label without examples has no scores" in page
    assert page.index('<th scope="row">c</th>') > page.index('<th scope="row">b</th>')


def test_a_run_that_stopped_early_or_diverged_is_reported() -> None:
    metrics, model, log, dataset = make_inputs(names_of(6))
    stopped = StoppedAt(step=500, reason="no better validation loss for 2 epochs")
    log = [r for r in log if r["step"] <= 500]
    log[10]["loss"] = float("nan")
    manifest = model.model_copy(update={"stopped_at": stopped, "updates_done": 500})
    text = Outline(render_report(metrics, manifest, log, dataset)).text
    assert "stopped after step 500: no better validation loss for 2 epochs" in text
    assert "The loss of 1 step was not finite" in text
    assert "500 of 846 planned" in text


@pytest.mark.parametrize("problem_type", [SINGLE_LABEL, MULTI_LABEL, REGRESSION])
@pytest.mark.parametrize("log", [[], [{"step": 0, "learning_rate": 1e-4, "loss": 0.7}]])
def test_a_log_with_at_most_one_step_makes_a_page(
    log: list[dict[str, Any]], problem_type: str
) -> None:
    names = [] if problem_type == REGRESSION else ["a", "b"]
    metrics, model, _, dataset = make_inputs(names, problem_type=problem_type)
    assert Outline(render_report(metrics, model, log, dataset)).open == []
