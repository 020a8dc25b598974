"""Turn panics of the `tokenizers` library into ordinary errors.

The library panics on an inconsistent tokenizer.json, or if one of its regular expressions fails on
a text. In Python, a panic is raised as an exception that is not a subclass of `Exception`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.model_folder.files import first_line


@contextlib.contextmanager
def panics_as(made: Callable[[str], Exception]) -> Iterator[None]:
    """Raise another error if the library panics.

    Args:
        made: Makes the error from the library's message.
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
        remedy="use another model; this tokenizer.json is damaged or malicious",
    )
