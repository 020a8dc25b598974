"""Every page, for a screen reader and in a browser."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kfp_finetune.components.artifacts.optimizer_config import OptimizerConfig, Schedule
from kfp_finetune.components.build_optimizer.curve import render_curve
from kfp_finetune.components.build_optimizer.range_test import read_range_test
from kfp_finetune.components.build_optimizer.range_test_page import render_range_test
from kfp_finetune.components.build_optimizer.schedules import learning_rates
from kfp_finetune.components.evaluate.confusion import (
    by_errors,
)
from kfp_finetune.components.evaluate.report_page import render_report
from kfp_finetune.components.load_data.report_page import render_data_report
from kfp_finetune.components.rank.comparison_page import render_comparison
from kfp_finetune.components.rank.trials import rank
from kfp_finetune.components.tasks.text_classification.problem_types import (
    MULTI_LABEL,
    REGRESSION,
    SINGLE_LABEL,
)
from tests.evaluate.browser import Chromium
from tests.evaluate.inputs import (
    make_data_report,
    make_inputs,
    names_of,
)
from tests.rank.test_leaderboard import training


@pytest.mark.parametrize("kind", ["single", "several", "number", "data", "comparison"])
def test_headings_tables_and_charts_serve_a_screen_reader(kind: str) -> None:
    if kind == "data":
        page = render_data_report(make_data_report(names_of(30)))
    elif kind == "comparison":
        made = [training(name, 0.5) for name in names_of(3)]
        page = render_comparison(rank(made), made)
    else:
        problem_type = {"several": MULTI_LABEL, "number": REGRESSION}.get(kind, SINGLE_LABEL)
        names = [] if kind == "number" else names_of(30)
        page = render_report(*make_inputs(names, problem_type=problem_type))
    levels = [int(level) for level in re.findall(r"<h([1-6])", page)]
    assert levels.count(1) == 1 == levels[0]
    assert all(later <= level + 1 for level, later in pairwise(levels))
    tables = re.findall(r"<table.*?</table>", page, re.DOTALL)
    assert tables
    for table in tables:
        head = table.partition("</thead>")[0]
        assert head.count("<th ") == head.count('<th scope="col"') > 0
        assert table.count('<th scope="row"') == table.count("<tr>") - 1
    for drawing in re.findall(r"<svg[^>]*>", page):
        label = re.search(r'aria-label="([^"]*)"', drawing)
        assert 'aria-hidden="true"' in drawing or (label is not None and len(label[1]) > 20)
    boxes = re.findall(r'<div class="scroll[^"]* tall"[^>]*>', page)
    assert all('tabindex="0"' in box and "aria-label" in box for box in boxes)


def _page(kind: str) -> tuple[str, tuple[Any, ...]]:
    """A page, and the inputs of a report."""
    if kind in ("curve", "restarts"):
        name = "linear" if kind == "curve" else "cosine_with_restarts"
        schedule = Schedule(name=name, num_train_steps=939, warmup_steps=47, num_cycles=3)
        config = OptimizerConfig(schedule=schedule)
        return render_curve(config, learning_rates(config.schedule)), ()
    if kind == "range test":
        losses = np.concatenate([np.full(60, 2.3), np.linspace(2.3, 3.2, 30)])
        rising = [
            {"step": step, "learning_rate": 1e-6 * 10 ** (step / 18), "loss": float(loss)}
            for step, loss in enumerate(losses)
        ]
        return render_range_test(read_range_test(rising, 2.3, 2e-4), 2e-4, ["kfp-finetune run"]), ()
    if kind == "data":
        return render_data_report(make_data_report(names_of(30))), ()
    if kind == "comparison":
        made = [training(n, 0.9 - i / 9, s) for i, n in enumerate(names_of(4)) for s in (1, 2)]
        return render_comparison(rank(made), made), ()
    problem_type = {"several": MULTI_LABEL, "number": REGRESSION}.get(
        kind.split()[-1], SINGLE_LABEL
    )
    inputs = make_inputs(names_of(int(kind.split()[0])), problem_type=problem_type)
    return render_report(*inputs), inputs


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1200, 390])
@pytest.mark.parametrize(
    "kind",
    [
        *("curve", "restarts", "range test", "data", "comparison"),
        *("6 labels", "30 labels", "77 labels", "150 labels", "28 labels, several"),
        "0 labels, a number",
    ],
)
def test_a_browser_finds_no_error_no_request_and_nothing_too_wide(
    chromium: Chromium, tmp_path: Path, kind: str, width: int, dark: bool
) -> None:
    page, inputs = _page(kind)
    file = tmp_path / "page.html"
    file.write_text(page, encoding="utf-8")
    chromium.show(file, width, dark=dark)
    if "data-chart=" in page:
        shown = chromium.hover("[data-chart]", 0.4, 0.5)
        assert shown.startswith("rate" if kind == "range test" else "step")
    if 'id="matrix"' in page:
        top = "#matrix" if width < 640 else ".corner"
        assert "true: label_0" in chromium.hover("#matrix svg", 0.003, 0.003, top)
        chromium.run("document.querySelector('[data-order=errors]').click()")
        order = chromium.run("[...document.querySelectorAll('.down span')].map(s => s.innerText)")
        named = chromium.run("document.querySelector('.down').clientWidth > 0")
        assert named == (width > 640 or kind == "6 labels")
        assert order == [
            inputs[0].label_names[i] for i in by_errors(np.array(inputs[0].confusion_matrix))
        ]
        shown = chromium.hover("#matrix svg", 0.003, 0.003, top)
        assert f"true: {order[0]}\npredicted: {order[0]}" in shown
    if 'id="calibration"' in page:
        assert "were correct" in chromium.hover(".hover:last-of-type", 0.5, 0.5)
    if 'id="per-class"' in page:
        chromium.run("document.querySelector('#per-class thead th:last-child button').click()")
        shown = chromium.run(
            "[...document.querySelectorAll('#per-class td:last-child')].map(c => +c.innerText)"
        )
        assert shown == sorted(shown)
    assert chromium.run("document.documentElement.scrollWidth") <= width
    assert chromium.cut() == []
    assert chromium.pale() == []
    begin = "rows => new Set(rows.map(row => row.querySelector('.bar').getBoundingClientRect().x))"
    tables = "[...document.querySelectorAll('.slices')].map(table => [...table.tBodies[0].rows])"
    assert set(chromium.run(f"{tables}.map({begin}).map(bars => bars.size)")) <= {1}
    background = chromium.run("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", background))) < 200) == dark
    assert chromium.problems == []
    assert chromium.requests == [file.as_uri(), "data:,"] or chromium.requests == [file.as_uri()]
