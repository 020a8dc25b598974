"""A pipeline's parameters as command-line options."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from kfp_finetune.components.errors import InputError
from kfp_finetune.pipelines.parameters import AUTO, FINGERPRINTS, Parameter, ascii_number

_LEARNING_RATE = "learning_rate"


def as_options(
    parameters: Sequence[Parameter], *, auto: bool = False
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command an option for every parameter.

    The decorated function takes them all as one keyword argument, `flags`: a dict of those that
    were given.

    Args:
        parameters: Which.
        auto: Whether the learning rate may be "auto".
    """
    offered = [p for p in parameters if p.name not in FINGERPRINTS and p.type is not list]

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        @wraps(function)
        def command(**given: Any) -> None:
            flags = {p.name: given.pop(p.name) for p in offered}
            if flags.get(_LEARNING_RATE) is not None:
                flags[_LEARNING_RATE] = _rate(flags[_LEARNING_RATE], auto)
            function(flags={k: v for k, v in flags.items() if v is not None}, **given)

        own = inspect.signature(function, eval_str=True)
        kept = [p for p in own.parameters.values() if p.name != "flags"]
        added = [
            inspect.Parameter(
                p.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=None,
                annotation=Annotated[
                    (str if p.name == _LEARNING_RATE else p.type) | None, _option(p)
                ],
            )
            for p in offered
        ]
        all_of_them = [q.replace(kind=inspect.Parameter.KEYWORD_ONLY) for q in kept] + added
        command.__signature__ = own.replace(parameters=all_of_them)  # type: ignore[attr-defined]
        command.__annotations__ = {q.name: q.annotation for q in all_of_them}
        return command

    return decorate


def _whole(value: str) -> int:
    try:
        return int(ascii_number(value))
    except ValueError:
        raise typer.BadParameter(f"{value!r} is not a valid integer.") from None


def _number(value: str) -> float:
    try:
        return float(ascii_number(value))
    except ValueError:
        raise typer.BadParameter(f"{value!r} is not a valid float.") from None


# What reads an option, and what its help calls the value.
_PARSERS: dict[type, tuple[Callable[[str], Any], str]] = {
    int: (_whole, "<int>"),
    float: (_number, "<float>"),
}


def _rate(text: str, auto: bool) -> float | str:
    if text == AUTO and auto:
        return text
    try:
        return float(ascii_number(text))
    except ValueError:
        raise InputError(
            f"--learning-rate is '{text}'",
            where="--learning-rate",
            expected="a number such as 5e-5",
            remedy="kfp-finetune find-lr suggests one for your data" + ", or auto" * auto,
        ) from None


class GroupedCommand(TyperCommand):
    """A command whose help shows the parameters under the step that takes them."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the options, group by group."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for option in self.get_params(ctx):
            lines = option.get_help_record(ctx)
            if lines:
                panel = getattr(option, "rich_help_panel", None) or "Options"
                groups.setdefault(panel, []).append(lines)
        for panel, records in groups.items():
            with formatter.section(panel):
                formatter.write_dl(records)


def _option(parameter: Parameter) -> Any:
    names = parameter.option
    if parameter.type is bool:
        names += "/--no-" + parameter.option[2:]
    default = "" if parameter.default in (None, "") else f" [{_in_yaml(parameter.default)}]"
    parser, metavar = _PARSERS.get(parameter.type, (None, None))
    if parameter.name == _LEARNING_RATE:  # or "auto"
        parser = metavar = None
    return typer.Option(
        names,
        help=f"{parameter.description}{default}",
        show_default=False,
        parser=parser,
        metavar=metavar,
        rich_help_panel=f"Parameters of {parameter.step}",
    )


def _in_yaml(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value}"
