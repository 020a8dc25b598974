"""Recognise URIs, and keep the secrets in them out of everything shown or stored.

A URI may contain secrets: a user name, a password, or a token or signature in its query. This is
the only module that separates them from the location:

- `without_secrets` removes the secrets from a URI, or from any text with URIs in it,
- `hide` replaces a given URI by one without secrets. It stores the full URI in the environment of
  this process and its children, never in a file or an argument,
- `with_secrets` returns the full URI; it is called only where a URI is opened.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, unquote_plus, urlsplit

from kfp_finetune.components.errors import InputError

VARIABLE = "KFP_FINETUNE_URIS"
_WEB = ("http://", "https://")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_SCHEME = re.compile(r"(?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]*://")
_CHAIN = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*::)*[A-Za-z][A-Za-z0-9+.-]*://")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.%]*\]|[^:@]*)(:\d{0,5})?")
# Query parameters that belong to the location; any other may be a secret.
_PLACES = re.compile(
    r"file|filename|path|format|download|raw|ref|revision|version|versionid|split|sheet|gid|page"
    r"|limit|offset",
    re.IGNORECASE,
)
_PLAIN = re.compile(r"[\w.,/-]{1,100}")
_REMOVED = "***"
_WHOLE_AUTHORITY = re.compile(r"[^/?#]*")
_AUTHORITY = re.compile(r"[^/?#\s'\"<>),;]*")
# The extent of a URI in a text: a bracket is part of it if the URI continues after it.
_END = re.compile(r"^([^\s'\"<>)]|\)(?=[^\s'\",.;:)]))*")


def is_uri(dataset: str) -> bool:
    """Return True if the dataset is given as a URI."""
    return bool(_URI.match(dataset))


def without_secrets(text: str) -> str:
    """A URI, or a text with URIs in it, without user names, passwords and most of the queries.

    If the end of a secret is uncertain (a password with a slash, a space or an @), more is removed
    rather than less.
    """
    for shown, uri in _hidden().items():
        text = text.replace(uri, shown)
        for secret in _secrets_of(uri):
            text = text.replace(secret, _REMOVED)
    return _redacted(text, whole=bool(_CHAIN.match(text)))


def hide(value: str) -> str:
    """Remove the secrets of a URI, so that it may be stored; `with_secrets` restores them.

    Args:
        value: A URI, or any other value, which is returned unchanged.

    Raises:
        InputError: If a URI with the same location and other secrets was hidden before.
    """
    if "://" not in value:
        return value
    shown = _redacted(value, whole=True)
    if shown == value:
        return value
    hidden = _hidden()
    if hidden.get(shown, value) != value:
        raise InputError(
            "two URIs differ only in parts that are not stored: user, password or query",
            where=shown,
            expected="URIs that differ in their host or path",
            remedy="download one of them and use the file",
        )
    os.environ[VARIABLE] = json.dumps({**hidden, shown: value})
    return shown


def with_secrets(uri: str) -> str:
    """The full URI that was given to `hide`; any other URI is returned unchanged."""
    return _hidden().get(uri, uri)


def is_hidden(value: Any) -> bool:
    """Return True if `hide` removed secrets from the value."""
    return isinstance(value, str) and value in _hidden()


def local_path(uri: str) -> Path | None:
    """The path that a file:// URI names; None for other URIs.

    Raises:
        InputError: If it is not a URI or has no path.
    """
    try:
        parts = urlsplit(uri)
    except ValueError:
        parts = None
    if parts is None or (not parts.path.strip("/") and not parts.netloc):
        raise InputError(
            "the URI names no file",
            where=without_secrets(uri),
            expected="a URI with a path, e.g. https://host/data.csv or file:///data/data.csv",
            remedy="check the URI",
        )
    return Path(unquote(parts.path)) if parts.scheme.lower() == "file" else None


def _hidden() -> dict[str, str]:
    hidden: dict[str, str] = json.loads(os.environ.get(VARIABLE) or "{}")
    return hidden


def _secrets_of(uri: str) -> Iterator[str]:
    """The secrets of a hidden URI, in every encoding that a library may print."""
    for start in _SCHEME.finditer(uri):
        userinfo = uri[start.end() :].rpartition("@")[0]
        password = userinfo.partition(":")[2] or userinfo
        if len(password) > 3:
            yield from (password, unquote(password))
    query = re.split("[?#]", uri, maxsplit=1)[1:]
    for pair in re.split("[&;]", query[0]) if query else ():
        name, _, value = pair.partition("=")
        # Short words, such as "train", are not secrets and must stay readable in other texts.
        if not _PLACES.fullmatch(name) and len(value) > 7 and re.search(r"\d|.{20}", value):
            yield from (value, unquote(value), unquote_plus(value))


def _redacted(text: str, *, whole: bool) -> str:
    """A text with the secrets of its URIs removed.

    Args:
        text: The text.
        whole: True if the URI extends to the end of the text, across white space and quotes.
    """
    starts = list(_SCHEME.finditer(text))
    if not starts:
        return text
    parts = [text[: starts[0].start()]]
    begin = 0
    for i in range(len(starts)):
        end = starts[i + 1].start() if i + 1 < len(starts) else len(text)
        rest = text[starts[begin].end() : end]
        if end < len(text) and _is_open(rest.removesuffix("::"), whole):
            continue  # this is part of a password, not another URI
        chained = "::" if rest.endswith("::") else ""
        scheme = starts[begin][0]
        shown = _of_uri(scheme, rest.removesuffix("::"), whole)
        parts.append(scheme + shown + chained)
        begin = i + 1
    return "".join(parts)


def _is_open(rest: str, whole: bool) -> bool:
    """Return True if a password begins in the text but does not end there."""
    begun = not _HOST.fullmatch(_authority(rest, whole)) and "@" not in rest
    return begun or bool(re.fullmatch(r"[^/?#\s:@]+:", rest))


def _authority(rest: str, whole: bool) -> str:
    found = (_WHOLE_AUTHORITY if whole else _AUTHORITY).match(rest)
    return found[0] if found else ""


def _of_uri(scheme: str, rest: str, whole: bool) -> str:
    """The part of a URI after its scheme, without secrets, and the text after the URI."""
    rest, newline, tail = rest.partition("\n")
    name = _authority(rest, whole)
    run = rest if whole else re.split(r"\s", rest, maxsplit=1)[0]
    if not _HOST.fullmatch(name):
        place = run if "@" in run else rest
        cut = place.rfind("@") + 1
        rest = rest[cut:] if cut else name.partition(":")[0] + rest[len(name) :]
    elif ":" in name and not name.startswith("[") and "@" in re.split(r"[?#]", run)[0]:
        rest = rest[run.rfind("@") + 1 :]  # a port, or a password of digits and a slash
    after = "" if whole else _END.sub("", rest, count=1)
    uri = rest[: len(rest) - len(after)]
    place, mark, query = _split(uri)
    if mark and (scheme.lower() in _WEB or "=" in query):
        kept = _kept(query) if mark == "?" else ""
        uri = place + (f"?{kept}" if kept else "")
    return uri + after + newline + tail


def _split(uri: str) -> tuple[str, str, str]:
    """The part before the query or fragment, the mark (? or #), and the part after it."""
    found = re.search(r"[?#]", uri)
    if not found:
        return uri, "", ""
    return uri[: found.start()], found[0], uri[found.end() :]


def _kept(query: str) -> str:
    """The parameters of a query that belong to the location."""
    pairs = [pair.partition("=") for pair in query.partition("#")[0].split("&")]
    return "&".join(
        f"{name}={value}"
        for name, _, value in pairs
        if _PLACES.fullmatch(name) and _PLAIN.fullmatch(value)
    )
