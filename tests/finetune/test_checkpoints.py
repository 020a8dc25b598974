"""A run that is killed and resumed ends as one that was not, to the last bit, or reports why not.

A training takes seconds: tests share the uninterrupted run, and continue copies of a killed one.
"""

from __future__ import annotations

import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from kfp_finetune.components.artifacts import optimizer_config
from kfp_finetune.components.artifacts.optimizer_config import OptimizerConfig, Schedule
from kfp_finetune.components.finetune import callbacks, checkpoints, training
from kfp_finetune.components.finetune.checkpoint_directory import CheckpointDirectory
from tests import checkpoints as families
from tests.finetune.runs import STEPS, Killed, Run, notes

# For variants of a test that `make test` runs.
SLOW = pytest.mark.slow


def test_a_run_killed_twice_and_resumed_ends_like_one_that_was_not(
    whole: dict[str, Any],
    killed: Run,
    kill: Callable[[int | None], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    killed.killed_at(20, kill)
    made: list[int] = []
    clock = callbacks.Clock.on_train_batch_end

    def count(self: Any, batch: int, logs: Any = None) -> None:
        clock(self, batch, logs)
        made.append(self._history.updates_done)

    monkeypatch.setattr(callbacks.Clock, "on_train_batch_end", count)
    manifest = killed()
    assert manifest.resumed_at == [6, 18]
    assert made == list(range(19, 27))
    assert killed.results() == whole


@SLOW
def test_not_being_saved_at_all_gives_the_same_as_being_saved(
    whole: dict[str, Any], tiny_data: Path, tiny_model: Path, tmp_path: Path
) -> None:
    run = Run(tmp_path, tiny_data, tiny_model)
    assert run().resumed_at == []
    assert run.results() == whole
    saved = {path.name for path in (tmp_path / "saved").iterdir()}
    assert saved == {"run.json", "lock", "step-00000024", "step-00000026"}


@pytest.mark.parametrize(
    "part", ["dropout", "optimizer", "data position", pytest.param("network", marks=SLOW)]
)
def test_without_one_part_of_the_state_a_resumed_run_ends_otherwise(
    whole: dict[str, Any], killed: Run, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    if part == "data position":
        dataset = training.training_dataset
        monkeypatch.setattr(
            training, "training_dataset", lambda rows, plan, seed, _: dataset(rows, plan, seed)
        )
    else:
        state = checkpoints.state

        def without(*given: Any) -> dict[str, Any]:
            """The state, with a copy in the part's place: it is read, and changes nothing."""
            found = state(*given)
            return found | {part: [tf.Variable(value) for value in found[part]]}

        monkeypatch.setattr(checkpoints, "state", without)
    assert killed().resumed_at == [6]
    assert killed.results()["weights"] != whole["weights"]


@pytest.mark.parametrize(
    ("family", "plan", "optimizer"),
    [
        # DeBERTa's dropout is its own: what it draws has to be restored, too.
        ("deberta-v2", {"max_steps": 8}, {}),
        pytest.param(
            "deberta",
            {"gradient_accumulation_steps": 3, "num_train_epochs": 1.5},
            {"optimizer": "adamw", "weight_decay": 0.1},
            marks=SLOW,
        ),
    ],
    ids=["deberta-v2", "deberta with accumulation and a fractional epoch"],
)
def test_other_families_and_plans_resume_to_the_last_bit_too(
    family: str,
    plan: dict[str, Any],
    optimizer: dict[str, Any],
    tiny_data: Path,
    tmp_path: Path,
    kill: Callable[[int | None], None],
) -> None:
    config = families.record(family)["base"]["config"] | {"num_hidden_layers": 1}
    families.write_config(tmp_path / "base", {**config, "initialize_from_config": True})
    model = tmp_path / "base"
    one, two = (
        Run(tmp_path / name, tiny_data, model, plan=plan, **optimizer) for name in ("one", "two")
    )
    one(checkpoint_dir=None)
    two.killed_at(5, kill)
    assert two().resumed_at == [3]
    assert two.results() == one.results()


def test_the_best_weights_and_the_patience_survive(
    tiny_data: Path, tiny_model: Path, tmp_path: Path, kill: Callable[[int | None], None]
) -> None:
    """After the first evaluation the rate is far too high, so that one stays the best."""
    settings: dict[str, Any] = {
        "plan": {"num_train_epochs": 6.0},
        "early_stopping_patience": 2,
        "load_best_model_at_end": True,
    }
    one, two = (Run(tmp_path / name, tiny_data, tiny_model, **settings) for name in "12")
    schedule = Schedule(
        name="piecewise_constant",
        learning_rate=1e-3,
        num_train_steps=6 * 13,
        boundaries=((13, 5.0),),
    )
    for run in (one, two):
        optimizer_config.write(run.folder / "optimizer", OptimizerConfig(schedule=schedule))
    manifest = one(checkpoint_dir=None)
    evaluations = one.curves()["validation/loss"]
    best = min(evaluations, key=lambda point: point[1])[0]
    assert manifest.best_step == best
    assert manifest.stopped_at is not None
    assert manifest.stopped_at.step == manifest.updates_done == best + 2 * 13 < 6 * 13
    assert manifest.stopped_at.reason.startswith("validation loss has not improved on")
    assert manifest.num_train_steps == 6 * 13
    two.killed_at(best + 13 + 5, kill)
    two()
    assert two.results() == one.results()


def test_a_resumed_run_that_diverges_gets_the_weights_of_its_last_finite_evaluation(
    tiny_data: Path, tiny_model: Path, tmp_path: Path, kill: Callable[[int | None], None]
) -> None:
    """Also where that evaluation was before the checkpoint that it continues from."""
    one, two = (Run(tmp_path / x, tiny_data, tiny_model, on_divergence="report") for x in "12")
    schedule = Schedule(
        name="piecewise_constant",
        learning_rate=1e-3,
        num_train_steps=STEPS,
        boundaries=((15, 1e30),),
    )
    for run in (one, two):
        optimizer_config.write(run.folder / "optimizer", OptimizerConfig(schedule=schedule))
    manifest = one()
    assert [step for step, _ in one.curves()["validation/loss"]] == [13]
    assert manifest.diverged_at == 16
    two.killed_at(16, kill)
    assert two().resumed_at == [15]
    assert two.results() == one.results()


@SLOW
def test_the_best_weights_are_those_that_were_measured(
    tiny_data: Path, tiny_model: Path, tmp_path: Path
) -> None:
    """A run that ends where the other was best has the same weights."""
    settings: dict[str, Any] = {"learning_rate": 0.3, "lr_scheduler_type": "constant"}
    longer = Run(
        tmp_path / "longer",
        tiny_data,
        tiny_model,
        metric_for_best_model="accuracy",
        load_best_model_at_end=True,
        **settings,
    )
    best = longer(checkpoint_dir=None).best_step
    shorter = Run(tmp_path / "shorter", tiny_data, tiny_model, plan={"max_steps": best}, **settings)
    shorter(checkpoint_dir=None)
    assert shorter.results()["weights"] == longer.results()["weights"]


@SLOW
def test_minutes_decide_where_no_number_of_steps_is_given(
    whole: dict[str, Any],
    tiny_data: Path,
    tiny_model: Path,
    tmp_path: Path,
    kill: Callable[[int | None], None],
) -> None:
    often = {
        "checkpoint_every_steps": None,
        "checkpoint_every_minutes": 0.0,
        "checkpoints_to_keep": 3,
    }
    run = Run(tmp_path, tiny_data, tiny_model, saved=often)
    run.killed_at(8, kill)
    assert CheckpointDirectory(str(tmp_path / "saved"), print).steps() == [5, 6, 7]
    seldom = run(checkpoint_every_minutes=60.0)
    assert seldom.resumed_at == [7]
    assert run.results() == whole
    assert CheckpointDirectory(str(tmp_path / "saved"), print).steps() == [6, 7, 26]


def flip_a_bit(folder: Path) -> None:
    file = folder / "state.data-00000-of-00001"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def truncate(folder: Path) -> None:
    file = folder / "state.data-00000-of-00001"
    file.write_bytes(file.read_bytes()[:-100])


def damage_marker(folder: Path) -> None:
    (folder / "checkpoint.json").write_text('{"step": 6, "fi')


def cut_off(folder: Path) -> None:
    """What a save leaves that is killed."""
    (folder / "checkpoint.json").unlink()


def test_damaged_checkpoints_are_reported_and_the_previous_one_is_used(
    whole: dict[str, Any],
    tiny_data: Path,
    tiny_model: Path,
    tmp_path: Path,
    kill: Callable[[int | None], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """They do not push out a good one either, although they are newer."""
    often = {"checkpoint_every_steps": 1, "checkpoints_to_keep": 9}
    run = Run(tmp_path, tiny_data, tiny_model, saved=often)
    run.killed_at(7, kill)
    damages = {6: flip_a_bit, 5: truncate, 4: damage_marker, 3: cut_off}
    for step, damage in damages.items():
        damage(tmp_path / "saved" / f"step-0000000{step}")
    capsys.readouterr()
    run.saved["checkpoints_to_keep"] = 1
    run.killed_at(4, kill)
    skipped = [n.partition(": ")[0] for n in notes(capsys) if n.startswith("skipped")]
    assert skipped == [f"skipped the damaged checkpoint of step {step}" for step in (6, 5, 4)]
    assert CheckpointDirectory(str(tmp_path / "saved"), print).steps() == [3]
    assert run().resumed_at == [2, 3]
    assert run.results() == whole


@SLOW
def test_where_every_checkpoint_is_damaged_training_begins_anew(
    whole: dict[str, Any], killed: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for step in (3, 6):
        flip_a_bit(tmp_path / "saved" / f"step-0000000{step}")
    assert killed().resumed_at == []
    assert "there is no checkpoint to continue from: training starts at the beginning" in notes(
        capsys
    )
    assert killed.results() == whole


def test_a_full_disk_leaves_the_checkpoint_before_whole_and_training_going(
    whole: dict[str, Any],
    killed: Run,
    kill: Callable[[int | None], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    kill(14)
    try:  # no file may grow larger, which a write finds out as it does that a disk is full
        resource.setrlimit(resource.RLIMIT_FSIZE, (16_384, limits[1]))
        with pytest.raises(Killed):
            killed()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        kill(None)
    said = [n for n in notes(capsys) if "could not be written" in n]
    assert len(said) == 2
    assert said[0].startswith(
        "the checkpoint of step 9 could not be written (last checkpoint: step 6): "
    )
    assert killed().resumed_at == [6]
    assert killed.results() == whole
