"""The work of rank: read, rank, write."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kfp_finetune.components.artifacts import leaderboard as leaderboard_artifact
from kfp_finetune.components.artifacts.metrics import Metrics
from kfp_finetune.components.rank.comparison_page import render_comparison
from kfp_finetune.components.rank.trials import rank, read_trials
from kfp_finetune.components.runtime import emit
from kfp_finetune.components.storage.files import write_text


def rank_trials(
    *,
    candidates: Sequence[Mapping[str, Any]],
    model_paths: Sequence[str],
    metrics_paths: Sequence[str],
    seconds: Sequence[float],
    leaderboard_path: str,
    report_path: str,
    model_path: str,
    best_metrics_path: str,
) -> Metrics:
    """Rank trials, write the leaderboard and the page, and copy the artifacts of the best trial.

    Args:
        candidates: The settings of each trial, as `trials.Trial` has them.
        model_paths: The models that finetune wrote, in the same order.
        metrics_paths: The metrics that evaluate wrote, in the same order.
        seconds: The duration of the steps of each trial.
        leaderboard_path: The path for leaderboard.json.
        report_path: The path for the HTML page.
        model_path: The path for the best model.
        best_metrics_path: The path for its metrics.

    Returns:
        The metrics of the best trial on the test split.
    """
    trials = read_trials(candidates, model_paths, metrics_paths, seconds)
    board = rank(trials)
    best = board.candidates[0].attempts[0]
    metrics = trials[best.index].metrics
    emit("note", "rank", text=board.verdict)
    if metrics.verdict is not None:
        emit("verdict", "rank", verdict=metrics.verdict.model_dump(mode="json"))
    shutil.copyfile(metrics_paths[best.index], best_metrics_path)
    write_text(Path(report_path), render_comparison(board, trials))
    leaderboard_artifact.write(leaderboard_path, board)
    shutil.copytree(model_paths[best.index], model_path, dirs_exist_ok=True)
    return metrics
