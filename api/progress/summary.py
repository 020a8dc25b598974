"""The summary of a finished run: names, values and the next command."""

from __future__ import annotations

from pathlib import Path

from kfp_finetune.components.artifacts.metrics import UNTUNED
from kfp_finetune.components.artifacts.verdict import Verdict
from kfp_finetune.components.repeating import as_options
from kfp_finetune.progress.lines import duration
from kfp_finetune.runs import scores
from kfp_finetune.runs.folder import RunFolder
from kfp_finetune.runs.results import PAGES


def command_on(command: str, folder: RunFolder) -> str:
    """A command on a run, to type in this folder."""
    runs_dir = folder.path.parent
    where = "" if runs_dir == Path("runs").absolute() else f" --runs-dir {shown(runs_dir)}"
    return f"kfp-finetune {command} {folder.record.name}{where}"


def summary(folder: RunFolder, plan: str, rerun: str = "") -> list[tuple[str, str]]:
    """The names and values of the summary.

    Args:
        folder: A run that has succeeded.
        plan: The plan of steps in one line; "" if unknown.
        rerun: The command that repeats the run; by default on this machine.
    """
    record = folder.record
    rows = [("plan", plan)] if plan else []
    if record.stopped_at:
        rows.append(("stopped", f"at step {record.stopped_at.step:,}: {record.stopped_at.reason}"))
    if record.resumed_at:
        exact = "; not bit-identical" if record.differences else ""
        steps = ", ".join(f"{step:,}" for step in record.resumed_at)
        rows.append(("resumed", f"after step {steps}{exact}"))
    rows += [(f"test {name}", text) for name, text in scores.of_run(folder)]
    rows += [
        (f"validation {n}" + (" at 0.5" if UNTUNED + n in record.metrics else ""), text)
        for n, text in scores.values(record.validation_metrics)
    ]
    # The best candidate's advice can change what a comparison takes from its candidates.
    again = "" if record.candidates else rerun or command_on("rerun", folder)
    rows += verdict_rows(record.verdict, again)
    seconds = sum(step.seconds or 0 for step in record.steps.values())
    rows.append(("time", duration(seconds)))
    for page in PAGES.values():
        if (folder.path / page).exists():
            title = page.removesuffix(".html").replace("_", " ")
            rows.append((title, shown(folder.path / page)))
    if "model" in record.artifacts:
        rows.append(("model", shown(folder.path / record.artifacts["model"])))
    if any(name.endswith("tensorboard_logs") for name in record.artifacts):
        rows.append(("TensorBoard", command_on("tensorboard", folder)))
    return rows


def verdict_rows(verdict: Verdict | None, rerun: str) -> list[tuple[str, str]]:
    """The verdict on a training, and the command that follows its advice.

    Args:
        verdict: None if there is none.
        rerun: The command that repeats the training with other options; "" if there is none.
    """
    if verdict is None:
        return []
    rows = [("verdict", verdict.finding)]
    if verdict.options and rerun:
        rows.append(("next", " ".join([rerun, *as_options(verdict.options)])))
    elif verdict.advice:
        rows.append(("next", verdict.advice))
    return rows


def shown(path: Path) -> str:
    """The shortest form of a path from the current folder."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
