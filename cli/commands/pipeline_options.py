"""The parameters of the compiled pipeline as options."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Annotated, Any

import typer

from kfp_finetune.cli.commands.options import with_options
from kfp_finetune.components.errors import InputError
from kfp_finetune.pipelines import catalog, parameters
from kfp_finetune.pipelines.parameters import AUTO, FILLED_IN, Parameter

FINETUNE = catalog.PIPELINES["finetune"]
_LEARNING_RATE = "learning_rate"
_WIDEST_CHOICE = 30  # columns; longer lists of choices are only in the description


def offered(*, steps: Sequence[str] = (), names: Sequence[str] = ()) -> tuple[Parameter, ...]:
    """Return the parameters of the pipeline finetune that are options.

    Args:
        steps: Only parameters of these steps; empty for all steps.
        names: Only these parameters; empty for all.

    Returns:
        The parameters; none if the pipeline has not been compiled yet.
    """
    known: tuple[Parameter, ...] = ()
    with contextlib.suppress(InputError):
        known = parameters.load(FINETUNE.definition)
    found = [
        p
        for p in known
        if p.name not in FILLED_IN
        and p.type is not list
        and (not steps or p.step in steps)
        and (not names or p.name in names)
    ]
    first = {name: place for place, name in enumerate(parameters.MOST_USED)}
    return tuple(sorted(found, key=lambda p: first.get(p.name, len(first))))


def as_options(
    options: Sequence[Parameter], *, auto: bool = False, described: Mapping[str, str] | None = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add an option for every parameter to a command.

    The decorated function gets the given options as one keyword argument, `flags`.

    Args:
        options: The parameters.
        auto: Whether the learning rate may be "auto".
        described: Descriptions of parameters with a different meaning in this command.
    """

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        @wraps(function)
        def command(**given: Any) -> None:
            flags = {p.name: given.pop(p.name) for p in options}
            if flags.get(_LEARNING_RATE) is not None:
                flags[_LEARNING_RATE] = _rate(flags[_LEARNING_RATE], auto)
            function(flags={k: v for k, v in flags.items() if v is not None}, **given)

        added = [
            inspect.Parameter(
                p.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=None,
                annotation=Annotated[
                    (str if p.name == _LEARNING_RATE else p.type) | None,
                    _option(p, (described or {}).get(p.name, p.description), auto=auto),
                ],
            )
            for p in options
        ]
        return with_options(command, function, ["flags"], added)

    return decorate


def _option(parameter: Parameter, description: str, *, auto: bool) -> Any:
    names = parameter.option
    if parameter.type is bool:
        names += "/--no-" + parameter.option[2:]
    parser, metavar = _PARSERS.get(parameter.type, (None, None))
    complete = None
    if parameter.name == _LEARNING_RATE:
        parser, metavar = None, "<float|auto>" if auto else "<float>"
        if auto:
            description = description.rstrip(".") + ', or "auto" to run find-lr first.'
    elif parameter.choices:
        words = "|".join(parameter.choices)
        metavar = f"<{words}>" if len(words) <= _WIDEST_CHOICE else "<choice>"
        complete = _completion(parameter.choices)
    if shown := parameter.default_text:
        description += f"  [default: {shown}]"
    return typer.Option(
        names,
        help=description,
        show_default=False,
        parser=parser,
        metavar=metavar,
        autocompletion=complete,
        rich_help_panel=parameter.group,
    )


def _completion(words: Sequence[str]) -> Callable[[str], list[str]]:
    def complete(incomplete: str) -> list[str]:
        return [word for word in words if word.startswith(incomplete)]

    return complete


def _whole(value: str) -> int:
    try:
        return int(parameters.ascii_number(value))
    except ValueError:
        raise _wrong(value, "a whole number") from None


def _number(value: str) -> float:
    try:
        return float(parameters.ascii_number(value))
    except ValueError:
        raise _wrong(value, "a number") from None


def _wrong(value: str, expected: str) -> typer.BadParameter:
    error = typer.BadParameter(expected)
    error.value = value  # type: ignore[attr-defined] # for the message
    return error


# The parser of an option, and the name of its value in the help.
_PARSERS: dict[type, tuple[Callable[[str], Any], str]] = {
    int: (_whole, "<int>"),
    float: (_number, "<float>"),
}


def _rate(text: str, auto: bool) -> float | str:
    if text == AUTO and auto:
        return text
    try:
        return float(parameters.ascii_number(text))
    except ValueError:
        raise InputError(
            f"--learning-rate is '{text}'",
            where="--learning-rate",
            expected="a number such as 5e-5" + ', or "auto"' * auto,
            remedy="kfp-finetune find-lr suggests one for your data"
            + "; --learning-rate auto uses it" * auto,
        ) from None
