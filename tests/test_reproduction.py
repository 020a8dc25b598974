"""The command under "How to reproduce this run" is pasted, and gives the same metrics."""

from __future__ import annotations

import html
import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from kfp import dsl

from kfp_finetune.cli.main import app
from kfp_finetune.components.artifacts import model as model_artifact
from kfp_finetune.local import start
from tests import tiny
from tests.components import COMPONENTS, outputs, parameters


def trained(folder: Path, **given: Any) -> tuple[str, dict[str, Any]]:
    """Run the pipeline's components, and return the report and the metrics."""

    def step(name: str, *inputs: Any, **more: Any) -> tuple[Any, dict[str, dsl.Artifact]]:
        component = COMPONENTS[name]
        own = {n: v for n, v in given.items() if n in parameters(component) and v is not None}
        made = outputs(component, folder / name)
        return component.python_func(*inputs, **own, **made, **more), made

    counts, data = step("load_data")
    num_train_examples, _, _, num_labels, hidden_size, _, _ = counts
    (_, num_train_steps, _), _ = step("count_steps", num_train_examples, num_labels)
    _, built = step("build_optimizer", num_train_steps, hidden_size=hidden_size)
    _, fitted = step(
        "finetune", data["tokenized_dataset"], built["optimizer_config"], given["model"]
    )
    _, scored = step("evaluate", data["tokenized_dataset"], fitted["model"])
    manifest = model_artifact.read(fitted["model"].path)
    assert manifest.updates_done == num_train_steps
    metrics = json.loads(Path(scored["metrics_json"].path).read_text())
    return Path(scored["report"].path).read_text(), metrics


def passed(given: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What the parameters of a run pass to each of its components."""
    return {
        name: {
            n: p.default if given.get(n) is None else given[n]
            for n, p in parameters(component).items()
        }
        for name, component in COMPONENTS.items()
    }


def pasted(page: str) -> list[str]:
    """The words of the command on a report's page, as a shell takes them."""
    (command,) = re.findall(r'<p class="command">(.*?)</p>', page, re.DOTALL)
    text = html.unescape(re.sub(r"<[^>]+>", "", command))
    shell = ["bash", "-c", f"printf '%s\\0' {text}"]
    return subprocess.run(shell, capture_output=True, text=True, check=True).stdout.split("\0")[:-1]


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[str]], dict[str, Any]]:
    """The parameters of the run that the command line would start with these words."""

    def parse(words: list[str]) -> dict[str, Any]:
        started: list[dict[str, Any]] = []
        monkeypatch.setattr(start, "execute", lambda pipeline, values, **_: started.append(values))
        assert words[0] == "kfp-finetune"
        typer.main.get_command(app)(words[1:], standalone_mode=False)
        return started[0]

    return parse


def columns(folder: Path) -> dict[str, Any]:
    rows = [{"the text": r["text"], "no": i, "it's  a": r["label"], "where": "ab"[i % 2]}
            for i, r in enumerate(tiny.rows(40))]  # fmt: skip
    return {
        "dataset": tiny.write_csv(folder / "my data's.csv", rows),
        "text_column": "the text",
        "label_column": "it's  a",
        "slice_columns": "where",
        "validation_fraction": 0.2,
        "test_fraction": 0.3,
        "seed": 7,
    }


def files(folder: Path) -> dict[str, Any]:
    return {
        "dataset": tiny.write_csv(folder / "train.csv", tiny.rows(30)),
        "validation_dataset": tiny.write_csv(folder / "dev.csv", tiny.rows(9, seed=1)),
        "test_dataset": tiny.write_csv(folder / "$HOME.csv", tiny.rows(9, seed=2)),
        "load_best_model_at_end": True,
        "early_stopping_patience": 1,
        "metric_for_best_model": "accuracy",
        "learning_rate": 1e-2,
    }


def without_a_header(folder: Path) -> dict[str, Any]:
    lines = [f'{r["label"]}|"{r["text"]} caf\xe9\n' for r in tiny.rows(30)]
    (folder / "rows.csv").write_bytes("".join(lines).encode("latin-1"))
    return {
        "dataset": folder / "rows.csv",
        "column_names": "label,text",
        "delimiter": "|",
        "quoting": "none",
        "encoding": "latin-1",
        "lr_scheduler_type": "cosine_with_restarts",
        "num_cycles": 1,
    }


