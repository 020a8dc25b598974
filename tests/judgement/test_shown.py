"""The same verdict wherever a person looks: terminal, table of runs, report, card, Kubeflow."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest

from kfp_finetune.components.artifacts.verdict import Verdict
from kfp_finetune.components.evaluate.card import render_card
from kfp_finetune.components.evaluate.report_page import render_report
from kfp_finetune.components.evaluate.summary import render_summary
from kfp_finetune.components.export.model_card import render_model_card
from kfp_finetune.progress.summary import summary
from kfp_finetune.runs.folder import RunFolder
from tests.evaluate.inputs import make_inputs, names_of

LOST = Verdict(
    kind="diverged",
    finding="Training diverged: the loss was 4.343 and ended at 4281.",
    advice="Train with a lower learning rate: --learning-rate 0.0002 --warmup-ratio 0.1.",
    options={"learning_rate": 2e-4, "warmup_ratio": 0.1},
    learning_rate=10.0,
    num_train_steps=846,
)


def read(page: str) -> str:
    """The words of a page or a Markdown text, without its marks."""
    text = html.unescape(re.sub(r"<[^>]+>", "", page.partition("</style>")[2] or page))
    return " ".join(text.replace("\\", "").split())


def test_every_page_has_the_same_verdict() -> None:
    metrics, model, log, data = make_inputs(names_of(3))
    metrics.verdict = LOST
    model.parameters = {"dataset": "train.csv", "model": "minilm", "learning_rate": 10.0}
    report = read(render_report(metrics, model, log, data))
    pages = [
        report,
        read(render_summary(metrics, model, data)),
        read(render_model_card("owner/name", model, metrics)),
    ]
    for page in pages:
        assert f"{LOST.finding} {LOST.advice}" in page
    command = "kfp-finetune run --dataset train.csv --model minilm --learning-rate 0.0002"
    assert f"{command} --warmup-ratio 0.1" in report
    notebook = read(render_card("run", metrics, model, log))
    assert LOST.finding in notebook and "learning_rate=0.0002 warmup_ratio=0.1" in notebook


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [
        ("diverged", "finished: diverged"),
        ("nothing learned", "finished: nothing learned"),
        ("undertrained", "finished: undertrained"),
        ("healthy", "succeeded"),
        ("unknown", "succeeded"),
    ],
)
def test_a_destroyed_model_has_not_just_succeeded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, outcome: str
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = RunFolder.create(tmp_path / "runs", "one", "finetune", {})
    folder.record.status = "succeeded"
    folder.record.verdict = LOST.model_copy(update={"kind": kind})
    folder.save()
    assert RunFolder.open(folder.path).outcome == outcome
    rows = dict(summary(folder, ""))
    assert rows["verdict"] == LOST.finding
    assert rows["next"] == "kfp-finetune rerun one --learning-rate 0.0002 --warmup-ratio 0.1"
    # A comparison has no rate of its own, so no such command would work.
    folder.record.candidates = [{"name": "linear"}]
    assert dict(summary(folder, ""))["next"] == LOST.advice
