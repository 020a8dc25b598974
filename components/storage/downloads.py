"""Download the files of a URI once, to a folder that is removed when the process ends.

Data is read two or three times (to learn its layout, for the labels, to tokenize), so it is not
read over the network each time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.storage.errors import explained, nothing
from kfp_finetune.components.storage.schemes import SCHEMES, WEB, open_filesystem, scheme_of
from kfp_finetune.components.storage.scratch import new_folder
from kfp_finetune.components.storage.uris import with_secrets, without_secrets


@dataclass(frozen=True)
class Wanted:
    """Selects the files of a folder or pattern to download.

    Attributes:
        matches: Returns True for the path of a file to download.
        name: The noun for such a file in messages.
    """

    matches: Callable[[str], bool]
    name: str


@dataclass(frozen=True)
class Download:
    """The local copy of the file, folder or pattern that a URI names.

    Attributes:
        path: The file or folder.
        name: The URI without secrets.
        is_pattern: True if the folder has the files that matched a pattern.
    """

    path: Path
    name: str
    is_pattern: bool = False


@dataclass(frozen=True)
class Listing:
    """The files that a URI names.

    Attributes:
        kind: A file, a folder or a pattern.
        files: The path of the copy and the store's information, by path in the store.
    """

    kind: Literal["file", "pattern", "folder"]
    files: dict[str, tuple[str, dict[str, Any]]]


def is_supported(uri: str) -> bool:
    """Return True if files can be read from a URI."""
    return scheme_of(uri) in SCHEMES and "::" not in uri


@cache
def fetch(uri: str, wanted: Wanted) -> Download:
    """Download a file, a folder, or the files that a pattern matches.

    Args:
        uri: The URI.
        wanted: The files of a folder or pattern that are downloaded.

    Raises:
        InputError: If the URI cannot be reached, or there are no such files.
    """
    scheme, name = scheme_of(uri), without_secrets(uri)
    if not is_supported(uri):
        raise InputError(
            f"files cannot be read from {scheme}://",
            where=name,
            expected="one of " + ", ".join(f"{known}://" for known in SCHEMES),
            remedy="download the data and use the local path",
        )
    with explained(scheme, name):
        files, uri = open_filesystem(scheme), with_secrets(uri)
        folder = new_folder()
        if scheme in WEB:
            path = folder / (PurePosixPath(unquote(urlsplit(uri).path)).name or "data")
            files.get_file(uri, str(path))
            return Download(path, name)
        listing = list_files(files, uri, wanted)
        for source, (below, _) in listing.files.items():
            path = folder / below
            path.parent.mkdir(parents=True, exist_ok=True)
            files.get_file(source, str(path))
        if listing.kind == "file":
            return Download(path, name)
        return Download(folder, name.rstrip("/"), is_pattern=listing.kind == "pattern")


def list_files(files: Any, uri: str, wanted: Wanted) -> Listing:
    """List the files that a URI names, in a store that knows folders.

    Args:
        files: The fsspec filesystem.
        uri: The whole URI, with secrets.
        wanted: The files of a folder or pattern that are listed.

    Raises:
        InputError: If there are no such files.
    """
    name = without_secrets(uri)
    if any(mark in uri for mark in "*?["):
        found = files.glob(uri, detail=True)
        matches = sorted(path for path in found if wanted.matches(path))
        if not matches:
            raise nothing(name, f"no {wanted.name} matches")
        return Listing(
            "pattern",  # several folders can have a file of the same name
            {p: (f"{i:06}/{PurePosixPath(p).name}", found[p]) for i, p in enumerate(matches)},
        )
    info = files.info(uri)
    if info["type"] != "directory":
        return Listing("file", {uri: (PurePosixPath(uri).name, info)})
    root = files._strip_protocol(uri).rstrip("/")
    found = {
        path: (path_below(path, root, scheme_of(uri)), info)
        for path, info in files.find(root, detail=True).items()
        if path != root and wanted.matches(path)
    }
    if not found:
        raise nothing(name, f"the folder has no {wanted.name}s")
    return Listing("folder", found)


def path_below(path: str, root: str, scheme: str) -> str:
    """The path of a stored file below a folder.

    The key of an object can be any text; with ".." its copy would be written outside the folder.

    Raises:
        InputError: If the path leads out of the folder.
    """
    below = path.removeprefix(f"{root}/")
    if below == path or below.startswith("/") or ".." in below.split("/"):
        raise InputError(
            "the name of a file points outside its folder",
            where=without_secrets(f"{scheme}://{path}"),
            expected="names without '..' that do not start with '/'",
            remedy="rename or delete that file in the store",
        )
    return below
