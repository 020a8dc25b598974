"""The layout of help: arguments, the most used options, and the other options by group."""

from __future__ import annotations

import inspect
from typing import Any

from typer.core import TyperCommand, TyperGroup

from kfp_finetune.pipelines.parameters import MOST_USED_TITLE as MOST_USED

ARGUMENTS, OPTIONS = "Arguments", "Options"


class Command(TyperCommand):
    """A command whose help shows its options group by group."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments and options, with a section for each group."""
        for title, records in help_records(self, ctx).items():
            with formatter.section(title):
                formatter.write_dl(records)


class Group(TyperGroup):
    """The list of commands by group, with full summaries."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the name and the summary of every command."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for name in self.list_commands(ctx):
            command: Any = self.get_command(ctx, name)
            title = getattr(command, "rich_help_panel", None) or "Commands"
            groups.setdefault(title, []).append((name, summary(command)))
        width = max(len(name) for records in groups.values() for name, _ in records)
        for title, records in groups.items():
            with formatter.section(title):
                formatter.write_dl([(f"{name:<{width}}", text) for name, text in records])


def summary(command: Any) -> str:
    """Return the first paragraph of a command's help, on one line."""
    return " ".join(inspect.cleandoc(command.help or "").split("\n\n")[0].split())


def help_records(command: Any, ctx: Any) -> dict[str, list[tuple[str, str]]]:
    """Return name and description of a command's arguments and options, by group."""
    groups: dict[str, list[tuple[str, str]]] = {ARGUMENTS: [], MOST_USED: [], OPTIONS: []}
    for option in command.get_params(ctx):
        record = option.get_help_record(ctx)
        if record:
            is_argument = option.param_type_name == "argument"
            title = getattr(option, "rich_help_panel", None) or OPTIONS
            groups.setdefault(ARGUMENTS if is_argument else title, []).append(record)
    return {title: records for title, records in groups.items() if records}
