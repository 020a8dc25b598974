r"""Text files: encoding, line ends, and reading in pieces.

Lines end with `\n` (a `\r` before it belongs to the line end), or with `\r` in a file that has more
of those. Nothing else ends a line: U+2028 and similar characters are part of a text.
"""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.readers.formats import check_signature
from kfp_finetune.components.storage.files import File, open_binary, readable

_CHUNK = 1 << 20
_LONGEST_LINE = 32_000_000
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# Python lists them as encodings, but no text file is written in them.
_NOT_FOR_FILES = {"unicode-escape", "raw-unicode-escape", "idna", "punycode", "utf-7", "undefined"}


@dataclass(frozen=True)
class Text:
    """The encoding and line ends of a text file.

    Attributes:
        file: The file.
        codec: Python's name of the encoding.
        mark: The length of the byte order mark, in bytes.
        terminator: The end of its lines: a newline or a carriage return.
        notes: Detected properties, as sentences for the user.
        skipped: The number of lines at the beginning that are not read.
    """

    file: File
    codec: str
    mark: int
    terminator: str = "\n"
    notes: tuple[str, ...] = ()
    skipped: int = 0


class LongLineError(InputError):
    """A line is too long to be read."""


def examine(file: File, encoding: str | None) -> Text:
    """Detect a text file's encoding and line ends.

    Args:
        file: The file.
        encoding: The encoding that the user gave; None for that of the byte order mark, or UTF-8.

    Raises:
        InputError: If there is no such encoding, the file is not text, or it cannot be read.
    """
    with readable(file), open_binary(file) as binary:
        head = binary.read(64)
    check_signature(file, head)
    mark, marked = next(((m, codec) for m, codec in _MARKS if head.startswith(m)), (b"", ""))
    codec = marked or "utf-8"
    if encoding is not None:
        codec = _codec(encoding)
        if codec in ("utf-16", "utf-32"):  # Python's own rule: the mark, else little-endian
            codec = marked if marked.startswith(codec) else codec + "-le"
        if codec != marked:
            mark = b""
    text = Text(file, codec, len(mark))
    first = next(chunks(text), "")
    newlines = first.count("\n")
    returns = first.count("\r") - first.count("\r\n")
    notes = (f"{file.name} is read as {codec.upper()}",) if codec != "utf-8" else ()
    return Text(file, codec, len(mark), "\r" if returns > newlines else "\n", notes)


def _codec(encoding: str) -> str:
    try:
        codec = codecs.lookup(encoding)
        usable = codec._is_text_encoding and codec.name not in _NOT_FOR_FILES
    except (LookupError, ValueError):
        usable = False
    if not usable:
        raise InputError(
            f"unknown encoding '{encoding}'",
            where="encoding",
            expected="one of Python's names: utf-8, utf-16, cp1252, latin-1, gb18030 ...",
            remedy="--encoding cp1252",
        )
    return "utf-8" if codec.name == "utf-8-sig" else codec.name


def open_text(text: Text) -> io.TextIOWrapper:
    """Open the file for reading lines; they keep their ends. Read it within `readable`."""
    binary = open_binary(text.file)
    binary.read(text.mark)
    opened = io.TextIOWrapper(binary, encoding=text.codec, newline=text.terminator)
    for _ in range(text.skipped):
        opened.readline()
    return opened


