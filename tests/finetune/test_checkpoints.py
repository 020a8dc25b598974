"""A run that is killed and resumed ends as one that was not, to the last bit, or reports why not.

A training takes seconds: tests share the uninterrupted run, and continue copies of a killed one.
"""

from __future__ import annotations

import json
import resource
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from kfp_finetune.components.artifacts import optimizer_config
from kfp_finetune.components.artifacts.optimizer_config import OptimizerConfig, Schedule
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.finetune import (
    callbacks,
    checkpoints,
    devices,
    training,
)
from kfp_finetune.components.finetune.checkpoint_directory import CheckpointDirectory
from kfp_finetune.components.storage import locks
from tests import checkpoints as families
from tests.finetune.runs import STEPS, Killed, Run, killer
from tests.servers import Bucket

# For variants of a test that `make test` runs.
SLOW = pytest.mark.slow


@pytest.fixture(scope="module")
def whole(
    tiny_data: Path, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """The results of a run that is neither killed nor saved."""
    run = Run(tmp_path_factory.mktemp("whole"), tiny_data, tiny_model)
    run(checkpoint_dir=None)
    found = run.results()
    assert [step for step, _ in found["curves"]["train/loss"]] == list(range(STEPS))
    return found


@pytest.fixture(scope="module")
def killed_at_8(
    tiny_data: Path, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The folder of a run killed in mid-epoch (an epoch has 13 updates), saved at steps 3 and 6."""
    folder = tmp_path_factory.mktemp("killed")
    with pytest.MonkeyPatch.context() as monkeypatch:
        Run(folder, tiny_data, tiny_model).killed_at(8, killer(monkeypatch))
    return folder


@pytest.fixture
def killed(killed_at_8: Path, tiny_data: Path, tiny_model: Path, tmp_path: Path) -> Run:
    """A copy of that run, which may be continued or damaged."""
    shutil.copytree(killed_at_8, tmp_path, dirs_exist_ok=True)
    return Run(tmp_path, tiny_data, tiny_model)


def give_to(run: Run, owner: str) -> None:
    """Make this run the owner of the checkpoints."""
    record = run.folder / "saved" / "run.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"owner": owner}))


def notes(capsys: pytest.CaptureFixture[str]) -> list[str]:
    lines = [line for line in capsys.readouterr().out.splitlines() if '"note"' in line]
    return [json.loads(line.partition(" ")[2])["text"] for line in lines]


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


def refused(run: Run, **saved: Any) -> str:
    with pytest.raises(InputError) as error:
        run(**saved)
    assert not (run.folder / "model").exists()
    return str(error.value)


def test_a_differing_checkpoint_is_reported_and_resumed_only_if_asked(
    killed: Run,
    tiny_data: Path,
    tiny_model: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    other = Run(tmp_path, tiny_data, tiny_model, learning_rate=2e-3)
    difference = "optimizer.schedule.learning_rate: 0.001, now 0.002"
    for resume in ("retry", "exact"):
        assert refused(other, resume_from_checkpoint=resume) == (
            f"the checkpoints (step 6) belong to a different training: {difference}\n"
            f"  where:    {tmp_path / 'saved'}\n"
            "  expected: checkpoints of the same training (data, model, parameters, machine)\n"
            "  remedy:   give another --checkpoint-dir, or continue from them anyway, which is not"
            " bit-identical: --resume-from-checkpoint any"
        )
    owner = "/my runs/one/steps/finetune"
    give_to(other, owner)
    # As `kfp-finetune resume` asks.
    assert refused(other, owner=owner, resume_from_checkpoint="exact").endswith(
        "bit-identical: kfp-finetune resume '/my runs/one' --allow-differences"
    )
    manifest = other(resume_from_checkpoint="any")
    assert (manifest.resumed_at, manifest.differences) == ([6], [difference])
    assert f"continues after 6 of 26 steps; not bit-identical: {difference}" in (notes(capsys))


@pytest.mark.parametrize("resume", ["retry", "exact", "any"])
def test_a_checkpoint_of_another_format_is_refused_with_the_version_that_wrote_it(
    resume: str, tiny_data: Path, tiny_model: Path, tmp_path: Path
) -> None:
    """Version 0.1.0 did not number its format."""
    facts = {"environment.kfp-finetune": "0.1.0", "environment.tf-keras": "2.21.0"}
    saved = tmp_path / "saved"
    saved.mkdir()
    record = {"owner": "", "key": "key", "finished": False, "facts": facts}
    (saved / "run.json").write_text(json.dumps(record))
    assert refused(Run(tmp_path, tiny_data, tiny_model), resume_from_checkpoint=resume) == (
        "the checkpoints were written by kfp-finetune 0.1.0, and this version cannot continue from"
        " their format\n"
        f"  where:    {saved}\n"
        "  expected: checkpoints in format 3, not 1\n"
        "  remedy:   continue with the version that wrote them, or start over with"
        " kfp-finetune rerun and another checkpoint directory"
    )


def test_another_plan_or_optimizer_cannot_be_gone_on_with_at_all(
    killed: Run, tiny_data: Path, tiny_model: Path, tmp_path: Path
) -> None:
    longer = Run(tmp_path, tiny_data, tiny_model, plan={"num_train_epochs": 3.0})
    message = refused(longer, resume_from_checkpoint="any")
    assert "plan.num_train_epochs: 2.0, now 3.0; plan.num_train_steps: 26, now 39" in message
    assert message.endswith(
        "remedy:   start another with kfp-finetune run and another --checkpoint-dir"
    )
    for other in ({"adam_beta1": 0.1}, {"optimizer": "sgd"}):
        message = refused(
            Run(tmp_path, tiny_data, tiny_model, **other), resume_from_checkpoint="any"
        )
        assert message.startswith("the checkpoints (step 6) belong to a different training: ")
    assert CheckpointDirectory(str(tmp_path / "saved"), print).steps() == [3, 6]


def test_what_a_checkpoint_holds_cannot_be_changed_by_going_on_from_it(
    tiny_data: Path, tiny_model: Path, tmp_path: Path, kill: Callable[[int | None], None]
) -> None:
    settings: dict[str, Any] = {
        "optimizer": "sgd",
        "momentum": 0.0,
        "load_best_model_at_end": True,
        "on_divergence": "fail",
        "seed": 42,
    }
    Run(tmp_path, tiny_data, tiny_model, **settings).killed_at(5, kill)
    for other in (
        {"momentum": 0.9},
        {"metric_for_best_model": "accuracy"},
        {"load_best_model_at_end": False},
        {"on_divergence": "report"},
        {"seed": 43},
    ):
        changed = Run(tmp_path, tiny_data, tiny_model, **{**settings, **other})
        message = refused(changed, resume_from_checkpoint="any")
        assert message.startswith("the checkpoints (step 3) belong to a different training: ")
    assert CheckpointDirectory(str(tmp_path / "saved"), print).steps() == [3]


def test_a_retry_on_another_machine_goes_on_and_says_so(
    killed: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_to(killed, "one")
    configure = devices.configure
    monkeypatch.setattr(devices, "configure", lambda *how: configure(*how) | {"threads": 64})
    assert "environment.threads: " in refused(killed, resume_from_checkpoint="exact")
    resumed = killed(owner="one", resume_from_checkpoint="retry")
    assert resumed.differences[0].startswith("environment.threads: ")


def test_a_file_that_is_no_lock_of_ours_is_left_alone(
    tiny_data: Path, tiny_model: Path, tmp_path: Path
) -> None:
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "lock").write_text("precious")
    assert "the file lock was not written by kfp-finetune" in refused(
        Run(tmp_path, tiny_data, tiny_model)
    )
    assert (tmp_path / "saved" / "lock").read_text() == "precious"


def test_other_peoples_folders_are_left_alone(
    tiny_data: Path,
    tiny_model: Path,
    tmp_path: Path,
    kill: Callable[[int | None], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Also where they are called as ours are, and where ours would be written."""
    theirs = [tmp_path / "saved" / f"step-{name}" for name in ("epoch3", "00000006", "00001000")]
    for folder in theirs:
        folder.mkdir(parents=True)
        (folder / "weights").write_text("precious")
        (folder / "checkpoint.json").write_text('{"step": 9, "files": {"weights": 8}}')
    (tmp_path / "saved" / "step-00000009").mkdir()  # of ours, killed as it began to save
    with pytest.raises(InputError, match="the directory has checkpoints of an unknown run"):
        Run(tmp_path, tiny_data, tiny_model)()
    for folder in theirs:
        (folder / "checkpoint.json").unlink()
    run = Run(tmp_path, tiny_data, tiny_model)
    run.killed_at(5, kill)
    run.killed_at(11, kill)
    assert [(folder / "weights").read_text() for folder in theirs] == ["precious"] * 3
    assert CheckpointDirectory(str(tmp_path / "saved"), print).steps() == [3, 9]
    assert "step-00000006 exists and is not a checkpoint of this run" in capsys.readouterr().out
    shutil.rmtree(tmp_path / "saved" / "step-00000009")
    (tmp_path / "saved" / "run.json").unlink()
    assert refused(run).startswith("the directory has checkpoints of an unknown run: ")
    assert CheckpointDirectory(str(tmp_path / "saved"), print).steps() == [3]


def test_nothing_is_resumed_unasked(
    whole: dict[str, Any],
    killed: Run,
    tiny_data: Path,
    tiny_model: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = killed
    give_to(run, "first")
    assert refused(run, owner="second") == (
        "the directory has checkpoints of another run, first (step 6)\n"
        f"  where:    {tmp_path / 'saved'}\n"
        "  expected: one checkpoint directory per run; another run's checkpoints are used only on"
        " request\n"
        "  remedy:   give another --checkpoint-dir, or --resume-from-checkpoint exact to continue"
        " from them"
    )
    assert run(owner="second", resume_from_checkpoint="exact").resumed_at == [6]
    assert run.results() == whole
    shutil.rmtree(tmp_path / "model")
    assert "another run, second (finished)" in refused(run, owner="third")
    differs = Run(tmp_path, tiny_data, tiny_model, learning_rate=2e-3)
    message = refused(differs, owner="third", resume_from_checkpoint="any")
    assert message.startswith("the checkpoints (finished) belong to a different training: ")
    run = Run(tmp_path, tiny_data, tiny_model)
    capsys.readouterr()
    run(owner="second")  # a retry, as when the outputs could not be uploaded
    assert "training had already finished (26 of 26 steps): nothing to train" in (notes(capsys))
    assert run.results() == whole


def test_a_directory_is_one_runs_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "SECONDS_TO_WAIT", 0.3)
    one, two = (CheckpointDirectory(str(tmp_path), print) for _ in range(2))
    with one.lock(), pytest.raises(InputError) as error, two.lock():
        pass
    assert str(error.value).startswith("process ")
    assert "is training with these checkpoints" in str(error.value)
    with two.lock():
        pass


def test_an_unwritable_directory_is_reported_before_training(
    tiny_data: Path, tiny_model: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    run = Run(
        tmp_path, tiny_data, tiny_model, saved={"checkpoint_dir": str(tmp_path / "file" / "x")}
    )
    message = refused(run)
    assert message.startswith("the checkpoint directory cannot be used: NotADirectoryError: ")
    assert f"  where:    {tmp_path / 'file' / 'x'}\n" in message


@SLOW
def test_a_run_saved_in_a_bucket_resumes_too(
    whole: dict[str, Any],
    tiny_data: Path,
    tiny_model: Path,
    tmp_path: Path,
    kill: Callable[[int | None], None],
    bucket: Bucket,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(locks, "SECONDS_UNTIL_STALE", 2.0)
    place = f"{bucket.uri}/some/run"
    run = Run(tmp_path, tiny_data, tiny_model, saved={"checkpoint_dir": place})
    run.killed_at(8, kill)
    assert run().resumed_at == [6]
    assert run.results() == whole
    directory = CheckpointDirectory(place, print)
    assert directory.steps() == [24, 26]
    assert directory.read("lock") is None
    assert directory.read("run.json")["finished"]


def test_a_checkpoint_of_a_bucket_leaves_nothing_on_this_disk(
    s3: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the process is killed: the folder is held, and removed by the next."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def held() -> bool:
        return all((folder / ".held").is_file() for folder in tmp_path.iterdir())

    def write(prefix: str) -> None:
        assert list(tmp_path.iterdir()) and held()
        Path(f"{prefix}.index").write_text("weights")

    directory = CheckpointDirectory("s3://texts/held", print)
    directory.key = "this run"
    directory.save(6, write)
    assert directory.steps() == [6] and not list(tmp_path.iterdir())
    with directory.opened(6) as prefix:
        assert Path(f"{prefix}.index").read_text() == "weights" and held()
    assert not list(tmp_path.iterdir())


def test_two_runs_do_not_share_a_bucket_directory(
    s3: Bucket, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(locks, "SECONDS_BETWEEN_RENEWALS", 0.5)
    one, two = (CheckpointDirectory("s3://texts/shared", print) for _ in range(2))
    with one.lock(), pytest.raises(InputError, match="is training with these"), two.lock():
        pass
    assert capsys.readouterr().out.startswith("waiting for a process on ")
    with two.lock():
        pass


def test_a_missing_bucket_is_reported_before_training(
    s3: Bucket, tiny_data: Path, tiny_model: Path, tmp_path: Path
) -> None:
    run = Run(tmp_path, tiny_data, tiny_model, saved={"checkpoint_dir": "s3://nowhere/run"})
    message = refused(run)
    assert "the checkpoint directory cannot be" in message
    assert "  where:    s3://nowhere/run\n" in message
    assert "hunter2" not in message
