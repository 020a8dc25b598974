"""The defaults that are chosen from the data and the model, and who chooses them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kfp_finetune.cli.pipeline.changes import kept_choices
from kfp_finetune.components.artifacts import optimizer_config
from kfp_finetune.components.artifacts import tokenized_dataset as data_artifact
from kfp_finetune.components.build_optimizer.parameters import build_optimizer_config
from kfp_finetune.components.chosen import (
    choose_learning_rate,
    choose_max_length,
    choose_num_train_epochs,
    defaults_used,
    learning_rate_note,
)
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.models.registry import FAMILIES, read_config
from kfp_finetune.pipelines import parameters
from kfp_finetune.pipelines.catalog import find
from kfp_finetune.pipelines.presets import PRESETS
from kfp_finetune.pipelines.settings import settings
from kfp_finetune.runs.folder import RunRecord
from kfp_finetune.runs.results import note_chosen
from tests import tiny, trained
from tests.components import COMPONENTS, outputs

FINETUNE = find("finetune")
GIVEN = {"dataset": "a/b", "model": "c/d"}
CHOSEN = {"max_length": 128, "num_train_epochs": 10.0, "learning_rate": 2e-4}


@pytest.mark.parametrize(
    ("longest", "limit", "expected"),
    [(0, None, 128), (87, 512, 128), (129, None, 136), (512, None, 512), (3000, 8192, 512),
     (300, 256, 256), (20, 40, 40)],
)  # fmt: skip
def test_max_length_is_that_of_the_texts_within_bounds(
    longest: int, limit: int | None, expected: int
) -> None:
    assert choose_max_length(longest, limit) == expected


@pytest.mark.parametrize(
    ("rows", "labels", "expected"),
    [(9003, 77, 10), (4459, 2, 7), (355, 3, 20), (15_000, 150, 6), (30_000, 150, 3),
     (1_000_000, 2, 3), (1, 0, 20), (0, 0, 20), (600, 77, 38), (600, 150, 75), (300, 4, 20),
     (1_200, 77, 20), (100, 77, 80)],
)  # fmt: skip
def test_little_data_gets_more_epochs(rows: int, labels: int, expected: int) -> None:
    assert choose_num_train_epochs(rows, labels) == expected


@pytest.mark.parametrize(
    ("hidden_size", "optimizer", "expected"),
    [(128, "adam", 5e-4), (384, "adam", 2e-4), (384, "adamw", 2e-4), (768, "adam", 5e-5),
     (1024, "adam", 3e-5), (4096, "adam", 2e-5), (0, "adam", 5e-5), (384, "lion", 4e-5),
     (768, "sgd", 1e-1)],
)  # fmt: skip
def test_small_models_get_a_higher_rate(hidden_size: int, optimizer: str, expected: float) -> None:
    assert choose_learning_rate(hidden_size, optimizer) == expected


@pytest.mark.parametrize(("momentum", "expected"), [(0.0, 4e-1), (0.5, 2e-1), (0.9, 4e-2)])
def test_the_more_momentum_the_lower_the_rate_of_gradient_descent(
    momentum: float, expected: float
) -> None:
    config = build_optimizer_config(9, 384, optimizer="sgd", momentum=momentum)
    assert config.schedule.learning_rate == expected
    named = f", sgd with momentum {momentum:g}: peak" if momentum else ", sgd: peak"
    assert named in learning_rate_note(384, config)
    model = trained.manifest(hidden_size=384, optimizer=config)
    assert defaults_used(model)["learning_rate"] == "the default for hidden size 384"


def test_a_momentum_that_is_refused_is_the_only_thing_reported() -> None:
    with pytest.raises(InputError) as found:
        build_optimizer_config(9, 384, optimizer="sgd", momentum=1.0)
    assert found.value.where == "momentum"


def test_the_course_is_chosen_for_a_base_model_with_enough_rows() -> None:
    course = PRESETS["course"]
    assert course["max_length"] == choose_max_length(100, 512)
    assert course["num_train_epochs"] == choose_num_train_epochs(90_000, 100)
    assert course["learning_rate"] == choose_learning_rate(768)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_has_a_hidden_size(family: str) -> None:
    config: Any = read_config({"model_type": family}, Path("config.json"))
    assert config.hidden_size > 0


def test_each_step_chooses_and_passes_it_on(
    tmp_path: Path, tiny_model: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = tiny.write_csv(tmp_path / "train.csv", tiny.rows(60))
    made = outputs(COMPONENTS["load_data"], tmp_path / "data")
    loaded = COMPONENTS["load_data"].python_func(str(data), str(tiny_model), **made)
    num_rows, num_labels, hidden_size, max_length = loaded[0], *loaded[3:6]
    manifest = data_artifact.read(made["tokenized_dataset"].path)
    # The model reads 40 tokens.
    assert (max_length, hidden_size) == (manifest.max_length, manifest.hidden_size) == (40, 16)
    assert manifest.truncated_share == 0
    counted = COMPONENTS["count_steps"].python_func(num_rows, num_labels)
    assert counted == (2, 40, 20.0)
    made = outputs(COMPONENTS["build_optimizer"], tmp_path / "built")
    rate, _ = COMPONENTS["build_optimizer"].python_func(counted[1], hidden_size=hidden_size, **made)
    schedule = optimizer_config.read(made["optimizer_config"].path).schedule
    assert (schedule.learning_rate, schedule.num_train_steps) == (rate, 40) == (5e-4, 40)
    out = capfd.readouterr().out
    for line in (
        "load_data: longest text 14 tokens: max_length 40",
        f"count_steps: {num_rows} rows, 3 labels: 20 epochs",
        "build_optimizer: hidden size 16: peak 0.0005",
    ):
        assert f"\n{line}\n" in f"\n{out}"


def test_a_text_beyond_the_limit_is_truncated_and_reported(
    tmp_path: Path, tiny_model: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    rows = [*tiny.rows(59), {"text": "good " * 60, "label": "payment"}]
    data = tiny.write_csv(tmp_path / "train.csv", rows)
    made = outputs(COMPONENTS["load_data"], tmp_path / "data")
    COMPONENTS["load_data"].python_func(str(data), str(tiny_model), **made)
    said = "longest text 62 tokens: max_length 40; 1.67% of the texts are truncated"
    assert said in capfd.readouterr().out


def test_a_preset_is_overridden_by_options_and_overrides_a_file(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text("warmup_ratio: 0.1\nbatch_size: 16\nlearning_rate: 1.0e-3\n")
    plain = settings(FINETUNE, GIVEN, file)
    assert (plain["learning_rate"], plain["num_train_epochs"], plain["max_length"]) == (
        1e-3,
        None,
        None,
    )
    values = settings(FINETUNE, GIVEN | {"num_train_epochs": 5.0}, file, "course")
    assert values == plain | PRESETS["course"] | {"num_train_epochs": 5.0}
    assert values["batch_size"] == 16


def test_run_json_lists_chosen_but_not_given_values() -> None:
    def record(**given: Any) -> dict[str, Any]:
        made = RunRecord(name="r", pipeline="finetune", parameters=GIVEN | given)
        note_chosen(made, CHOSEN | {"num_labels": 77})
        chosen: dict[str, Any] = json.loads(made.model_dump_json())["chosen"]
        return chosen

    assert record() == CHOSEN
    assert record(learning_rate=1e-3, max_length=0) == {"max_length": 128, "num_train_epochs": 10.0}
    assert "num_train_epochs" not in record(max_steps=7)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {}),
        ({"power": 2.0}, {}),  # chosen again, and the cache has the result
        ({"dataset": "e/f"}, CHOSEN),
        ({"validation_fraction": 0.2}, CHOSEN),
        ({"dataset": "e/f", "learning_rate": 0.0}, {n: CHOSEN[n] for n in list(CHOSEN)[:2]}),
        ({"dataset": "e/f", "learning_rate": 1e-3}, {n: CHOSEN[n] for n in list(CHOSEN)[:2]}),
        ({"dataset": "e/f", "optimizer": "sgd"}, {n: CHOSEN[n] for n in list(CHOSEN)[:2]}),
        ({"dataset": "e/f", "momentum": 0.9}, {n: CHOSEN[n] for n in list(CHOSEN)[:2]}),
        ({"dataset": "e/f", "model": "g/h"}, {"num_train_epochs": 10.0}),
        ({"model": "g/h"}, {}),
        ({"dataset": "e/f", "max_steps": 9}, {n: CHOSEN[n] for n in CHOSEN if "epochs" not in n}),
    ],
)
def test_a_rerun_on_other_data_keeps_chosen_values(
    changes: dict[str, Any], expected: dict[str, Any]
) -> None:
    known = parameters.load(FINETUNE.definition)
    before = parameters.complete(known, GIVEN) | {"dataset_fingerprint": "1"}
    after = parameters.complete(known, GIVEN | changes)
    kept = kept_choices(lambda: CHOSEN, before, after, changes, FINETUNE, lambda: "1")
    assert kept == expected
    if not changes:  # the same file with other content
        assert kept_choices(lambda: CHOSEN, before, after, {}, FINETUNE, lambda: "2") == CHOSEN


def test_a_model_names_the_values_that_are_defaults() -> None:
    model = trained.manifest(num_train_examples=9003, num_train_epochs=10.0, hidden_size=768)
    model.label_names = [str(i) for i in range(77)]
    assert defaults_used(model) == {
        "num_train_epochs": "the default for 9,003 examples and 77 labels",
        "learning_rate": "the default for hidden size 768",
    }
    assert "num_train_epochs" not in defaults_used(trained.manifest(num_train_epochs=1.5))
