"""Which checkpoints a run continues from, which it refuses, and who may write where."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.finetune import devices
from kfp_finetune.components.finetune.checkpoint_directory import CheckpointDirectory
from kfp_finetune.components.storage import locks
from tests.finetune.runs import Run, notes
from tests.servers import Bucket

# For variants of a test that `make test` runs.
SLOW = pytest.mark.slow


def give_to(run: Run, owner: str) -> None:
    """Make this run the owner of the checkpoints."""
    record = run.folder / "saved" / "run.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"owner": owner}))


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
