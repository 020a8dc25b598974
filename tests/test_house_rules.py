"""The house rules that a program can check: size of functions and signatures, import cycles."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# The folders of the import root kfp_finetune.
PACKAGES = ("cli", "components", "pipelines", "api")
FOLDERS = (*PACKAGES, "benchmarks", "docs", "tests")
MOST_LINES = 60
MOST_PARAMETERS = 10
# KFP and Typer read these signatures; api/ takes the pipeline's parameters by name.
WIDE_SIGNATURES = ("component.py", "pipeline.py")

# Functions that break a rule and have no reason yet. The list may only shrink.
TOO_LONG: set[str] = set()
TOO_WIDE: set[str] = set()
# Groups of files that import each other. The list may only shrink.
CYCLES: set[frozenset[str]] = set()


@dataclass(frozen=True)
class Function:
    """A function of the project.

    Attributes:
        name: "path/to/file.py:Class.function".
        lines: Lines of code, without docstring, comments and blank lines.
        parameters: Parameters, without self and cls.
        above: The comment lines right above it, or above its decorators.
    """

    name: str
    lines: int
    parameters: int
    above: str


def files(folders: tuple[str, ...]) -> list[Path]:
    """The Python files of these folders."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


@functools.cache
def functions() -> tuple[Function, ...]:
    """All functions of the project."""
    return tuple(
        function
        for path in files(FOLDERS)
        for function in functions_of(path.relative_to(ROOT).as_posix(), path.read_text())
    )


def functions_of(path: str, source: str) -> Iterator[Function]:
    """All functions of one file, those inside classes and functions included."""
    lines = source.splitlines()

    def visit(node: ast.AST, prefix: str) -> Iterator[Function]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                yield described(child, f"{path}:{prefix}{child.name}", lines)
            named = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            yield from visit(child, f"{prefix}{child.name}." if named else prefix)

    yield from visit(ast.parse(source), "")


def described(
    node: ast.FunctionDef | ast.AsyncFunctionDef, name: str, lines: list[str]
) -> Function:
    """Measure one function of a file with these lines."""
    arguments = node.args
    names = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    parameters = [argument for argument in names if argument.arg not in ("self", "cls")]
    code = set(range(node.lineno, (node.end_lineno or 0) + 1))
    if ast.get_docstring(node) is not None:
        code -= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    code = {n for n in code if lines[n - 1].strip() and not lines[n - 1].strip().startswith("#")}
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)]) - 1
    above = []
    while first > 0 and lines[first - 1].strip().startswith("#"):
        first -= 1
        above.append(lines[first].strip())
    return Function(name, len(code), len(parameters), "\n".join(above))


@functools.cache
def imports() -> dict[str, set[str]]:
    """The files of kfp_finetune, and which of them each one imports, anywhere in it.

    Imports for type checkers alone are omitted: nothing runs them.
    """
    modules = {module_of(path): path for path in files(PACKAGES)}
    return {
        module: {name for name in imported(path, modules) if name != module}
        for module, path in modules.items()
    }


def module_of(path: Path) -> str:
    """The name that a file is imported by."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    if parts[0] == "api":
        parts = parts[1:]  # its files are the import root itself
    return ".".join(("kfp_finetune", *(part for part in parts if part != "__init__")))


def imported(path: Path, modules: dict[str, Path]) -> Iterator[str]:
    """The modules that a file imports, out of the given ones."""
    for node in executed(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import"
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield from [found for found in (name, node.module) if found in modules][:1]


def executed(node: ast.AST) -> Iterator[ast.AST]:
    """A node and all below it, except what only a type checker reads."""
    yield node
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        yield from executed(child)


def cycles(graph: dict[str, set[str]]) -> set[frozenset[str]]:
    """The groups of nodes that can be reached from each other."""
    reached = {node: reachable(graph, node) for node in graph}
    return {
        frozenset({node, *(other for other in reached[node] if node in reached[other])})
        for node in graph
        if node in reached[node]
    }


def reachable(graph: dict[str, set[str]], start: str) -> set[str]:
    """The nodes that a path leads to from a node; itself only if it lies on a cycle."""
    found: set[str] = set()
    waiting = list(graph[start])
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting += graph[node]
    return found


def test_functions_are_short_or_give_a_reason() -> None:
    long = {
        function.name: function.lines
        for function in functions()
        if function.lines > MOST_LINES
        and Path(function.name.partition(":")[0]).name not in WIDE_SIGNATURES
        and not has_reason(function, "long")
    }
    new = {name: lines for name, lines in long.items() if name not in TOO_LONG}
    assert not new, f"over {MOST_LINES} lines of code: divide, or put '# long: reason' above"
    assert set(long) == TOO_LONG, "some are short now: remove them from TOO_LONG"


def test_signatures_are_narrow_or_give_a_reason() -> None:
    wide = {
        function.name: function.parameters
        for function in functions()
        if function.parameters > MOST_PARAMETERS
        and Path(function.name.partition(":")[0]).name not in WIDE_SIGNATURES
        and not function.name.startswith("api/")
        and not has_reason(function, "many parameters")
    }
    new = {name: count for name, count in wide.items() if name not in TOO_WIDE}
    assert not new, f"over {MOST_PARAMETERS} parameters: use a dataclass, or '# many parameters: …'"
    assert set(wide) == TOO_WIDE, "some are narrow now: remove them from TOO_WIDE"


def has_reason(function: Function, rule: str) -> bool:
    """Return True if a comment above a function gives a reason for breaking a rule."""
    return any(
        line.startswith(f"# {rule}: ") and len(line) > len(f"# {rule}: ")
        for line in function.above.splitlines()
    )


def test_files_do_not_import_each_other_in_circles() -> None:
    found = cycles(imports())
    assert not found - CYCLES, "files that import each other: " + "; ".join(
        ", ".join(sorted(group)) for group in found - CYCLES
    )
    assert found == CYCLES, "some circles are gone: remove them from CYCLES"


LONG = "\n".join(["def short(a):", *["    a += 1"] * 59, "    return a"])
DOCUMENTED = LONG.replace("def short(a):", 'def short(a):\n    """Add.\n\n    Many lines.\n    """')
WITH_REASON = f"# long: a table\n@decorated\n{LONG}"


@pytest.mark.parametrize(
    ("source", "lines", "reason"),
    [(LONG, 61, False), (DOCUMENTED, 61, False), (WITH_REASON, 61, True)],
    ids=["plain", "documented", "with a reason"],
)
def test_lines_of_code_are_counted(source: str, lines: int, reason: bool) -> None:
    (function,) = functions_of("file.py", source)
    assert (function.name, function.lines) == ("file.py:short", lines)
    assert has_reason(function, "long") == reason


def test_parameters_are_counted_without_self() -> None:
    source = "class C:\n    def f(self, a, /, b, *args, c=1, **rest): return a"
    (function,) = functions_of("file.py", source)
    assert (function.name, function.parameters, function.lines) == ("file.py:C.f", 3, 1)


def test_circles_are_found() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set(), "e": {"e"}}
    assert cycles(graph) == {frozenset("bc"), frozenset("e")}


def test_imports_for_type_checkers_are_no_circle(tmp_path: Path) -> None:
    source = "if TYPE_CHECKING:\n    import a\ndef f():\n    from b import c, d\n"
    path = tmp_path / "file.py"
    path.write_text(source)
    assert set(imported(path, {"a": path, "b": path, "b.c": path})) == {"b", "b.c"}
