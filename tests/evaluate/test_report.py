from __future__ import annotations

import json
import os
import re
import select
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kfp_finetune.components.artifacts.metrics import Metrics
from kfp_finetune.components.artifacts.model import ModelManifest, StoppedAt
from kfp_finetune.components.artifacts.optimizer_config import OptimizerConfig, Schedule
from kfp_finetune.components.artifacts.tokenized_dataset import (
    SplitCounts,
    TokenizedDatasetManifest,
)
from kfp_finetune.components.build_optimizer.curve import render_curve
from kfp_finetune.components.build_optimizer.schedules import learning_rates
from kfp_finetune.components.evaluate.confusion import confusion_matrices
from kfp_finetune.components.evaluate.report import render_report
from kfp_finetune.components.tasks.problem_types import MULTI_LABEL, REGRESSION, SINGLE_LABEL
from kfp_finetune.components.tasks.scores.measure import measure

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
HOSTILE = "</script><script>alert(\"x\")</script> 'quoted' & <b>bold</b>"


FOLLOWED = {SINGLE_LABEL: "accuracy", MULTI_LABEL: "micro_f1", REGRESSION: "mae"}


def make_outputs(
    random: np.random.Generator, problem_type: str, count: int, skill: float
) -> tuple[np.ndarray, np.ndarray]:
    """Synthetic labels and logits that fit each other, the better the higher the skill."""
    if problem_type == REGRESSION:
        labels = random.normal(3, 1, (600, 1))
        return labels, labels + random.normal(size=labels.shape) * 2 / skill
    if problem_type == MULTI_LABEL:
        marks = random.random((60 * count, count)) < 0.6 / np.arange(2, count + 2)
        bias = random.normal(size=count) + skill
        return marks, random.normal(size=marks.shape) + (2 * marks - 1.3) * bias
    labels = np.concatenate([np.arange(count), random.integers(0, count, 40 * count)])
    logits = random.normal(size=(len(labels), count))
    logits[np.arange(len(labels)), labels] += skill + random.normal(size=count)[labels]
    logits[np.arange(len(labels)), (labels + labels % 3) % count] += 1.5
    return labels, logits


