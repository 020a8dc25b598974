"""URIs as names: which there are, and what of them may be shown.

What a URI holds besides a place, a user's name or a signed query, is a secret, and is in no
message.
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from kfp_finetune.components.errors import InputError

SCHEMES = ("https", "http", "s3", "gs", "hf", "file")
_URI = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://")
_SECRET = re.compile(
    r"(?P<scheme>\b[A-Za-z][A-Za-z0-9+.-]*://)(?:[^/\s@'\"]*@)?(?P<place>[^\s?#'\"]*)[?#]?[^\s'\")]*"
)


def is_uri(dataset: str) -> bool:
    """Whether it names a place elsewhere, or a file by URI."""
    return bool(_URI.match(dataset))


def without_secrets(text: str) -> str:
    """A text whose URIs have neither user names, passwords nor queries."""
    return _SECRET.sub(lambda found: found["scheme"] + found["place"], text)


def local_path(uri: str) -> Path | None:
    """The path that a file:// URI names; None for other URIs.

    Raises:
        InputError: If it is no URI, or names nothing.
    """
    try:
        parts = urlsplit(uri)
    except ValueError:
        parts = None
    if parts is None or (not parts.path.strip("/") and not parts.netloc):
        raise InputError(
            "the URI names no file",
            where=without_secrets(uri),
            expected="a place and a path, e.g. https://host/data.csv or file:///data/data.csv",
            remedy="check the address",
        )
    return Path(unquote(parts.path)) if parts.scheme.lower() == "file" else None