def numbered_labels(folder: Path) -> dict[str, Any]:
    rows = [{"text": r["text"], "label": tiny.LABELS.index(r["label"])} for r in tiny.rows(30)]
    (folder / "names.txt").write_text("\n".join(tiny.LABELS))
    return {
        "dataset": tiny.write_csv(folder / "rows.csv", rows),
        "label_names": folder / "names.txt",
        "class_weights": "balanced",
        "label_smoothing_factor": 0.1,
        "max_grad_norm": 1.0,
    }


def several_labels(folder: Path) -> dict[str, Any]:
    rows = [{"text": r["text"], **{n: int(n == r["label"]) for n in tiny.LABELS}}
            for r in tiny.rows(40)]  # fmt: skip
    return {
        "dataset": tiny.write_csv(folder / "rows.csv", rows),
        "label_column": ",".join(tiny.LABELS),
        "focal_gamma": 2.0,
        "texts_in_report": False,
        "optimizer": "lion",
        "weight_decay": 0.1,
    }


def numbers(folder: Path) -> dict[str, Any]:
    rows = [{"text": r["text"], "label": len(r["text"]) + 0.5} for r in tiny.rows(30)]
    return {
        "dataset": tiny.write_csv(folder / "rows.csv", rows),
        "problem_type": "regression",
        "optimizer": "sgd",
        "momentum": 0.9,
        "learning_rate": 1e-4,
        "precision": "float32",
    }


def words(folder: Path) -> dict[str, Any]:
    return {
        "dataset": tiny.write_conll(folder / "rows.conll", tiny.sentences(30)),
        "task": "token-classification",
        "label_all_tokens": True,
        "on_bad_row": "repair",
        "warmup_ratio": 0.5,
    }


def pairs(folder: Path) -> dict[str, Any]:
    rows = [{"a": r["text"], "b": "late parcel", "label": r["label"]} for r in tiny.rows(40)]
    return {
        "dataset": tiny.write_csv(folder / "rows.csv", rows),
        "text_column": "a",
        "text_pair_column": "b",
        "max_train_samples": 9,
        "drop_duplicates": True,
        "drop_overlap": True,
        "max_length": 24,
    }


def groups(folder: Path) -> dict[str, Any]:
    rows = [r | {"part": ["train", "train", "dev", "test"][i // 3 % 4], "user": str(i)}
            for i, r in enumerate(tiny.rows(48))]  # fmt: skip
    return {
        "dataset": tiny.write_csv(folder / "rows.csv", rows),
        "split_column": "part",
        "text_column": "text",
        "label_column": "label",
        "max_length": None,  # chosen
        "gradient_accumulation_steps": 2,
        "drop_remainder": True,
        "optimizer": "adamw",
        "lr_scheduler_type": "piecewise_constant",
        "lr_boundaries": "0.5:1e-5",
        "num_train_epochs": 1.5,
    }


def folders(folder: Path) -> dict[str, Any]:
    data = folder / "tab\there"
    data.mkdir()
    for split, seed in (("train", 0), ("test", 1)):
        tiny.write_csv(data / f"{split}.csv", tiny.rows(24, seed))
    return {
        "dataset": data,
        "max_steps": 3,
        "num_train_epochs": None,  # the steps decide
        "batch_size": 5,
        "on_divergence": "report",
        "end_learning_rate": 1e-6,
        "power": 2.0,
    }


# The first two train twice. The others train again only if a component is passed something else.
TWICE = (files, words)
OTHERS = (columns, without_a_header, numbered_labels, several_labels, numbers, pairs, groups,
          folders)  # fmt: skip


@pytest.mark.parametrize(
    "case", [*TWICE, *(pytest.param(case, marks=pytest.mark.slow) for case in OTHERS)]
)
def test_the_command_on_the_page_gives_the_same_metrics(
    case: Callable[[Path], dict[str, Any]],
    tiny_model: Path,
    tmp_path: Path,
    parsed: Callable[[list[str]], dict[str, Any]],
) -> None:
    defaults = {"model": tiny_model, "max_length": 16, "batch_size": 8, "num_train_epochs": 1.0}
    given = {n: str(v) if isinstance(v, Path) else v for n, v in case(tmp_path).items()}
    given = {n: str(v) if isinstance(v, Path) else v for n, v in defaults.items()} | given
    page, metrics = trained(tmp_path / "first", **given)
    values = parsed(pasted(page))
    asked = {n: v for n, v in given.items() if v is not None}
    assert {n: v for n, v in values.items() if n in asked} == asked
    if case not in TWICE and passed(values) == passed(given):
        return
    again, same = trained(tmp_path / "second", **values)
    assert same == metrics
    assert pasted(again) == pasted(page)
