"""The file formats, one entry each; everything that depends on a format is derived from its entry.

A new format is a reader beside this module and one entry in `FORMATS`. The entry decides how a file
is opened, what folders and archives may contain, which task it implies, how `predict` reads it, and
the suffixes that messages and the command line know.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, cast

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.storage.downloads import Wanted
from kfp_finetune.components.storage.files import COMPRESSIONS, File
from kfp_finetune.components.storage.unpacking import ARCHIVE

if TYPE_CHECKING:
    from kfp_finetune.components.load_data.readers.source import ReadOptions, Source
    from kfp_finetune.components.tasks.declaration import Layout

Opener = Callable[[File, "ReadOptions"], "Source"]


@dataclass(frozen=True)
class Format:
    """A file format.

    Attributes:
        suffixes: The suffixes of its files.
        opener: The module in this package, and the function in it that opens a file. It is imported
            only when a file is read: some readers need packages that the client does not have.
        name: The name of a binary format in messages.
        signature: The bytes that a file of a binary format starts with.
        layout: The layout of its text, if that implies a task; see `tasks.registry`.
        has_splits: True if one file can contain several splits.
        has_columns: True if the file always names its columns.
    """

    suffixes: tuple[str, ...]
    opener: str
    name: str = "text"
    signature: bytes = b""
    layout: Layout | None = None
    has_splits: bool = False
    has_columns: bool = False

    def open(self, file: File, options: ReadOptions) -> Source:
        """Open a file of this format."""
        module, _, function = self.opener.partition(".")
        found = import_module(f"{__package__}.{module}")
        source = cast(Opener, getattr(found, function))(file, options)
        if not self.has_columns or options.column_names is None:
            return source
        note = f"{file.name} names its columns: column_names is not used"
        return replace(source, notes=(*source.notes, note))


CONLL = Format((".conll", ".conllu", ".iob", ".iob2", ".bio"), "conll.open_conll", layout="conll")
DELIMITED = Format((".csv", ".tsv"), "delimited.open_delimited")
TEXT = Format((".txt",), "label_folders.open_label_file")
JSON_LINES = Format((".jsonl", ".ndjson"), "json_lines.open_json_lines")
JSON = Format((".json",), "json_files.open_json", has_splits=True)
FORMATS = (
    DELIMITED,
    JSON_LINES,
    JSON,
    Format((".parquet",), "tables.open_parquet", "a Parquet file", b"PAR1", has_columns=True),
    Format((".arrow",), "tables.open_arrow", "an Arrow file", b"ARROW1", has_columns=True),
    TEXT,
    CONLL,
)
SUFFIXES = tuple(suffix for format_ in FORMATS for suffix in format_.suffixes)
LISTED = ", ".join(SUFFIXES)
EXPECTED = f"a file ending in {LISTED}"
# Binary content: the bytes it starts with, its name and its suffix.
_SIGNATURES = {
    **{f.signature: (f.name, f.suffixes[0]) for f in FORMATS if f.signature},
    b"\x1f\x8b": ("gzip data", ".gz"),
    b"BZh": ("bzip2 data", ".bz2"),
    b"\xfd7zXZ\x00": ("xz data", ".xz"),
    b"\x28\xb5\x2f\xfd": ("Zstandard data", ".zst"),
    b"PK\x03\x04": ("a zip archive or an Office document", ".zip"),
    b"%PDF": ("a PDF document", ".pdf"),
    b"SQLite format 3": ("an SQLite database", ".sqlite"),
    b"\xd0\xcf\x11\xe0": ("an Office document", ".xls"),
}
_SHEETS = (".xlsx", ".xls", ".ods")
_NOT_DATA = re.compile(r"(readme|licen[cs]e|notice|changelog|citation|source|requirements)\b", re.I)


def format_of(name: str | Path) -> Format | None:
    """The format of a file or URI by its suffix, compressed or not; None if it is unknown."""
    suffix = File(Path(name), "").format
    return next((format_ for format_ in FORMATS if suffix in format_.suffixes), None)


def is_archive(name: str | Path) -> bool:
    """Return True if a file is an archive, by its suffix."""
    return Path(name).suffix.lower() == ARCHIVE


def is_named_like_data(name: str) -> bool:
    """Return True if a name must be that of a data file, not e.g. a Hub id."""
    return format_of(name) is not None or is_archive(name)


def is_data(path: str | Path) -> bool:
    """Return True if a file in a folder or an archive is read as data."""
    path = Path(path)
    format_ = format_of(path)
    if path.name.startswith((".", "_")):
        return False
    if format_ is TEXT and _NOT_DATA.match(path.name):
        return False
    return format_ is not None or is_archive(path)


DATA = Wanted(is_data, "data file")


def unknown_format(file: File) -> InputError:
    """The error for a file of no known format."""
    return InputError(
        f"{file.path.name} has an unsupported file type",
        where=file.name,
        expected=f"{EXPECTED}, which may be compressed ({', '.join((*COMPRESSIONS, ARCHIVE))})",
        remedy="save the sheet as CSV"
        if file.format in _SHEETS
        else "convert it, or give it the suffix of its format",
    )


def check_signature(file: File, head: bytes) -> None:
    """Refuse a text file whose content is of another format.

    Args:
        file: The file.
        head: Its first bytes.

    Raises:
        InputError: If the content is of another format.
    """
    for signature, (name, suffix) in _SIGNATURES.items():
        if head.startswith(signature):
            is_usable = suffix in (*SUFFIXES, *COMPRESSIONS, ARCHIVE)
            stem = file.path.name if suffix in COMPRESSIONS else file.stem
            raise InputError(
                f"the file is {name}, not text",
                where=file.name,
                expected=f"a text file, as its suffix {file.format} indicates",
                remedy=f"rename it to {stem}{suffix}" if is_usable else "save it as CSV",
            )
