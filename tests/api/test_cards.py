"""Runs as a notebook shows them."""

from __future__ import annotations

import re
from pathlib import Path

from kfp_finetune import load_run
from kfp_finetune.components.artifacts import leaderboard
from kfp_finetune.components.artifacts.leaderboard import Candidate, Leaderboard
from kfp_finetune.runs.folder import RunFolder


def test_a_comparison_is_shown_with_its_ranked_candidates(tmp_path: Path) -> None:
    wild = Candidate(
        name="<wild>",
        settings={},
        mean=None,
        spread=None,
        diverged=1,
        diagnosis="diverged",
        finding="The loss became infinite.",
        attempts=[],
    )
    update = {"name": "cosine", "mean": 0.91, "spread": 0.01, "diverged": 0, "finding": "Good."}
    board = Leaderboard(
        metric="accuracy",
        split="validation",
        less_is_better=False,
        verdict="cosine is best.",
        candidates=[wild.model_copy(update=update), wild],
    )
    folder = RunFolder.create(tmp_path, "rates", "compare_schedules", {})
    leaderboard.write(folder.path / "leaderboard.json", board)
    folder.record.artifacts["leaderboard"] = "leaderboard.json"
    folder.save()
    card = load_run("rates", runs_dir=tmp_path)._repr_html_()
    assert "cosine is best." in card
    rows = [re.findall("<t[hd]>(.*?)</t[hd]>", row) for row in card.split("<tr>")]
    assert rows[-3:] == [
        ["Candidate", "Validation accuracy", "Spread over seeds", "Diverged seeds", "Diagnosis"],
        ["cosine", "0.9100", "0.0100", "0", "Good."],
        ["&lt;wild&gt;", "–", "–", "1", "The loss became infinite."],
    ]
