"""The ranking of trials, and its certainty."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from kfp_finetune.components.artifacts import metrics as metrics_artifact
from kfp_finetune.components.artifacts import model as model_artifact
from kfp_finetune.components.artifacts.leaderboard import Leaderboard
from kfp_finetune.components.artifacts.model import StoppedAt
from kfp_finetune.components.build_optimizer.parameters import build_optimizer_config
from kfp_finetune.components.judgement.facts import Facts
from kfp_finetune.components.judgement.judge import judge
from kfp_finetune.components.not_given import given
from kfp_finetune.components.rank.comparison_page import render_comparison
from kfp_finetune.components.rank.trials import Trial, rank, read_trials
from kfp_finetune.components.tasks.scores.tally import Tally, stack
from kfp_finetune.components.tasks.text_classification.problem_types import (
    MULTI_LABEL,
    REGRESSION,
    SINGLE_LABEL,
)
from kfp_finetune.pipelines.compare_schedules.candidates import DEFAULTS, PRESETS, expand
from tests.evaluate.inputs import FOLLOWED, make_inputs, names_of

ROWS = 400


def training(
    name: str, value: float, seed: int = 1, diverged: bool = False, kind: str = SINGLE_LABEL
) -> Trial:
    """A trial with a value of the headline metric, on rows of which the same ones are hard."""
    names = [] if kind == REGRESSION else names_of(4)
    metrics, model, log, _ = make_inputs(names, problem_type=kind, steps_per_epoch=20)
    model.validation_metrics = {"loss": 1.0, FOLLOWED[kind]: value}
    model.seed = seed
    if diverged:
        model.stopped_at = StoppedAt(step=7, reason="training diverged: ...")
        model.diverged_at = 7
    right = np.arange(ROWS) < round(value * ROWS)
    tally = Tally(stack(right, np.ones(ROWS)), lambda sums: {"mean": sums[:, 0] / sums[:, 1]})
    candidate = DEFAULTS | {"name": name, "seed": seed}
    return Trial(candidate, model, log, metrics, resamples=tally.resampled()["mean"].tolist())


def optimising(metric: str, trial: Trial, value: float) -> Trial:
    """The same trial, whose best weights are those with the best value of a metric."""
    trial.model.positive_label = trial.metrics.positive_label = "spam"
    trial.model.parameters = {"load_best_model_at_end": True, "metric_for_best_model": metric}
    trial.model.validation_metrics[metric] = value
    checks = [record["validation"] for record in trial.log if "validation" in record]
    for check in checks:
        check[metric] = value
    checks[0][metric] = value - 0.1 if metric == "loss" else value + 0.1  # the best evaluation
    hard = np.arange(ROWS) < round(value * ROWS)
    tally = Tally(stack(hard, np.ones(ROWS)), lambda sums: {"mean": sums[:, 0] / sums[:, 1]})
    return replace(trial, resamples=tally.resampled()["mean"].tolist())


def order(*trials: Trial) -> list[str]:
    return [candidate.name for candidate in rank(trials).candidates]


@pytest.mark.parametrize("kind", [SINGLE_LABEL, MULTI_LABEL, REGRESSION])
def test_the_best_mean_is_first_also_if_less_is_better(kind: str) -> None:
    made = [training(n, v, kind=kind) for n, v in (("low", 0.2), ("high", 0.9), ("middle", 0.5))]
    expected = ["high", "middle", "low"]
    assert order(*made) == (expected if kind != REGRESSION else expected[::-1])


@pytest.mark.parametrize(
    ("metric", "name"), [("loss", "log loss"), ("macro_f1", "macro-F1"), ("f1", "F1 of spam")]
)
def test_the_metric_that_trials_optimise_decides(metric: str, name: str) -> None:
    """By accuracy, the order is that of the alphabet."""
    values = [0.2, 0.2025, 0.9] if metric == "loss" else [0.9, 0.8975, 0.2]
    made = [
        optimising(metric, training(candidate, accuracy), value)
        for candidate, accuracy, value in zip("abc", (0.9, 0.6, 0.3), values[::-1], strict=True)
    ]
    board = rank(made)
    assert (board.metric, board.less_is_better) == (metric, metric == "loss")
    assert [c.name for c in board.candidates] == ["c", "b", "a"]
    assert [c.mean for c in board.candidates] == values
    assert [(c.place, c.tied) for c in board.candidates] == [(1, False), (1, True), (3, False)]
    for candidate, value in zip(board.candidates, values, strict=True):
        assert candidate.interval and candidate.interval[0] < value < candidate.interval[1]
    assert all(c.attempts[0].best_step == 20 for c in board.candidates)
    shown = f"validation {name} {values[0]:.3f} and {values[1]:.3f}; the difference is "
    assert board.verdict.startswith(f"c and b cannot be told apart: {shown}")
    page = render_comparison(board, made)
    text = " ".join(re.sub(r"<[^>]+>", " ", page).split())
    assert text.count(f"Validation {name}") == 2  # the column and the chart
    assert f"Test {name}" in text and "ccuracy" not in text


def test_the_headline_metric_decides_where_none_is_optimised() -> None:
    """The metric for the best model is then at its default, the loss, and selects nothing."""
    made = [optimising("loss", training(n, v), v) for n, v in (("a", 0.9), ("b", 0.3))]
    for trial in made:
        trial.model.parameters = {"dataset": "x.csv"}
    board = rank(made)
    assert (board.metric, board.candidates[0].name) == ("accuracy", "a")
    made[0].model.parameters = {"early_stopping_patience": 2}
    assert (rank(made).metric, rank(made).candidates[0].name) == ("loss", "b")


def test_a_diverged_loss_does_not_flatten_the_others() -> None:
    made = [optimising("loss", training(n, 0.5), v) for n, v in (("a", 0.4), ("b", 0.8))]
    made.append(optimising("loss", training("wild", 0.1, diverged=True), 1e6))
    made[-1].log[-1]["validation"]["loss"] = float("nan")
    page = render_comparison(rank(made), made)
    chart = page.partition('aria-label="Validation log loss')[2].partition("</svg>")[0]
    ends = {
        name: float(line.rpartition(" ")[2])
        for name, line in re.findall(r'class="line (c\d)" d="([^"]+)"', chart)
    }
    # Half as high as the other line, which is near the upper edge; the third is above the chart.
    assert 0 < ends["c1"] < 100 and 500 < ends["c0"] < 600 and ends["c2"] < -1000
    assert "nan" not in chart


def test_the_last_evaluation_of_a_diverged_trial_is_not_its_best_one() -> None:
    """It may answer with the most frequent label, and have the highest accuracy."""
    trial = training("wild", 0.1, diverged=True)
    *_, best, last = [record for record in trial.log if "validation" in record]
    last["validation"] |= {"loss": float("nan"), "accuracy": 1.0}
    assert rank([trial]).candidates[0].attempts[0].best_step == best["step"]


def test_seeds_are_averaged_and_the_best_one_represents_its_candidate() -> None:
    made = [training("even", v, s) for s, v in enumerate((0.7, 0.72, 0.71))]
    made += [training("lucky", v, s) for s, v in enumerate((0.5, 0.8, 0.5))]
    board = rank(made)
    even, lucky = board.candidates
    assert (even.name, lucky.name) == ("even", "lucky")
    assert even.mean == pytest.approx(0.71)
    assert even.spread == pytest.approx(0.01)
    assert [a.index for a in lucky.attempts] == [4, 3, 5]
    assert board.verdict.startswith(
        "even is best: validation accuracy 71.0% ± 1.0% over 3 seeds; next is lucky, 60.0% ± 17.3%"
        " over 3 seeds; the difference is "
    ) or board.verdict.startswith("even and lucky cannot be told apart")
    page = render_comparison(board, made)
    assert '<span class="whole">71.0% ± 1.0%</span>' in page
    assert "Validation accuracy, mean of 3 seeds" in page and "Training, best seed" in page


def test_small_differences_are_ties() -> None:
    """One of 400 rows is noise, although both trials were right about the same other rows."""
    made = [training("first", 0.9), training("second", 0.8975), training("third", 0.5)]
    board = rank(made)
    assert [(c.place, c.tied) for c in board.candidates] == [(1, False), (1, True), (3, False)]
    assert board.verdict.startswith("first and second cannot be told apart: validation accuracy")
    assert "third" in board.verdict and "The model of first is passed on." in board.verdict
    page = render_comparison(board, made)
    assert "<h1>2 candidates cannot be told apart</h1>" in page and "1=" in page


def test_a_difference_on_the_same_rows_is_distinguished_from_noise() -> None:
    """Ten of 400 rows: the intervals of both overlap, and that of their difference excludes 0."""
    board = rank([training("first", 0.9), training("second", 0.875)])
    first, second = board.candidates
    assert first.interval and second.interval and first.interval[0] < second.interval[1]
    assert second.behind and 0 < second.behind[0] < 0.025 < second.behind[1]
    assert board.verdict.startswith("first is best: validation accuracy 90.0%; next is second")


def test_nothing_is_best_where_nothing_was_learned() -> None:
    made = [training(name, 0.663) for name in ("a", "b", "c")]
    for each in made:
        assert each.metrics.verdict
        each.metrics.verdict.kind = "nothing learned"
    board = rank(made)
    assert board.verdict.startswith("No candidate learned anything: all answer like a constant")
    assert "best:" not in board.verdict and "± 0.0" not in board.verdict
    assert {c.place for c in board.candidates} == {1}
    assert "<h1>No candidate learned anything</h1>" in render_comparison(board, made)


def test_several_labels_are_compared_at_the_same_threshold() -> None:
    made = [training("a", 0.6, kind=MULTI_LABEL), training("b", 0.4, kind=MULTI_LABEL)]
    made[0].metrics.metrics |= {"micro_f1": 0.7, "untuned_micro_f1": 0.55}
    board = rank(made)
    assert board.candidates[0].test_mean == 0.55
    assert "Test micro-F1, threshold 0.5" in render_comparison(board, made)


def test_without_the_rows_a_difference_is_compared_with_the_spread() -> None:
    made = [replace(training(n, v, s), resamples=()) for n, vs in
            (("a", (0.9, 0.91)), ("b", (0.5, 0.52))) for s, v in enumerate(vs)]  # fmt: skip
    assert "is larger than the spread over the seeds" in rank(made).verdict
    assert "the difference may be noise" in rank([made[0], made[2]]).verdict


def test_diverged_trials_are_last() -> None:
    board = rank([training("wild", 0.99, diverged=True), training("tame", 0.3)])
    assert [c.name for c in board.candidates] == ["tame", "wild"]
    wild = board.candidates[1]
    assert (wild.mean, wild.diverged, wild.diagnosis) == (None, 1, "diverged")
    assert wild.attempts[0].diverged_at == 7
    assert "; all others diverged." in board.verdict
    assert rank([training("wild", 0.99, diverged=True)]).verdict == "Every candidate diverged."
    half = rank([training("half", 0.99, 1, diverged=True), training("half", 0.6, 2)])
    assert half.candidates[0].mean == pytest.approx(0.6)
    assert half.candidates[0].attempts[0].seed == 2
    assert "60.0% (1 of 2 seeds diverged)" in half.verdict


def test_undertrained_trials_are_reported() -> None:
    made = [training("best", 0.9), training("short", 0.5)]
    for record in made[1].log:  # both losses fall as steeply at the end as at the start
        losses = record.get("validation", record)
        losses["loss"] = 1.3 - 0.7 * record["step"] / made[1].model.num_train_steps
    made[1].metrics.verdict = judge(Facts(made[1].metrics, made[1].model, made[1].log))
    board = rank(made)
    assert board.candidates[1].diagnosis == "undertrained"
    assert board.verdict.endswith("short was undertrained: not a fault of the schedule.")


def test_a_page_without_a_step() -> None:
    made = training("wild", 0.1, diverged=True)
    empty = Trial(made.candidate, made.model, [], made.metrics)
    assert "Every candidate diverged." in render_comparison(rank([empty]), [empty])


def test_without_a_validation_split_the_test_split_decides() -> None:
    made = [replace(training(name, 0.0), resamples=()) for name in ("a", "b")]
    for each, value in zip(made, (0.1, 0.6), strict=True):
        each.model.validation_metrics = {}
        each.metrics.metrics["accuracy"] = value
    board = rank(made)
    assert (board.split, board.candidates[0].name) == ("test", "b")
    told = "Without validation rows there are no paired intervals: the difference may be noise."
    assert told in board.verdict and told in render_comparison(board, made)


def test_the_page_shows_every_candidate_and_no_name_as_markup() -> None:
    made = [training(f"<b>{i}</b>", i / 20, seed) for i in range(10) for seed in (1, 2)]
    page = render_comparison(rank(made), made)
    assert "<b>3</b>" not in page and page.count("&lt;b&gt;3&lt;/b&gt;") > 3
    assert page == render_comparison(rank(made), made)
    assert "http://" not in page and "https://" not in page


def test_the_page_shows_what_was_compared_and_how_to_train_the_best() -> None:
    made = [training(name, value, seed) for name, value in (("a", 0.3), ("b", 0.9))
            for seed in (1, 2)]  # fmt: skip
    for trial in made:
        trial.model.num_validation_examples = 300
        trial.model.parameters = {"dataset": "x.csv", "learning_rate": trial.metrics.num_examples}
    text = " ".join(re.sub(r"<[^>]+>", " ", render_comparison(rank(made), made)).split())
    for part in (
        "Dataset /data/banking77",
        "Model sentence-transformers/all-MiniLM-L6-v2",
        "Validation examples 300",
        "Seeds 1, 2",
        "Trials 4",
        "Training time of all trials 0 seconds",
        "Train b again kfp-finetune run --dataset x.csv --learning-rate",
    ):
        assert part in text


def test_rates_far_apart_are_both_seen() -> None:
    """Peaks of 1e-3 and 5e-5 keep well away from the lower edge, and differ."""
    made = [training("high", 0.9), training("low", 0.8)]
    for record in made[0].log:
        record["learning_rate"] = record.get("learning_rate", 0) * 20
    page = render_comparison(rank(made), made)
    chart = page.partition("Learning rate applied")[2].partition("</svg>")[0]
    low, high = (
        min(float(y) for y in re.findall(r" ([\d.]+)", line))
        for line in re.findall(r'd="([^"]+)"', chart)
    )
    assert high < 100 < 400 < low < 600


def test_the_positive_label_and_the_loss_are_on_the_page() -> None:
    """The accuracy of a model that never finds the rare label is high."""
    made = [training(name, value, seed) for name, value in (("a", 0.9), ("b", 0.8), ("c", 0.7))
            for seed in (1, 2)]  # fmt: skip
    for i, trial in enumerate(made):
        trial.model.positive_label = "spam"
        trial.model.validation_metrics["f1"] = i / 8
        trial.model.parameters = {
            "dataset": "x.csv", "test_dataset": "/data/unseen.csv", "focal_gamma": 2.0,
            "class_weights": "balanced", "positive_label": "spam", "initial_bias": "zeros",
        }  # fmt: skip
        if trial.candidate["name"] != "a":
            assert trial.metrics.verdict
            trial.metrics.verdict.kind = "nothing learned"
    page = render_comparison(rank(made), made)
    text = " ".join(re.sub(r"<[^>]+>", " ", page).split())
    for part in (
        "90.0% F1 of spam 0.062",
        "80.0% F1 of spam 0.312",
        "b and c learned nothing.",
        "Test examples 164, from unseen.csv",
        "Positive label spam",
        "Class weights balanced",
        "Focal gamma 2.0",
        "Initial bias zeros",
        "--focal-gamma 2.0",
    ):
        assert part in text
    assert "F1 of" not in render_comparison(*_words())


def _words() -> tuple[Leaderboard, list[Trial]]:
    """Trials whose headline metric is the F1 of entities: that of no label."""
    made = [training("a", 0.9), training("b", 0.8)]
    for trial in made:
        trial.model.validation_metrics["f1"] = 0.5
    return rank(made), made


def test_what_to_try_next_names_its_candidate_and_is_not_repeated() -> None:
    made = [training(name, value) for name, value in (("a", 0.9), ("b", 0.5), ("c", 0.3))]
    board = rank(made)
    page = render_comparison(board, made)
    head = page.partition("</header>")[0]
    assert f"<strong>a.</strong> {board.candidates[0].finding.partition(':')[0]}" in head
    section = page.partition('<section id="findings">')[2].partition("</section>")[0]
    assert re.findall(r'<span class="key c\d">(\w+)</span>', section) == ["b", "c"]


def test_many_names_are_a_list() -> None:
    made = [training(name, value) for name, value in zip("abcd", (0.9, 0.8, 0.5, 0.3), strict=True)]
    for trial in made:
        assert trial.metrics.verdict
        trial.metrics.verdict.kind = "undertrained"
    assert "b, c and d were undertrained" in rank(made).verdict


def test_a_legend_has_the_lines_that_are_drawn_and_no_two_lines_look_the_same() -> None:
    made = [training(f"n{i}", 0.9 - i / 20) for i in range(10)]
    made.append(training("wild", 0.99, diverged=True))
    made[-1] = replace(made[-1], log=[{"step": 0, "learning_rate": 1e30, "loss": 1.0}])
    page = render_comparison(rank(made), made)
    legends = re.findall('<span class="legend">(.*?)</figcaption>', page, re.DOTALL)
    assert len(legends) == 2  # of the rates, and of the validation metric
    for legend in legends:
        keys = re.findall(r'class="key ([^"]+)">(\w+)<', legend)
        assert sorted(name for _, name in keys) == [f"n{i}" for i in range(10)]
        assert len({style for style, _ in keys}) == 10


def test_empty_sections_are_omitted() -> None:
    made = training("wild", 0.1, diverged=True)
    page = render_comparison(rank([made]), [Trial(made.candidate, made.model, [], made.metrics)])
    assert 'id="curves"' not in page and 'id="best"' not in page


@pytest.mark.parametrize("preset", PRESETS)
def test_trials_are_matched_with_their_candidates(tmp_path: Path, preset: str) -> None:
    """Otherwise a candidate would get the metrics of another one."""
    candidates = expand(PRESETS[preset], [1, 2])
    made = [training(c["name"], 0.5, c["seed"]) for c in candidates]
    paths: list[tuple[str, str]] = []
    for i, (each, candidate) in enumerate(zip(made, candidates, strict=True)):
        own = {name: value for name, value in candidate.items() if name not in ("name", "seed")}
        each.model.optimizer = build_optimizer_config(
            each.model.num_train_steps, 384, **given(**own)
        )
        folder = tmp_path / str(i)
        folder.mkdir()
        model_artifact.write(folder, each.model)
        model_artifact.write_training_log(folder, each.log)
        model_artifact.write_resamples(folder, {"loss": [1.0], "accuracy": each.resamples})
        metrics_artifact.write(folder / "metrics.json", each.metrics)
        paths.append((str(folder), str(folder / "metrics.json")))
    models, metrics = zip(*paths, strict=True)
    seconds = [1.0] * len(made)
    found = read_trials(candidates, models, metrics, seconds)
    assert [t.candidate["name"] for t in found] == [c["name"] for c in candidates]
    assert [t.resamples for t in found] == [t.resamples for t in made]
    for first, second in pairwise(range(len(candidates))):
        swapped = list(candidates)
        swapped[first], swapped[second] = swapped[second], swapped[first]
        with pytest.raises(RuntimeError, match="was not trained with its settings"):
            read_trials(swapped, models, metrics, seconds)
