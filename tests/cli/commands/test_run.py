"""`kfp-finetune run`: the record, the screen, and the ways a run can end."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.processes import alive, read_terminal, wait_for
from tests.toy.command import Cli

STEPS = ["load_data", "count_steps", "build_optimizer", "finetune", "evaluate"]


def test_a_run_leaves_a_whole_record(cli: Cli) -> None:
    code, out, err = cli.run("--name", "first", "--learning-rate", "1e-3")
    assert (code, err) == (0, "")
    record = cli.record("first")
    folder = cli.folder / "runs" / "first"
    assert record["status"] == "succeeded"
    assert record["pipeline"] == "toy"
    assert record["parameters"]["dataset"] == str(cli.folder / "data.csv")
    assert record["parameters"]["learning_rate"] == 1e-3
    assert record["parameters"]["max_steps"] is None
    assert len(record["parameters"]["dataset_fingerprint"]) == 64
    assert record["outputs"] == {
        "num_train_examples": 3,
        "steps_per_epoch": 2,
        "num_train_steps": 2,
    }
    assert record["metrics"] == {"accuracy": 0.75, "loss": 0.5}
    assert record["validation_metrics"] == {"accuracy": 0.5}
    assert record["stopped_at"] == {"step": 1, "reason": "a test"}
    assert record["environment"]["precision"] == "toy"
    assert record["environment"]["kfp"].startswith("2.17.")
    assert record["error"] is None
    assert list(record["steps"]) == STEPS
    for step in record["steps"].values():
        assert step["status"] == "succeeded" and step["seconds"] > 0
        assert (step["cached"], step["cached_from"]) == (False, None)
    for path in record["artifacts"].values():
        assert (folder / path).exists()
    assert record["artifacts"]["model"] == "steps/finetune/model"
    assert (folder / "report.html").read_text() == "<p>report</p>"
    assert (folder / "learning_rate.html").read_text() == "<p>curve</p>"
    assert "Executing task" in (folder / "run.log").read_text()

    # Plain lines: each step starts and ends, nothing steers a terminal, nothing is wrapped.
    for step in STEPS:
        assert f"{step}: started\n" in out and f"{step}: done, " in out
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", out)
    assert "load_data: [red]one[/red] [31m\n" in out
    assert "plan                 3 ÷ 2 = 2\n" in out
    assert "Executing task" not in out
    assert "runs/first/report.html\n" in out


def test_the_sample_is_what_runs_without_a_dataset(cli: Cli, toy) -> None:
    code, out, err = cli("run", "--batch-size", "1", "--name", "sample")
    assert (code, err) == (0, ""), out
    parameters = cli.record("sample")["parameters"]
    assert parameters["dataset"] == str(toy.folder / "sample" / "data.csv")
    assert parameters["model"] == str(toy.folder / "sample" / "model")
    assert (parameters["learning_rate"], parameters["batch_size"]) == (1e-3, 1)


def test_wrong_input_is_reported_once_with_exit_code_2(cli: Cli) -> None:
    code, out, err = cli("run", "--dataset", "gone.csv", "--model", "model.bin", "--name", "bad")
    assert code == 2
    assert err == (
        "error: no such file\n"
        f"  where:    {cli.folder / 'gone.csv'}\n"
        "  expected: a file\n"
        "  remedy:   make one\n"
    )
    assert "Traceback" not in out
    record = cli.record("bad")
    assert record["status"] == "failed"
    assert record["steps"]["load_data"]["status"] == "failed"
    assert record["error"]["step"] == "load_data"
    assert record["error"]["message"].startswith("no such file")
    assert not (cli.folder / "runs" / "bad" / "steps" / "load_data").exists()


@pytest.mark.parametrize(
    ("trouble", "message"),
    [
        ("internal", "error: finetune failed: ValueError: the weights are made of cheese\n"),
        (
            "killed",
            "error: finetune failed: killed by signal 9, probably out of memory; it used up to ",
        ),
    ],
)
def test_another_failure_names_the_log_with_exit_code_1(
    cli: Cli, trouble: str, message: str
) -> None:
    code, _, err = cli.run("--name", "bad", "--trouble", trouble)
    assert code == 1
    assert err.startswith(message)
    assert err.endswith("\nlog: runs/bad/run.log\n")
    assert ("a smaller --batch-size" in err) == (trouble == "killed")
    assert "Traceback" not in err
    record = cli.record("bad")
    assert (record["status"], record["error"]["step"]) == ("failed", "finetune")
    assert record["steps"]["build_optimizer"]["status"] == "succeeded"
    assert not (cli.folder / "runs" / "bad" / "steps" / "finetune").exists()


def test_resume_advises_no_option_that_it_does_not_take(cli: Cli) -> None:
    code, _, err = cli.run("--name", "bad", "--trouble", "input")
    assert (code, err.splitlines()[-1]) == (2, "  remedy:   a lower --learning-rate")
    code, _, err = cli("resume", "bad")
    advice = "a lower --learning-rate; as options of kfp-finetune rerun bad"
    assert (code, err.splitlines()[-1]) == (2, f"  remedy:   {advice}")
    code, _, err = cli("rerun", "bad", "--learning-rate", "1e-6", "--name", "again")
    assert code == 2 and "it diverged" in err  # the command is one


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_everything(cli: Cli, signum: int, code: int) -> None:
    process = cli.start_run("--name", "long", "--seconds-per-step", "600")
    pid_file = cli.folder / "model.pid"
    assert wait_for(pid_file.exists)
    record = cli.record("long")
    assert record["status"] == "running" and record["pid"] == process.pid
    process.send_signal(signum)
    _, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert "Traceback" not in err
    assert not alive(int(pid_file.read_text()))
    record = cli.record("long")
    assert record["status"] == "interrupted"
    assert record["steps"]["finetune"]["status"] == "interrupted"
    assert record["steps"]["load_data"]["status"] == "succeeded"
    steps = cli.folder / "runs" / "long" / "steps"
    assert not (steps / "finetune").exists() and (steps / "load_data").exists()


def test_steps_die_with_a_killed_cli(cli: Cli) -> None:
    process = cli.start_run(
        "--seconds-per-step", "600", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    pid_file = cli.folder / "model.pid"
    assert wait_for(pid_file.exists)
    process.kill()
    process.wait()
    assert wait_for(lambda: not alive(int(pid_file.read_text())), 5)


def test_names(cli: Cli) -> None:
    assert cli.run("--name", "same")[0] == 0
    before = (cli.folder / "runs" / "same" / "run.json").read_bytes()
    code, _, err = cli.run("--name", "same")
    assert code == 2 and "run 'same' already exists" in err
    assert (cli.folder / "runs" / "same" / "run.json").read_bytes() == before
    for name in ("../up", "a b", ".hidden", ""):
        code, _, err = cli.run("--name", name)
        assert code == 2 and "is not a valid name for a run" in err


def test_a_folder_of_runs_that_cannot_be_written(cli: Cli) -> None:
    code, _, err = cli.run("--runs-dir", "data.csv/runs")
    assert code == 2
    assert "the folder of runs cannot be written: Not a directory" in err


def test_on_a_terminal_finished_steps_are_ticked(cli: Cli) -> None:
    shown = on_a_terminal(cli, {"TERM": "xterm-256color"})
    for step in STEPS:
        assert re.search(rf"✓\S* .*{step}", shown)
    assert "[red]one[/red] [31m" in shown  # shown as it is, not obeyed
    assert "\x1b[32m" in shown
    assert "accuracy" in shown


def test_no_color_is_honoured(cli: Cli) -> None:
    shown = on_a_terminal(cli, {"TERM": "xterm-256color", "NO_COLOR": "1"})
    assert "✓" in shown and "\x1b[32m" not in shown


def on_a_terminal(cli: Cli, environment: dict[str, str]) -> str:
    ours, theirs = pty.openpty()
    process = cli.start_run(
        "--seconds-per-step",
        "0.3",
        stdout=theirs,
        stderr=theirs,
        environment=environment,
    )
    os.close(theirs)
    shown = read_terminal(ours)
    assert process.wait(timeout=60) == 0, shown
    return shown


def test_runs_that_start_in_the_same_second_get_folders_of_their_own(tmp_path: Path) -> None:
    from kfp_finetune.runs.folder import RunFolder

    made = [
        RunFolder.create(tmp_path, None, "toy", {"dataset": "a/b c.csv"}).record.name
        for _ in range(5)
    ]
    assert len(set(made)) == 5
    assert all(re.fullmatch(r"b-c-\d{8}-\d{6}(-\d)?", name) for name in made)
    assert json.loads((tmp_path / made[0] / "run.json").read_text())["status"] == "running"


def test_a_reader_that_goes_away_ends_the_run(cli: Cli) -> None:
    process = cli.start_run( "--seconds-per-step", "600",
        "--name", "piped",
    )  # fmt: skip
    assert process.stdout and process.stderr
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=60) == 141
    assert process.stderr.read() == "interrupted (SIGPIPE)\n"
    assert cli.record("piped")["status"] == "interrupted"
