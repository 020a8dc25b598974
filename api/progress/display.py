"""Choose the screen: live on a terminal, HTML in a notebook, else plain lines."""

from __future__ import annotations

import os
import sys

from kfp_finetune.progress.lines import PlainScreen, Screen, SilentScreen


def make_screen() -> Screen:
    """Return the screen that suits standard output."""
    if in_notebook():
        from kfp_finetune.progress.notebook import NotebookScreen

        return NotebookScreen()
    plain = (
        not sys.stdout.isatty()
        or os.environ.get("TERM") in ("dumb", "unknown")
        or os.environ.get("CI", "").lower() not in ("", "0", "false")
    )
    if plain:
        return PlainScreen()
    from kfp_finetune.progress.terminal import TerminalScreen

    return TerminalScreen()


def in_notebook() -> bool:
    """Return True if this process is the kernel of a notebook, which can show HTML."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and hasattr(shell, "kernel")


def screen_for(progress: bool) -> Screen | None:
    """The screen of an API call; None for the one that suits standard output."""
    return None if progress else SilentScreen()