def chunks(text: Text) -> Iterator[str]:
    r"""The text in pieces of about a million characters, none of which ends between \r and \n.

    Raises:
        InputError: Where bytes cannot be decoded, with their offset; where a character is NUL.
    """
    decoder = codecs.getincrementaldecoder(text.codec)()
    lines = 0  # before the piece
    offset = text.mark  # of the piece's first byte
    held = ""  # a carriage return whose newline may be in the next piece
    with readable(text.file), open_binary(text.file) as binary:
        binary.read(text.mark)
        for data in chain(iter(lambda: binary.read(_CHUNK), b""), [b""]):
            pending = decoder.getstate()[0]
            start = offset - len(pending)
            try:
                piece = decoder.decode(data, final=not data)
            except UnicodeDecodeError as error:
                before = (pending + data)[: error.start].decode(text.codec, "replace")
                raise _undecodable(
                    text, error, start + error.start, lines + _ends(before)
                ) from None
            except UnicodeError as error:
                raise _undecodable(text, error, start, lines) from None
            if "\0" in piece:
                before = piece[: piece.index("\0")]
                raise _nul(
                    text, data, start + len(before.encode(text.codec)), lines + _ends(before)
                )
            lines += _ends(piece)
            offset += len(data)
            piece, held = held + piece, ""
            if data and piece.endswith("\r"):
                piece, held = piece[:-1], "\r"
            if piece:
                yield piece


def _ends(text: str) -> int:
    return text.count("\n") or text.count("\r")


def _undecodable(text: Text, error: UnicodeError, offset: int, lines: int) -> InputError:
    byte = ""
    if isinstance(error, UnicodeDecodeError):
        byte = f": byte 0x{error.object[error.start]:02x}, {error.reason}"
    guess = "cp1252" if text.codec == "utf-8" else "utf-8"
    cut = isinstance(error, UnicodeDecodeError) and ("end of data" in byte or "truncated" in byte)
    return InputError(
        f"not {text.codec.upper()}{byte}",
        where=f"{text.file.name}, byte {offset:,}, line {lines + 1:,}",
        expected=f"text encoded as {text.codec.upper()}",
        remedy="check that the file is complete, or " * cut
        + f"give the file's encoding, e.g. --encoding {guess}"
        + (" or --encoding latin-1" if guess == "cp1252" else "")
        + ", or convert it to UTF-8",
    )


def _nul(text: Text, data: bytes, offset: int, lines: int) -> InputError:
    sample = data[:4096] + b"\0" * (len(data[:4096]) % 2)
    odd, even = sample[1::2].count(0), sample[::2].count(0)
    wide = None
    if text.codec == "utf-8" and max(odd, even) > len(sample) // 8:
        wide = "utf-16-le" if odd > even else "utf-16-be"
    return InputError(
        "a NUL character, which text files do not have",
        where=f"{text.file.name}, byte {offset:,}, line {lines + 1:,}",
        expected="a text file",
        remedy=f"it looks like UTF-16 without a byte order mark: --encoding {wide}"
        if wide
        else "check that the file is complete and that its suffix is right",
    )


def line_blocks(text: Text) -> Iterator[tuple[str, list[str]]]:
    r"""Lists of lines, without their ends, each with the text that it was split from.

    Unlike `open_text`, this reports where bytes cannot be decoded.

    Raises:
        LongLineError: If a line has more than 32 million characters; the limit bounds the memory.
        InputError: Where bytes cannot be decoded.
    """
    rest: list[str] = []  # pieces of one line, joined once at its end
    size, number, skip = 0, 0, text.skipped
    for chunk in chunks(text):
        rest.append(chunk.replace("\r\n", "\n") if text.terminator == "\n" else chunk)
        size += len(chunk)
        if text.terminator in rest[-1]:
            piece = "".join(rest)
            lines = piece.split(text.terminator)
            number += len(lines) - 1
            rest = [lines.pop()]
            size = len(rest[0])
            yield piece, lines[skip:]
            skip = 0
        elif size > _LONGEST_LINE:
            raise LongLineError(
                f"a line has more than {_LONGEST_LINE:,} characters",
                where=f"{text.file.name}, line {number + 1:,}",
                expected="one row, or a part of one, per line",
                remedy="check that this is the right file, and its line ends",
            )
    last = "".join(rest)
    if last and not skip:
        yield last, [last.removesuffix("\r")]


def count_lines(text: Text) -> int:
    """The number of lines that are not blank."""
    return sum(sum(1 for line in lines if line.strip()) for _, lines in line_blocks(text))
