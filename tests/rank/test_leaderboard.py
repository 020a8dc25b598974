"""Who is best, and how sure that is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kfp_finetune.components.artifacts import metrics as metrics_artifact
from kfp_finetune.components.artifacts import model as model_artifact
from kfp_finetune.components.artifacts.model import StoppedAt
from kfp_finetune.components.rank.leaderboard import Training, rank, read_trainings
from kfp_finetune.components.rank.report import render_comparison
from kfp_finetune.components.tasks.problem_types import MULTI_LABEL, REGRESSION, SINGLE_LABEL
from kfp_finetune.pipelines.compare_schedules.candidates import DEFAULTS
from tests.evaluate.inputs import FOLLOWED, make_inputs, names_of


def training(
    name: str, value: float, seed: int = 1, diverged: bool = False, kind: str = SINGLE_LABEL
) -> Training:
    names = [] if kind == REGRESSION else names_of(4)
    metrics, model, log, _ = make_inputs(names, problem_type=kind, steps_per_epoch=20)
    model.validation_metrics = {"loss": 1.0, FOLLOWED[kind]: value}
    model.seed = seed
    if diverged:
        model.stopped_at = StoppedAt(step=7, reason="training diverged: ...")
        model.diverged_at = 7
    return Training(DEFAULTS | {"name": name, "seed": seed}, model, log, metrics)


def order(*trainings: Training) -> list[str]:
    return [candidate.name for candidate in rank(trainings).candidates]


@pytest.mark.parametrize("kind", [SINGLE_LABEL, MULTI_LABEL, REGRESSION])
def test_the_best_mean_is_first_and_of_errors_the_least(kind: str) -> None:
    made = [training(n, v, kind=kind) for n, v in (("low", 0.2), ("high", 0.9), ("middle", 0.5))]
    expected = ["high", "middle", "low"]
    assert order(*made) == (expected if kind != REGRESSION else expected[::-1])


def test_seeds_are_averaged_and_the_best_of_them_stands_for_its_candidate() -> None:
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
    )
    assert "The difference, 11.0%, is not larger than the spread over the seeds" in board.verdict


def test_a_difference_is_larger_than_the_spread_or_cannot_be_told() -> None:
    made = [training(n, v, s) for n, vs in (("a", (0.9, 0.91)), ("b", (0.5, 0.52)))
            for s, v in enumerate(vs)]  # fmt: skip
    assert "is larger than the spread over the seeds, 1.4%" in rank(made).verdict
    alone = rank([made[0], made[2]]).verdict
    assert "whether the difference is more than chance cannot be told" in alone


def test_what_diverged_is_last_whatever_it_had_reached() -> None:
    board = rank([training("wild", 0.99, diverged=True), training("tame", 0.3)])
    assert [c.name for c in board.candidates] == ["tame", "wild"]
    wild = board.candidates[1]
    assert (wild.mean, wild.diverged, wild.diagnosis) == (None, 1, "diverged")
    assert wild.attempts[0].diverged_at == 7
    assert board.verdict.endswith("; all others diverged.")
    assert rank([training("wild", 0.99, diverged=True)]).verdict == "Every candidate diverged."
    half = rank([training("half", 0.99, 1, diverged=True), training("half", 0.6, 2)])
    assert half.candidates[0].mean == pytest.approx(0.6)
    assert half.candidates[0].attempts[0].seed == 2


def test_without_a_validation_split_the_test_split_decides() -> None:
    made = [training(name, 0.0) for name in ("a", "b")]
    for each, value in zip(made, (0.1, 0.6), strict=True):
        each.model.validation_metrics = {}
        each.metrics.metrics["accuracy"] = value
    board = rank(made)
    assert (board.split, board.candidates[0].name) == ("test", "b")


def test_the_page_shows_every_candidate_and_no_name_as_markup() -> None:
    made = [training(f"<b>{i}</b>", i / 20, seed) for i in range(10) for seed in (1, 2)]
    page = render_comparison(rank(made), made)
    assert "<b>3</b>" not in page and page.count("&lt;b&gt;3&lt;/b&gt;") > 3
    assert page == render_comparison(rank(made), made)
    assert "http://" not in page and "https://" not in page


def test_what_was_trained_is_what_was_asked_for(tmp_path: Path) -> None:
    """Else one candidate would be given the other's metrics."""
    made = [training("a", 0.5, seed=1), training("b", 0.6, seed=2)]
    paths: list[tuple[str, str]] = []
    for i, each in enumerate(made):
        folder = tmp_path / str(i)
        folder.mkdir()
        model_artifact.write(folder, each.model)
        model_artifact.write_training_log(folder, each.log)
        metrics_artifact.write(folder / "metrics.json", each.metrics)
        paths.append((str(folder), str(folder / "metrics.json")))
    candidates: list[dict[str, Any]] = [
        {**each.candidate, "learning_rate": each.model.optimizer.schedule.learning_rate}
        for each in made
    ]
    models, metrics = zip(*paths, strict=True)
    assert [t.model.seed for t in read_trainings(candidates, models, metrics, [3.0, 4.0])] == [1, 2]
    with pytest.raises(RuntimeError, match="is not what was trained"):
        read_trainings(candidates[::-1], models, metrics, [3.0, 4.0])
