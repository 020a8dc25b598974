"""The step's work: read, rank, write."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kfp_finetune.components.artifacts import leaderboard as leaderboard_artifact
from kfp_finetune.components.artifacts.files import write_text
from kfp_finetune.components.rank.leaderboard import rank, read_trainings
from kfp_finetune.components.rank.report import render_comparison
from kfp_finetune.components.runtime import emit


def rank_trainings(
    *,
    candidates: Sequence[Mapping[str, Any]],
    model_paths: Sequence[str],
    metrics_paths: Sequence[str],
    seconds: Sequence[float],
    leaderboard_path: str,
    report_path: str,
    model_path: str,
    best_metrics_path: str,
) -> dict[str, float]:
    """Put trainings in order, write leaderboard and report, and copy the best one's artifacts.

    Args:
        candidates: As `leaderboard.Training` has them.
        model_paths: What finetune wrote, in the same order.
        metrics_paths: What evaluate wrote, in the same order.
        seconds: How long their updates took.
        leaderboard_path: Where leaderboard.json is written.
        report_path: Where the HTML page is written.
        model_path: Where the best model is copied to.
        best_metrics_path: Where its metrics are copied to.

    Returns:
        The best one's metrics on the test split.
    """
    trainings = read_trainings(candidates, model_paths, metrics_paths, seconds)
    board = rank(trainings)
    best = board.candidates[0].attempts[0]
    emit("note", "rank", text=board.verdict)
    shutil.copyfile(metrics_paths[best.index], best_metrics_path)
    write_text(Path(report_path), render_comparison(board, trainings))
    leaderboard_artifact.write(leaderboard_path, board)
    shutil.copytree(model_paths[best.index], model_path, dirs_exist_ok=True)
    return best.test_metrics