def make_inputs(
    names: list[str],
    *,
    problem_type: str = SINGLE_LABEL,
    steps_per_epoch: int = 282,
    epochs: int = 3,
    skill: float = 3.0,
) -> tuple[Metrics, ModelManifest, list[dict[str, Any]], TokenizedDatasetManifest]:
    """A plausible run: synthetic logits, a schedule with warmup and a falling loss."""
    random = np.random.default_rng(7)
    count, steps = max(len(names), 1), steps_per_epoch * epochs
    labels, logits = make_outputs(random, problem_type, count, skill)
    schedule = Schedule(warmup_steps=steps // 10, num_train_steps=steps)
    log: list[dict[str, Any]] = []
    for step, rate in enumerate(learning_rates(schedule)[:-1]):
        level = 0.3 + (np.log(max(count, 2)) - 0.3) * np.exp(-4 * step / steps)
        loss = float(level * random.gamma(30, 1 / 30))
        log.append({"step": step, "learning_rate": float(rate), "loss": loss})
        if (step + 1) % steps_per_epoch == 0:
            share = (step + 1) / steps
            validation = {"loss": float(level * 1.1), FOLLOWED[problem_type]: 0.5 + 0.42 * share}
            log.append({"step": step + 1, "validation": validation})
    model = ModelManifest(
        task="text-classification",
        problem_type=problem_type,
        label_names=names,
        max_length=128,
        base_model="sentence-transformers/all-MiniLM-L6-v2",
        dataset="/data/banking77",
        num_train_examples=steps_per_epoch * 32 - 21,
        batch_size=32,
        gradient_accumulation_steps=1,
        num_train_epochs=epochs,
        steps_per_epoch=steps_per_epoch,
        num_train_steps=steps,
        updates_done=steps,
        optimizer=OptimizerConfig(schedule=schedule),
        seed=42,
        validation_metrics={"loss": 0.41, FOLLOWED[problem_type]: 0.92},
        environment={
            "tensorflow": "2.21.0",
            "transformers": "4.57.6",
            "python": "3.11.9",
            "threads": 2,
            "precision": "bfloat16",
        },
    )
    dataset = TokenizedDatasetManifest(
        task=model.task,
        problem_type=model.problem_type,
        label_names=names,
        text_column="text",
        label_column="category",
        max_length=128,
        pad_token_id=0,
        vocab_size=30_522,
        has_token_type_ids=True,
        truncated_share=0.0123,
        dataset=model.dataset,
        model=model.base_model,
        splits={
            "train": SplitCounts(
                rows_read=9013, rows=9003, dropped={"empty text": 7, "missing label": 3}
            ),
            "validation": SplitCounts(rows_read=1000, rows=1000),
            "test": SplitCounts(rows_read=len(labels), rows=len(labels)),
        },
    )
    return measure(problem_type, labels, logits, names, "test"), model, log, dataset


class Outline(HTMLParser):
    """What a page consists of: ids in order, texts, and everything that could fetch."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sections: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.tags.append(tag)
        if tag == "section" or values.get("id") == "verdict":
            self.sections.append(str(values.get("id")))
        self.addresses += [
            str(v) for k, v in attrs if k in ("src", "href", "srcset", "action", "xlink:href")
        ]
        if tag not in ("meta", "link", "br", "wbr", "path", "rect"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.text += " " + " ".join(data.split())


def names_of(count: int) -> list[str]:
    return [f"label_{i}_with_a_rather_long_name_of_its_own"[: 14 + i % 25] for i in range(count)]


@pytest.fixture(scope="module")
def page() -> str:
    return render_report(*make_inputs(names_of(6)))


@pytest.mark.parametrize(
    ("problem_type", "count", "between"),
    [
        (SINGLE_LABEL, 6, ["confusion", "classes"]),
        (MULTI_LABEL, 28, ["classes"]),
        (REGRESSION, 0, []),
    ],
)
def test_every_tag_is_closed_and_sections_come_in_reading_order(
    problem_type: str, count: int, between: list[str]
) -> None:
    outline = Outline(render_report(*make_inputs(names_of(count), problem_type=problem_type)))
    assert outline.open == []
    assert outline.sections == ["verdict", "metrics", "curves", *between, "data", "training"]


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
    metrics, model, log, dataset = make_inputs(names, problem_type=problem_type)
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


def test_the_verdict_says_accuracy_f1_examples_labels_and_the_baseline(page: str) -> None:
    metrics = make_inputs(names_of(6))[0]
    scores = metrics.metrics
    text = Outline(page).text
    for part in (
        f"{scores['accuracy']:.1%} of {metrics.num_examples} test examples of 6 labels",
        f"{scores['majority_baseline_accuracy']:.1%} for always giving the most frequent label",
        f"macro-F1 is {scores['macro_f1']:.3f}",
    ):
        assert part in text


def test_a_model_no_better_than_a_constant_answer_is_called_that() -> None:
    _, model, log, dataset = make_inputs(["a", "b"])
    metrics = measure(
        SINGLE_LABEL, np.array([0, 0, 1]), np.array([[1.0, 0.0]] * 3), ["a", "b"], "test"
    )
    assert "no better than a constant answer" in render_report(metrics, model, log, dataset)


def test_the_page_of_several_labels_tells_f1_its_baseline_and_its_curve() -> None:
    inputs = make_inputs(names_of(28), problem_type=MULTI_LABEL)
    scores, text = inputs[0].metrics, Outline(render_report(*inputs)).text
    for part in (
        f"Micro-F1 is {scores['micro_f1']:.3f} on 1,680 test examples of 28 labels",
        f"against {scores['constant_baseline_micro_f1']:.3f} for always giving the same labels",
        f"{scores['subset_accuracy']:.1%} have exactly the right labels",
        "Validation micro-F1",
        "guessing evenly 0.693",
    ):
        assert part in text


def test_the_page_of_numbers_tells_the_error_its_baseline_and_its_curve() -> None:
    inputs = make_inputs([], problem_type=REGRESSION)
    scores, text = inputs[0].metrics, Outline(render_report(*inputs)).text
    for part in (
        f"Predictions are off by {scores['mae']:.3f} on average over 600 test examples",
        f"against {scores['mean_baseline_mae']:.3f} for always giving the mean",
        f"R² is {scores['r2']:.3f}",
        "Validation mean absolute error",
    ):
        assert part in text
    assert "label" not in text.split("Data")[0]


@pytest.mark.parametrize(
    ("problem_type", "labels", "logits"),
    [
        (MULTI_LABEL, [[1, 0], [1, 1], [0, 1], [1, 0]], [[1, -1]] * 4),
        (MULTI_LABEL, [[0, 0]], [[-1, -1]]),
        (REGRESSION, [[1], [2], [3]], [[2]] * 3),
        (REGRESSION, [[2], [2]], [[1], [3]]),
    ],
)
def test_a_constant_answer_to_other_questions_is_called_that_too(
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
    [(SINGLE_LABEL, 3, 1), (MULTI_LABEL, 3, 0), (REGRESSION, 0, 0)],
)
def test_only_one_label_per_example_has_a_confusion_matrix(
    problem_type: str, count: int, matrices: int
) -> None:
    metrics = make_inputs(names_of(count), problem_type=problem_type)[0]
    assert confusion_matrices(metrics) == [(names_of(3), metrics.confusion_matrix)] * matrices


def test_the_plan_and_the_counts_of_rows_can_be_read(page: str) -> None:
    text = Outline(page).text
    assert "9,003 examples ÷ 32 = 282 steps × 3 epochs = 846 steps" in text
    assert "empty text 7, missing label 3" in text
    assert "1.2%" in text


def test_a_label_without_examples_has_no_scores() -> None:
    _, model, log, dataset = make_inputs(["a", "b", "c"])
    metrics = measure(SINGLE_LABEL, np.array([0, 1]), np.eye(3)[:2], ["a", "b", "c"], "test")
    page = render_report(metrics, model, log, dataset)
    assert "A label without examples has no scores" in page
    assert page.index('<th scope="row">c</th>') > page.index('<th scope="row">b</th>')


def test_a_run_that_stopped_early_or_diverged_is_reported_as_it_was() -> None:
    metrics, model, log, dataset = make_inputs(names_of(6))
    stopped = StoppedAt(step=500, reason="no better validation loss for 2 epochs")
    log = [r for r in log if r["step"] <= 500]
    log[10]["loss"] = float("nan")
    manifest = model.model_copy(update={"stopped_at": stopped, "updates_done": 500})
    text = Outline(render_report(metrics, manifest, log, dataset)).text
    assert "stopped after update 500: no better validation loss for 2 epochs" in text
    assert "The loss of 1 update was not a finite number" in text
    assert "500 of 846 planned" in text


@pytest.mark.parametrize("problem_type", [SINGLE_LABEL, MULTI_LABEL, REGRESSION])
@pytest.mark.parametrize("log", [[], [{"step": 0, "learning_rate": 1e-4, "loss": 0.7}]])
def test_a_log_of_nothing_or_one_update_makes_a_page(
    log: list[dict[str, Any]], problem_type: str
) -> None:
    names = [] if problem_type == REGRESSION else ["a", "b"]
    metrics, model, _, dataset = make_inputs(names, problem_type=problem_type)
    assert Outline(render_report(metrics, model, log, dataset)).open == []


class Chromium:
    """A headless browser over the DevTools pipe; what its page complains about or asks for."""

    def __init__(self, folder: Path) -> None:
        down, up = os.pipe(), os.pipe()

        def wire() -> None:
            os.dup2(os.dup(down[0]), 3)
            os.dup2(os.dup(up[1]), 4)

        command = [
            str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
            "--no-first-run", "--disable-background-networking", "--disable-component-update",
            "--disable-sync", "--remote-debugging-pipe", f"--user-data-dir={folder}",
        ]  # fmt: skip
        quiet = subprocess.DEVNULL
        self.process = subprocess.Popen(
            command, preexec_fn=wire, close_fds=False, stdout=quiet, stderr=quiet
        )
        os.close(down[0])
        os.close(up[1])
        self.sink, self.source = os.fdopen(down[1], "wb", 0), os.fdopen(up[0], "rb", 0)
        self.rest, self.sent, self.session = b"", 0, ""
        self.problems: list[str] = []
        self.requests: list[str] = []
        self.loaded = False
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self.sent += 1
        message = {"id": self.sent, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        self.sink.write(json.dumps(message).encode() + b"\0")
        while (answer := self.next()).get("id") != self.sent:
            pass
        assert "error" not in answer, answer
        return dict(answer["result"])

    def next(self) -> dict[str, Any]:
        while b"\0" not in self.rest:
            assert select.select([self.source], [], [], 60)[0], "chromium does not answer"
            read = os.read(self.source.fileno(), 1 << 20)
            assert read, "chromium is gone"
            self.rest += read
        line, self.rest = self.rest.split(b"\0", 1)
        event: dict[str, Any] = json.loads(line)
        kind, found = event.get("method", ""), event.get("params", {})
        if kind == "Network.requestWillBeSent":
            self.requests.append(found["request"]["url"])
        elif kind in ("Runtime.exceptionThrown", "Log.entryAdded", "Network.loadingFailed"):
            self.problems.append(f"{kind}: {found}")
        elif kind == "Runtime.consoleAPICalled":
            self.problems.append(f"console: {found['args']}")
        self.loaded = self.loaded or kind == "Page.loadEventFired"
        return event

    def show(self, file: Path, width: int, *, dark: bool = False, height: int = 900) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.requests.clear()
        self.loaded = False
        self.call("Page.navigate", url=file.as_uri())
        while not self.loaded:
            self.next()

    def run(self, script: str) -> Any:
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def hover(self, selector: str, across: float, down: float, scroll_to: str = "") -> str:
        """Move the pointer over a part of the page and read what the page then tells."""
        box = self.run(
            "var at = name => document.querySelector(name);"
            f"at({scroll_to or selector!r}).scrollIntoView({{block: 'center'}});"
            f"(b => [b.x, b.y, b.width, b.height])(at({selector!r}).getBoundingClientRect())"
        )
        # The browser reports the scrolling itself a frame later, and that hides the read-out.
        self.call(
            "Runtime.evaluate",
            expression="new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)))",
            awaitPromise=True,
        )
        self.call(
            "Input.dispatchMouseEvent", type="mouseMoved",
            x=box[0] + across * box[2], y=box[1] + down * box[3],
        )  # fmt: skip
        return str(self.run("tip.style.visibility === 'visible' ? tip.innerText : ''"))

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.sink.close()
        self.source.close()


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Any:
    if not CHROMIUM:
        pytest.skip("chromium is not installed: no page is opened in a browser")
    browser = Chromium(tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1200, 390])
@pytest.mark.parametrize(
    "kind", ["curve", "6 labels", "77 labels", "28 labels, several", "0 labels, a number"]
)
def test_a_browser_finds_no_error_no_request_and_nothing_too_wide(
    chromium: Chromium, tmp_path: Path, kind: str, width: int, dark: bool
) -> None:
    if kind == "curve":
        config = OptimizerConfig(schedule=Schedule(num_train_steps=939, warmup_steps=94))
        page = render_curve(config, learning_rates(config.schedule))
    else:
        problem_type = {"several": MULTI_LABEL, "number": REGRESSION}.get(
            kind.split()[-1], SINGLE_LABEL
        )
        names = names_of(int(kind.split()[0]))
        page = render_report(*make_inputs(names, problem_type=problem_type))
    file = tmp_path / "page.html"
    file.write_text(page, encoding="utf-8")
    chromium.show(file, width, dark=dark)
    assert "update" in chromium.hover("[data-chart]", 0.4, 0.5)
    if 'id="matrix"' in page:
        assert "true: label_0" in chromium.hover("#matrix svg", 0.01, 0.01, ".corner")
    if 'id="per-class"' in page:
        chromium.run("document.querySelector('#per-class thead th:last-child button').click()")
        shown = chromium.run(
            "[...document.querySelectorAll('#per-class td:last-child')].map(c => +c.innerText)"
        )
        assert shown == sorted(shown)
    assert chromium.run("document.documentElement.scrollWidth") <= width
    background = chromium.run("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", background))) < 200) == dark
    assert chromium.problems == []
    assert chromium.requests == [file.as_uri(), "data:,"] or chromium.requests == [file.as_uri()]
