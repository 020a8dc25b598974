"""The documents: their commands parse, their paths and links exist, the reference is up to date."""

from __future__ import annotations

import importlib.util
import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

from kfp_finetune.cli import main
from kfp_finetune.components.build_optimizer.parameters import Parameters
from kfp_finetune.components.models.registry import FAMILIES

ROOT = Path(__file__).parents[1]
DOCUMENTS = (
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "benchmarks" / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "pipelines").rglob("README.md")),
)
TEXTS = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in DOCUMENTS}
COMMAND = "kfp-finetune"
FOLDERS = ("benchmarks", "cli", "components", "docs", "pipelines", "tests", ".ci")
_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def commands() -> Iterator[tuple[str, str]]:
    """Every command line of kfp-finetune that a document prints, with the document's name."""
    for name, text in TEXTS.items():
        for fence in _FENCE.findall(text):
            for line in re.sub(r"\\\n\s*", " ", fence).splitlines():
                if line.strip().startswith(f"{COMMAND} "):
                    yield name, line.strip()
        for code in _CODE.findall(_FENCE.sub("", text)):
            if code.startswith(f"{COMMAND} "):
                yield name, code


def options(command: Any) -> dict[str, Any]:
    return {name: p for p in command.params for name in (*p.opts, *p.secondary_opts)}


@pytest.mark.parametrize(("document", "line"), sorted(set(commands())))
def test_commands_parse(document: str, line: str) -> None:
    """The command and every option exist; a command without placeholders takes its words."""
    words = shlex.split(line.replace("\\|", "|"), comments=True)
    words = words[: next((i for i, word in enumerate(words) if word in ("&&", "|")), len(words))]
    if len(words) < 2 or words[1].startswith("-"):
        return
    command = get_command(main.app).commands[words[1]]  # type: ignore[attr-defined]
    known = options(command)
    named = {word.partition("=")[0] for word in words[2:] if re.match(r"--?[a-zA-Z]", word)}
    assert named <= {*known, "--help", "-h"}, document
    if not any("…" in word or "[" in word for word in words) and "--help" not in words:
        context = typer.Context(command, info_name=words[1], resilient_parsing=False)
        command.parse_args(context, words[2:])


def test_options_in_running_text_exist() -> None:
    """`--option` in a document is an option of some command, or of another program's."""
    known = {
        name
        for command in get_command(main.app).commands.values()  # type: ignore[attr-defined]
        for name in options(command)
    }
    others = {"--help", "--accuracy"}
    for name, text in TEXTS.items():
        for code in _CODE.findall(_FENCE.sub("", text)):
            if code.startswith("--"):
                assert code.split()[0].partition("=")[0] in known | others, f"{name}: {code}"


def test_defaults_of_schedules_are_the_programs() -> None:
    """`parameter=value` in the guide's tables of schedules and optimizers."""
    section = TEXTS["docs/guide.md"].partition("\n## Schedules and optimizers")[2]
    found = re.findall(r"`(\w+)=([\d.e-]+)`", section.partition("\n## ")[0])
    assert len(found) >= 6
    for name, value in found:
        assert float(value) == getattr(Parameters(), name), name


def tracked() -> set[str]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    files = {name for name in listed if (ROOT / name).exists()}
    return files | {str(parent) for name in files for parent in Path(name).parents}


def test_paths_exist() -> None:
    """Every path into the repository that a document prints."""
    there = tracked()
    start = "|".join(re.escape(folder) for folder in FOLDERS)
    pattern = re.compile(rf"(?<![\w./$-])(?:{start})/[\w./*-]*")
    for name, text in TEXTS.items():
        for path in pattern.findall(text):
            if "*" not in path and "NAME" not in path:
                # Below a folder that a sentence ends with, or a path as its own document has it.
                candidates = {path.rstrip("/."), str(Path(name).parent / path.rstrip("/."))}
                assert candidates & there, f"{name}: {path}"


@cache
def anchors(path: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    text = _FENCE.sub("", path.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", TEXTS)
def test_links_lead_somewhere(name: str) -> None:
    for link in _LINK.findall(_FENCE.sub("", TEXTS[name])):
        if link.startswith(("http:", "https:")):
            continue
        file, _, anchor = link.partition("#")
        target = (ROOT / name).parent / file if file else ROOT / name
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_document_is_reached_from_the_readme() -> None:
    linked = {link.partition("#")[0] for link in _LINK.findall(TEXTS["README.md"])}
    assert {name for name in TEXTS if name.startswith("docs/")} <= linked


def test_every_picture_is_shown() -> None:
    shown = {(ROOT / name).parent / link for name in TEXTS for link in _LINK.findall(TEXTS[name])}
    for picture in (ROOT / "docs" / "images").iterdir():
        assert picture in {path.resolve() for path in shown}
        assert picture.stat().st_size <= 200_000


def test_the_readme_is_short() -> None:
    assert len(TEXTS["README.md"].splitlines()) <= 120


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for name, text in TEXTS.items():
        for code in [
            *_CODE.findall(_FENCE.sub("", text)),
            *"".join(_FENCE.findall(text)).split("\n"),
        ]:
            if match := re.match(r"make ([a-z]+)\b", code):
                assert match[1] in targets, f"{name}: {code}"


def test_images_have_the_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    for name, text in TEXTS.items():
        if name != "CHANGELOG.md":
            assert set(re.findall(r"kfp-finetune:(\d+\.\d+\.\d+)", text)) <= {version}, name


def test_every_family_is_in_the_list_of_models() -> None:
    listed = re.findall(r"^\| `([\w-]+)` \|", TEXTS["docs/models.md"], re.MULTILINE)
    assert sorted(set(listed) - {"model_type", "auto", "float32", "bfloat16"}) == sorted(FAMILIES)


def test_the_reference_is_the_programs() -> None:
    spec = importlib.util.spec_from_file_location("reference", ROOT / "docs" / "reference.py")
    assert spec is not None and spec.loader is not None
    reference = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(reference)
    assert TEXTS["docs/reference.md"] == reference.page(), "run make reference"
