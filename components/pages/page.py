"""The environment of the templates of all pages."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup, escape

from kfp_finetune.components.inert import inert
from kfp_finetune.components.number_text import count_text, number_text, percent_text
from kfp_finetune.components.options import as_given

# A rate such as 5e-05, a mean such as 85.0% ± 2.4%, or an option such as --num-train-epochs.
_DASHED = re.compile(r"\d[\d.]*e-\d+|\S+ ± [\d.]+%?|(?<![\w-])--[a-z][a-z0-9]*(?:-[a-z0-9]+)*")


def unbroken(text: str) -> Markup:
    """Text in which rates, options and means with a spread are not broken across lines."""
    return Markup(_DASHED.sub(r'<span class="whole">\g<0></span>', str(escape(text))))  # noqa: S704


def breakable(text: str) -> Markup:
    """A label that may be wrapped after an underscore."""
    return Markup(str(escape(text)).replace("_", "_<wbr>"))  # noqa: S704


def _finalize(value: Any) -> Any:
    """The output of an expression, before it is escaped."""
    return inert(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def templates(folder: Path) -> Environment:
    """The templates of a folder, and the base page and charts in this folder.

    Text from data is escaped and inert; an undefined name is an error. Templates run in a sandbox,
    which injected code cannot leave.
    """
    environment = ImmutableSandboxedEnvironment(
        finalize=_finalize,
        loader=FileSystemLoader([folder, Path(__file__).parent]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        number=number_text,
        percent=percent_text,
        count=count_text,
        unbroken=unbroken,
        breakable=breakable,
        as_given=as_given,
    )
    return environment
