"""Verdicts on real trainings: all-MiniLM-L6-v2, cut to two layers, on 150 tweets of TweetEval."""

from __future__ import annotations

import json
from pathlib import Path

from kfp_finetune.components.artifacts.metrics import Metrics
from kfp_finetune.components.artifacts.model import ModelManifest
from kfp_finetune.components.artifacts.verdict import Tried
from kfp_finetune.components.judgement.facts import Facts
from kfp_finetune.components.judgement.judge import judge

RECORDED = json.loads((Path(__file__).parent / "recordings" / "emotion.json").read_text())


def test_the_advice_after_a_rate_of_10_leads_to_a_healthy_run_in_two_moves() -> None:
    """Each training has the settings that the verdict on the one before advised."""
    tried: tuple[Tried, ...] = ()
    kinds, settings = [], dict(RECORDED[0]["settings"])
    for run in RECORDED:
        assert run["settings"] == settings
        metrics = Metrics(per_class=[], confusion_matrix=[], **run["metrics"])
        verdict = judge(Facts(metrics, ModelManifest(**run["manifest"]), run["log"], tried=tried))
        kinds.append(verdict.kind)
        tried, settings = tuple(verdict.as_tried()), settings | verdict.options
    assert kinds == ["diverged", "undertrained", "healthy"]
