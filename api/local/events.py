"""Update a run's record and the screen from the lines that a running pipeline prints."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.runtime import ERROR_LINE, parse_line
from kfp_finetune.progress.lines import Screen, clean, duration
from kfp_finetune.progress.trials import Trials
from kfp_finetune.runs.folder import RunFolder, StepRecord
from kfp_finetune.runs.results import collect, note_chosen

# Given the outputs of load_data, a sentence to show before training.
Announce = Callable[[Mapping[str, Any]], str]
_LINES_SHOWN = 5


class StepError(Exception):
    """A step, or the runner itself, failed for a reason other than wrong input.

    Args:
        message: The reason.
        step: The step that failed, if one was running.
    """

    def __init__(self, message: str, step: str | None) -> None:
        super().__init__(message)
        self.step = step


class Follower:
    """Follows one run.

    Args:
        folder: The run, whose record is kept up to date.
        screen: The screen that shows its progress.
        announce: Returns a sentence to show before training, or None.
    """

    def __init__(self, folder: RunFolder, screen: Screen, announce: Announce | None = None) -> None:
        self.plan = ""
        self._folder = folder
        self._screen = screen
        self._announce = announce
        self._last: deque[str] = deque(maxlen=_LINES_SHOWN)
        self._error: dict[str, Any] | None = None
        self._trials = Trials(folder.record.parameters.get("candidates") or [])

    def follow(self, line: str) -> None:
        """Process one line of output."""
        parsed = parse_line(line)
        if parsed is None:
            if clean(line):
                self._last.append(clean(line))
            return
        kind, fields = parsed
        if kind == ERROR_LINE:
            self._error = fields
        else:
            self._event(fields.pop("event"), fields.pop("step"), fields)

    def _event(self, event: str, step: str, fields: dict[str, Any]) -> None:
        steps = self._folder.record.steps
        if step not in steps:  # a component knows its name but not its trial
            running = (name for name, record in steps.items() if record.status == "running")
            step = next((name for name in running if name.endswith(f"/{step}")), step)
        title = self._trials.title(step)
        if event == "progress":
            done, total = fields["done"], fields["total"]
            detail = self._trials.detail(step, done, total, fields["detail"])
            self._screen.progress(title, done, total, fields["unit"], detail)
        elif event == "note":
            if step == "count_steps":
                self.plan = fields["text"]
            origin = fields.get("cached_from")
            self._screen.note(title, fields["text"] + (f" (in run {origin})" if origin else ""))
        elif event == "started":
            steps[step] = StepRecord()
            self._folder.save()
            self._trials.started(step)
            self._screen.started(title)
        elif event in ("finished", "cached"):
            self._ended(step, fields)

    def _ended(self, step: str, fields: dict[str, Any]) -> None:
        record = self._folder.record
        origin = fields.get("cached_from")
        record.steps[step] = StepRecord(
            status="succeeded",
            seconds=fields["seconds"],
            cached=origin is not None,
            cached_from=origin,
        )
        in_trial = "/" in step
        for name, path in fields["artifacts"].items():
            key = f"{step}.{name}" if in_trial or name in record.artifacts else name
            record.artifacts[key] = Path(path).relative_to(self._folder.path).as_posix()
        if not in_trial:
            record.outputs |= fields["outputs"]
            note_chosen(record, fields["outputs"])
            collect(self._folder, fields["artifacts"])
        self._folder.save()
        title = self._trials.title(step)
        if origin is None:
            self._screen.ended(title, "done", duration(fields["seconds"]))
        else:
            self._screen.ended(title, "cached", f"from {origin}")
        if self._announce is not None and step == "load_data":
            self._screen.heading(self._announce(fields["outputs"]))

    def check(self, code: int) -> None:
        """Raise the error of the run, if there was one.

        Args:
            code: The runner's exit code.

        Raises:
            InputError: If a step reported wrong input.
            StepError: If a step or the runner failed for another reason.
        """
        if code == 0:
            return
        steps = self._folder.record.steps
        step = next((name for name, s in steps.items() if s.status == "running"), None)
        if self._error is not None and self._error.get("kind") == "input":
            raise InputError.from_dict(self._error)
        if self._error is not None:
            step = str(self._error.get("step") or step)
            raise StepError(f"{step} failed: {clean(str(self._error.get('found', '')))}", step)
        last = "".join(f"\n  {line}" for line in self._last)
        raise StepError(
            f"{step or 'the local runner'} failed without an error message; last lines:{last}", step
        )
