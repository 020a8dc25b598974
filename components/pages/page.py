"""What every page shares: the templates' environment and how numbers are written."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup, escape

from kfp_finetune.components.inert import inert
from kfp_finetune.components.options import as_given


def rate_text(value: float) -> str:
    """A learning rate as people write it: 5e-05, 0.001, 0."""
    return f"{value:.3g}"


def number_text(value: float) -> str:
    """A loss or a score: three decimals, more digits where those would be zeros."""
    return f"{value:.3f}" if value == 0 or 1e-3 <= abs(value) < 1e5 else f"{value:.2e}"


def percent_text(value: float) -> str:
    """A share: 92.1%."""
    return f"{value:.1%}"


def count_text(value: float) -> str:
    """A count: 12,345."""
    return f"{value:,.0f}"


def unbroken(text: str) -> Markup:
    """Text in which a rate is not broken at its minus sign."""
    return Markup(re.sub(r"\d[\d.]*e-\d+", r'<span class="whole">\g<0></span>', str(escape(text))))  # noqa: S704


def breakable(text: str) -> Markup:
    """A label that may go on in the next line after an underscore."""
    return Markup(str(escape(text)).replace("_", "_<wbr>"))  # noqa: S704


def _finalize(value: Any) -> Any:
    """What a template puts out, before it is escaped."""
    return inert(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def templates(folder: Path) -> Environment:
    """The templates of a folder, on top of the page and the charts that lie beside this module.

    Text that comes from data is escaped and inert; a name the template misspells is an error. The
    templates are in a sandbox: what somebody else wrote into one could not leave it.
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
