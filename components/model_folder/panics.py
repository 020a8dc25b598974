"""Panics of the `tokenizers` library as ordinary errors.

A tokenizer.json that does not fit together, or a regular expression of it that gives up on a text,
makes the library panic. That reaches Python as an exception which is no `Exception`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.model_folder.files import first_line


@contextlib.contextmanager
def panics_as(made: Callable[[str], Exception]) -> Iterator[None]:
    """Raise an error of another kind where the library panics.

    Args:
        made: Makes the error of what the library said.
    """
    try:
        yield
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # the library does not export it
            raise
        raise made(first_line(error)) from None


def cannot_tokenize(reason: str) -> InputError:
    """The error for a text that a tokenizer panics on."""
    return InputError(
        f"the tokenizer fails on a text: {reason}",
        where="tokenizer.json",
        expected="a tokenizer that reads any text",
        remedy="use another model; this one's tokenizer.json is damaged, or made to fail",
    )
