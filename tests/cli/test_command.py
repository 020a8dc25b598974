"""The installed command: help at once, usage errors, compile."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

COMMAND = Path(sys.executable).with_name("kfp-finetune")


def command(*arguments: str, cwd: Path | None = None) -> tuple[int, str, str]:
    done = subprocess.run(
        [COMMAND, *arguments], cwd=cwd, capture_output=True, text=True, timeout=120
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    "arguments", [["--help"], ["run", "--help"], ["check", "--help"], ["run", "--nonsense"]]
)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\n"
        "from kfp_finetune.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'kfp', 'tensorflow', 'transformers', 'datasets', 'huggingface_hub',"
        " 'numpy', 'rich.progress'}\n"
        "sys.exit(','.join(sorted(heavy & set(sys.modules))) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    assert (done.returncode, done.stderr if "--help" in arguments else "") == (0, "")


def test_help_names_every_option_whole() -> None:
    _, out, _ = command("run", "--help")
    for option in ("--dataset", "--gradient-accumulation-steps", "--learning-rate", "--config"):
        assert f"{option} <" in out
    assert "fingerprint" not in out
    assert "[default: chosen from the longest text]" in " ".join(out.split())
    assert "[default: 0.1]" in out


def test_an_unknown_option_is_wrong_input() -> None:
    code, out, err = command("run", "--lerning-rate", "1")
    assert (code, out) == (2, "")
    assert "--learning-rate" in err
    assert command("run", "--batch-size", "many")[0] == 2
    assert command("nonsense")[0] == 2


def test_compile_is_deterministic_and_takes_an_image(tmp_path: Path) -> None:
    assert command("compile", cwd=tmp_path) == (0, "wrote pipeline.yaml\n", "")
    code, out, err = command(
        "compile",
        "--image",
        "registry.example.com:5000/a/b@sha256:" + "0" * 64,
        "-o",
        "b.yml",
        cwd=tmp_path,
    )
    assert (code, out, err) == (0, "wrote b.yml\n", "")
    one, two = (tmp_path / name for name in ("pipeline.yaml", "b.yml"))
    lines = list(zip(one.read_text().splitlines(), two.read_text().splitlines(), strict=True))
    changed = [(a, b) for a, b in lines if a != b]
    executors = yaml.safe_load(two.read_text())["deploymentSpec"]["executors"]
    assert len(changed) == len(executors)
    assert all(b.strip().startswith("image: registry.example.com") for _, b in changed)
    assert command("compile", "-o", "c.txt", cwd=tmp_path)[0] == 0
    assert (tmp_path / "c.txt").read_bytes() == one.read_bytes()


def test_compile_works_in_the_client_without_tensorflow(tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    for module in ("tensorflow", "keras", "transformers", "datasets", "sklearn", "numpy"):
        (blocked / module).mkdir(parents=True)
        (blocked / module / "__init__.py").write_text("raise ImportError('not in the client')")
    done = subprocess.run(
        [COMMAND, "compile", "-o", tmp_path / "out.yaml"],
        env=os.environ | {"PYTHONPATH": str(blocked)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-o", "no/p.yaml"], "error: the pipeline cannot be written: its folder does not exist\n"),
        (["-o", "."], "error: the pipeline cannot be written: it is a folder\n"),
        (["--image", "a b"], "error: 'a b' is not an image reference\n"),
        (["--pipeline", "finetun"], "error: unknown pipeline 'finetun'\n  where:    --pipeline\n"
         "  expected: one of: finetune, compare_schedules\n  remedy:   --pipeline finetune\n"),
    ],
)  # fmt: skip
def test_wrong_input_to_compile(tmp_path: Path, arguments: list[str], message: str) -> None:
    code, out, err = command("compile", *arguments, cwd=tmp_path)
    assert (code, out) == (2, "")
    assert err.startswith(message)
    assert not list(tmp_path.iterdir())
