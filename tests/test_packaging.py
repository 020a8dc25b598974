"""The installed packages: one top-level name, and a client without TensorFlow."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOP_LEVEL = ("api", "cli", "components", "pipelines")


def tracked(*suffixes: str) -> set[Path]:
    """The project's files below the packages, as git knows them."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *TOP_LEVEL],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\n")
    return {Path(name) for name in listed if name.endswith(suffixes) and (ROOT / name).is_file()}


def installed(path: Path) -> Path:
    """Where a file of the project is installed: the folder api/ is the package itself."""
    return Path("kfp_finetune", *path.parts[path.parts[0] == "api" :])


def build_wheel(folder: Path) -> Path:
    """The wheel of the files that git knows; what earlier builds left behind is not among them."""
    source = folder / "source"
    others = ("pyproject.toml", "setup.py", "README.md", "LICENSE", "NOTICE")
    for name in [*tracked(""), *map(Path, others)]:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, source / name)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--no-cache-dir", "-w", folder, source], check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def test_the_wheel_holds_the_project_under_one_name(tmp_path: Path) -> None:
    with zipfile.ZipFile(build_wheel(tmp_path)) as wheel:
        names = {Path(name) for name in wheel.namelist()}
    files = {name for name in names if not name.parts[0].endswith(".dist-info")}
    assert {name.parts[0] for name in files} == {"kfp_finetune"}
    expected = {
        installed(name)
        for name in tracked("")
        if name.name not in ("README.md", ".gitignore") or "sample" in name.parts
    }
    assert files == expected


def test_plain_modules_do_not_need_kfp_to_be_a_compiler() -> None:
    """Inside a running component `kfp.dsl.component` does not exist."""
    plain = sorted(
        ".".join(["kfp_finetune", *path.with_suffix("").parts])
        for path in tracked(".py")
        if path.parts[0] == "components" and path.name not in ("component.py", "__init__.py")
    )
    assert len(plain) > 25
    code = "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)"
    environment = os.environ | {"_KFP_RUNTIME": "true", "TF_CPP_MIN_LOG_LEVEL": "3"}
    subprocess.run([sys.executable, "-c", code, *plain], check=True, env=environment, cwd="/")


@pytest.mark.slow
def test_the_client_compiles_without_tensorflow(tmp_path: Path) -> None:
    """In an environment of its own, from the wheel, with the locked versions."""
    wheel = build_wheel(tmp_path)
    lock = (ROOT / "requirements.lock").read_text().replace("\\\n", "").splitlines()
    pins = [line.split(" --hash")[0].split("#")[0].strip() for line in lock]
    (tmp_path / "constraints.txt").write_text("\n".join(pin for pin in pins if pin))
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    binaries = tmp_path / "venv" / "bin"
    subprocess.run(
        [binaries / "pip", "install", "-q", "-c", tmp_path / "constraints.txt", wheel], check=True
    )
    missing = subprocess.run([binaries / "python", "-c", "import tensorflow"], capture_output=True)
    assert missing.returncode == 1
    subprocess.run([binaries / "kfp-finetune", "compile", "-o", "p.yaml"], check=True, cwd=tmp_path)
    committed = ROOT / "pipelines" / "finetune" / "pipeline.yaml"
    assert (tmp_path / "p.yaml").read_text() == committed.read_text()
