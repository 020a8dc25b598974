"""The parts that all running steps share: messages, progress for Argo, versions and owners."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from kfp import dsl

from kfp_finetune.components import progress_file, runtime
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.version import CLIENT_VARIABLE, FORMATS, VERSION

COMPONENTS = Path(__file__).parents[1] / "components"
RUN = "0f5be8a4-1d7f-4f3e-9b52-7a2f4f1d2c3b"
TASK = "minio://mlpipeline/v2/artifacts/kfp-finetune/" + RUN + "/finetune"


@pytest.mark.parametrize(
    ("output", "run"),
    [
        (f"{TASK}/7c0dbb02-7a6e-4c55-8f8a-1f3d3a9e6b11/model", TASK),
        (f"{TASK}/11111111-2222-3333-4444-555555555555/model", TASK),  # a retry in another pod
        (f"{TASK}/model", TASK),
        ("/home/me/runs/one/steps/finetune/model", "/home/me/runs/one/steps/finetune"),
        (f"/home/me/runs/{RUN}/steps/finetune/model/", f"/home/me/runs/{RUN}/steps/finetune"),
    ],
)
def test_a_retry_is_distinguished_from_another_run(output: str, run: str) -> None:
    assert runtime.run_of(output) == run


def people_read(out: str) -> list[str]:
    return [line for line in out.splitlines() if runtime.parse_line(line) is None]


def test_an_error_is_printed_on_lines_of_its_own(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit), runtime.step("toy"):
        raise InputError("the file is empty", where="a.csv", expected="rows", remedy="add some")
    assert people_read(capfd.readouterr().out) == [
        "error: the file is empty",
        "  where:    a.csv",
        "  expected: rows",
        "  remedy:   add some",
    ]


def test_notes_and_progress_are_read_by_people_too(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(runtime.time, "monotonic", lambda: now)
    runtime.emit("note", "finetune", text="103 rows")
    progress = runtime.Progress("finetune", 1000, "steps")
    for done in range(1, 101):  # one a second
        progress.update(done, "loss 0.512", "rate 5e-05")
        now += 1
    progress.update(1000, "loss 0.1", "rate 0")
    lines = people_read(capfd.readouterr().out)
    assert lines[:3] == [
        "finetune: 103 rows",
        "finetune: 1 of 1,000 steps · loss 0.512 · rate 5e-05",
        "finetune: 11 of 1,000 steps · loss 0.512 · rate 5e-05 · 0:16:29 left",
    ]
    assert lines[-1] == "finetune: 1,000 of 1,000 steps · loss 0.1 · rate 0"
    assert len(lines) == 12


def test_a_pod_prints_no_progress_for_machines(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice a second, they hid in the UI's Logs panel what people read."""
    now = 100.0
    monkeypatch.setattr(runtime.time, "monotonic", lambda: now)
    monkeypatch.setenv("KFP_POD_NAME", "finetune-1")
    progress = runtime.Progress("finetune", 21, "steps")
    for done in range(1, 22):  # one a second
        progress.update(done, "loss 0.5")
        now += 1
    assert capfd.readouterr().out.splitlines() == [
        "finetune: 1 of 21 steps · loss 0.5",
        "finetune: 11 of 21 steps · loss 0.5 · 0:00:10 left",
        "finetune: 21 of 21 steps · loss 0.5",
    ]


def test_progress_reaches_argo_at_most_every_ten_seconds_and_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, now = tmp_path / "progress", 0.0
    monkeypatch.setenv("ARGO_PROGRESS_FILE", str(file))
    monkeypatch.setattr(progress_file.time, "monotonic", lambda: now)
    progress = progress_file.ProgressFile(40)
    seen = []
    for done in range(1, 41):
        progress.update(done)
        seen.append(file.read_text())
        now += 0.9
    assert sorted(set(seen), key=seen.index) == [
        "1/40\n",
        "13/40\n",
        "25/40\n",
        "37/40\n",
        "40/40\n",
    ]


def test_without_argo_or_where_it_cannot_be_written_nothing_happens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ARGO_PROGRESS_FILE", raising=False)
    progress_file.ProgressFile(2).update(2)
    monkeypatch.setenv("ARGO_PROGRESS_FILE", str(tmp_path / "gone" / "progress"))
    progress_file.ProgressFile(2).update(2)


def test_another_version_of_the_same_formats_is_reported(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(CLIENT_VARIABLE, f"9.9.9 formats={FORMATS}")
    with runtime.step("toy"):
        pass
    (line,) = people_read(capfd.readouterr().out)
    assert line == (
        f"warning: this image has kfp-finetune {VERSION}, but the pipeline was compiled by 9.9.9"
    )


@pytest.mark.parametrize(
    "path", sorted(COMPONENTS.glob("*/component.py")), ids=lambda p: p.parent.name
)
def test_a_step_prints_its_images_version_before_newer_imports(
    path: Path,
) -> None:
    for function in ast.parse(path.read_text()).body:
        if isinstance(function, ast.FunctionDef):
            imported, *others = [n for n in function.body if isinstance(n, ast.ImportFrom)]
            assert (ast.unparse(imported), others) == (
                "from kfp_finetune.components import runtime",
                [],
            )


def test_other_formats_end_the_step_before_it_works(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(CLIENT_VARIABLE, f"9.9.9 formats={FORMATS + 1}")
    begun = False
    with pytest.raises(SystemExit) as end, runtime.step("toy"):
        begun = True
    out = capfd.readouterr().out
    assert end.value.code == InputError.exit_code
    assert f"kfp-finetune {VERSION}, but the pipeline was compiled by 9.9.9" in out
    assert not begun


def test_a_step_knows_the_uris_of_its_outputs() -> None:
    root = "minio://mlpipeline/v2/artifacts/p/0b1e6a3e-0000-4000-8000-000000000000/toy/u"
    outputs = [dsl.Model(uri=f"{root}/model"), dsl.HTML(uri=f"{root}/report")]
    with runtime.step("toy", *outputs) as uris:
        assert uris == {"model": f"{root}/model", "report": f"{root}/report"}
