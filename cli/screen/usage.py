"""Report a wrong command line like all wrong input: found, where, expected, remedy.

Only this file uses Typer's exceptions, which are private: `typer._click`.
"""

from __future__ import annotations

import difflib
import sys
from typing import Any

from kfp_finetune.components.errors import InputError

_TYPE_NAMES = {"int": "a whole number", "float": "a number", "bool": "true or false"}


def run_app(app: Any) -> int:
    """Run a Typer app on the command line.

    Args:
        app: The app.

    Returns:
        The exit code.

    Raises:
        InputError: If the command line is wrong.
        KeyboardInterrupt: If Ctrl-C interrupted it.
    """
    from typer._click import exceptions

    try:
        code = app(prog_name="kfp-finetune", standalone_mode=False)
    except exceptions.NoArgsIsHelpError as error:
        print(error.format_message(), file=sys.stderr)
        return InputError.exit_code
    except exceptions.UsageError as error:
        raise explained(error) from None
    if code == 130:  # Typer's code for a KeyboardInterrupt
        raise KeyboardInterrupt
    return code if isinstance(code, int) else 0


def explained(error: Any) -> InputError:
    """Convert a usage error of Typer.

    Args:
        error: A `typer._click.exceptions.UsageError`.
    """
    from typer._click import exceptions

    command = error.ctx.command_path if error.ctx is not None else _command_in(sys.argv)
    remedy = f"{command} --help"
    parameter = getattr(error, "param", None)
    if isinstance(error, exceptions.NoSuchOption):
        return _unknown_option(error, command, remedy)
    if isinstance(error, exceptions.BadParameter) and parameter is not None:
        is_missing = isinstance(error, exceptions.MissingParameter)
        return (_missing if is_missing else _bad_value)(error, parameter, command, remedy)
    if isinstance(error, exceptions.BadOptionUsage):
        needs = "needs a value" if "requires" in error.message else "takes no value"
        return InputError(
            f"{error.option_name} {needs}",
            where=command,
            expected="options in the form that the help lists",
            remedy=remedy,
        )
    if hasattr(getattr(error.ctx, "command", None), "commands"):
        return _unknown_command(error, error.ctx.command.commands)
    words = error.message.rpartition("(")[2].rstrip(")")
    usage = " ".join(error.ctx.command.collect_usage_pieces(error.ctx)) if error.ctx else ""
    return InputError(
        f"unexpected argument: {words}",
        where=command,
        expected=f"{command} {usage}; quotes around a text that contains spaces",
        remedy=remedy,
    )


def _command_in(words: list[str]) -> str:
    """Return the called command, which the exceptions of Typer's parser do not have."""
    return " ".join(["kfp-finetune", *words[1:2]])


def _unknown_option(error: Any, command: str, remedy: str) -> InputError:
    name = error.option_name
    known = sorted(
        {o for p in error.ctx.command.params for o in (*p.opts, *p.secondary_opts) if o[0] == "-"}
    )
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.61)
    return InputError(
        f"there is no option {name}",
        where=command,
        expected=" or ".join(near) if near else "an option that the help lists",
        remedy=remedy,
    )


def _unknown_command(error: Any, commands: Any) -> InputError:
    name = error.message.partition("'")[2].partition("'")[0]
    near = difflib.get_close_matches(name, commands, n=1)
    return InputError(
        f"there is no command '{name}'" if name else "no command is given",
        where="kfp-finetune",
        expected=f"a command, such as {near[0]}" if near else "one of: " + ", ".join(commands),
        remedy="kfp-finetune --help",
    )


def _missing(_: Any, parameter: Any, command: str, remedy: str) -> InputError:
    help_text = (parameter.help or "").rstrip(".")
    return InputError(
        f"{_name(parameter)} is missing",
        where=command,
        expected=help_text[:1].lower() + help_text[1:],
        remedy=remedy,
    )


def _bad_value(error: Any, parameter: Any, command: str, remedy: str) -> InputError:
    value = _value_of(error)
    name = _name(parameter)
    return InputError(
        f"{name} is {value!r}" if value else f"{name} has a wrong value",
        where=command,
        expected=_expected(parameter) or error.message,
        remedy=remedy,
    )


def _name(parameter: Any) -> str:
    if parameter.param_type_name == "option":
        return str(parameter.opts[-1])
    return str(parameter.metavar or parameter.name.upper())


def _value_of(error: Any) -> str:
    """Return the given value; "" if the exception does not have it."""
    if isinstance(value := getattr(error, "value", None), str):
        return value
    details = getattr(error.__cause__ or error.__context__, "errors", None)
    found = details() if callable(details) else []
    return str(found[0].get("input", "")) if found else ""


def _expected(parameter: Any) -> str:
    described = parameter.type_descriptor
    if described.is_choice and described.choices:
        return "one of: " + ", ".join(str(getattr(c, "value", c)) for c in described.choices)
    name = _TYPE_NAMES.get(parameter.bare_type(), "")
    least, most = getattr(parameter, "min", None), getattr(parameter, "max", None)
    if least is not None and most is not None:
        return f"{name} from {least} to {most}"
    return f"{name} of at least {least}" if least is not None else name
