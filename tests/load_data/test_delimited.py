"""Delimited files: every row is read, or reported as a problem, whatever the quotes do."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.opening import ReadOptions, Source, open_source
from kfp_finetune.components.load_data.readers import split_lines
from kfp_finetune.components.load_data.readers.split_lines import Dialect

Row = dict[str, Any]
relaxed = settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def rows_of(source: Source) -> list[Row]:
    """All rows; those with a problem as the problem and its place."""
    rows: list[Row] = []
    for batch in source.read():
        assert len(batch) <= 1_000
        assert list(batch.columns) == source.columns
        for i in range(len(batch)):
            row = {name: cells[i] for name, cells in batch.columns.items()}
            if i in batch.problems:
                assert set(row.values()) == {None}
                row = {"problem": batch.problems[i], "place": batch.places[i]}
            rows.append(row)
    assert source.rows == len(rows)
    return rows


def read(path: Path, content: str | bytes, **options: Any) -> list[Row]:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    source = open_source(str(path), options=ReadOptions(**options))
    first = rows_of(source)
    assert rows_of(source) == first, "a source can be read again"
    return first


def notes(path: Path, **options: Any) -> list[str]:
    found = open_source(str(path), options=ReadOptions(**options)).notes
    return [note.replace(str(path.parent) + "/", "") for note in found]


def warnings(path: Path, **options: Any) -> list[str]:
    found = open_source(str(path), options=ReadOptions(**options)).warnings
    return [warning.replace(str(path.parent) + "/", "") for warning in found]


def error(path: Path, content: str | bytes, **options: Any) -> str:
    with pytest.raises(InputError) as raised:
        read(path, content, **options)
    return str(raised.value).replace(str(path.parent) + "/", "")


def rows(text: str, delimiter: str = ",", header: bool = False) -> str:
    """Twelve ordinary rows, for a file to have habits, before or after the odd ones."""
    lines = [f"good morning {i}{delimiter}{'ab'[i % 2]}\n" for i in range(12)]
    return (f"text{delimiter}label\n" if header else "") + "".join(lines) + text


cell = st.text(
    st.one_of(
        st.sampled_from(",;\t|\"\n\r 'ab1é\u2028\x85\ufeff😀"),
        st.characters(exclude_categories=("Cs",), exclude_characters="\0"),
    ),
    max_size=8,
)


@relaxed
@given(
    table=st.integers(2, 4).flatmap(
        lambda n: st.lists(st.lists(cell, min_size=n, max_size=n), min_size=1, max_size=8)
    ),
    delimiter=st.sampled_from(",;\t|"),
    end=st.sampled_from(["\n", "\r\n"]),
    every=st.booleans(),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-be"]),
)
def test_what_csv_writes_is_read_back(
    table: list[list[str]],
    delimiter: str,
    end: str,
    every: bool,
    encoding: str,
    tmp_path: Path,
) -> None:
    names = [f"c{i}" for i in range(len(table[0]))]
    out = io.StringIO()
    writer = csv.writer(
        out,
        delimiter=delimiter,
        lineterminator=end,
        quoting=csv.QUOTE_ALL if every else csv.QUOTE_MINIMAL,
    )
    writer.writerows([names, *table])
    content = out.getvalue()
    # A file of which most line ends are carriage returns is one of the old Mac; and where "\n" ends
    # the lines Python's writer puts no quotes around a carriage return before it.
    assume(content.count("\r") - content.count("\r\n") <= content.count("\n"))
    assume(every or end == "\r\n" or not any(row[-1].endswith("\r") for row in table))
    given_encoding = encoding if encoding == "utf-16-be" else None
    found = read(
        tmp_path / "data.csv",
        content.encode(encoding),
        delimiter=delimiter,
        quoting="minimal",
        encoding=given_encoding,
    )
    assert found == [dict(zip(names, row, strict=True)) for row in table]


@relaxed
@given(
    content=st.one_of(
        st.binary(max_size=200),
        st.text('ab,"\n\r \t;', max_size=60).map(str.encode),
        st.lists(st.sampled_from(['"', ",", "\n", "a", '""', '",', ',"', "\r\n", '"\n'])).map(
            lambda parts: "".join(parts).encode()
        ),
    ),
    suffix=st.sampled_from([".csv", ".tsv", ".jsonl", ".json"]),
    mode=st.sampled_from(["auto", "minimal", "none"]),
    headed=st.booleans(),
)
def test_any_bytes_are_rows_or_a_clean_error(
    content: bytes, suffix: str, mode: str, headed: bool, tmp_path: Path
) -> None:
    content = b"text,label\n" + content if headed else content
    try:
        read(tmp_path / f"data{suffix}", content, quoting=mode)  # counts agree, or this fails
    except InputError as raised:
        assert raised.found and raised.where and raised.expected and raised.remedy


@relaxed
@given(
    texts=st.lists(st.text('ab" ', min_size=1, max_size=6), min_size=1, max_size=20),
    mode=st.sampled_from(["auto", "none"]),
)
def test_no_line_is_lost_in_silence_where_every_line_is_a_row(
    texts: list[str], mode: str, tmp_path: Path
) -> None:
    path = tmp_path / "data.tsv"
    content = "".join(f"{i}\t{text}\tx{i}\n" for i, text in enumerate(texts))
    options: dict[str, Any] = {"quoting": mode, "column_names": ("id", "text", "label")}
    found = read(path, content, **options)
    kept = [row.get("id", str(i)) for i, row in enumerate(found)] == [*map(str, range(len(texts)))]
    assert kept or "are read as one row" in warnings(path, **options)[0]


@relaxed
@given(content=st.text('ab,"\né', max_size=40), delimiter=st.sampled_from(",;\t|"))
def test_rows_are_those_of_pythons_reader_if_it_accepts_them(content: str, delimiter: str) -> None:
    lines = io.StringIO(content.replace(",", delimiter)).readlines()
    try:
        expected = list(csv.reader(lines, delimiter=delimiter, strict=True))
    except csv.Error:
        assume(False)
    rows = list(Dialect(delimiter, quoted=True).rows(lines))
    assert not any(row.problem for row in rows)
    blank = ([], [""])
    assert [row.cells for row in rows if row.cells not in blank] == [
        row for row in expected if row not in blank
    ]


def test_a_quote_that_is_not_closed_swallows_nothing(tmp_path: Path) -> None:
    path = tmp_path / "data.tsv"
    odd = '"Hi there\ta\nfine\tb\nshe said "no"\ta\n5" pipe\tb\n'
    found = read(path, rows(odd, "\t", header=True))
    assert [row["text"] for row in found[12:]] == [
        '"Hi there',
        "fine",
        'she said "no"',
        '5" pipe',
    ]
    assert notes(path) == [
        "data.tsv: quotes are read as plain characters because a quote in line 14 is not closed at"
        " the end of its cell; --quoting minimal reads them as CSV quotes"
    ]


def test_a_quote_that_closes_lines_later_swallows_nothing(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    odd = '"Hi there,a\nfine,b\nthe end",a\n'
    found = read(path, rows(odd, header=True))
    assert [row["text"] for row in found[12:]] == ['"Hi there', "fine", 'the end"']
    assert "in line 14" in notes(path)[0]
    assert read(path, rows(odd, header=True), quoting="minimal")[12:] == [
        {"text": "Hi there,a\nfine,b\nthe end", "label": "a"}
    ]


def test_a_text_of_several_lines_stays_one_row(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    letter = '"Dear Bob, how are you\nthanks",a\n'  # every line has two cells
    assert read(path, rows(letter, header=True))[12:] == [
        {"text": "Dear Bob, how are you\nthanks", "label": "a"}
    ]
    assert notes(path) == []
    longer = '"Dear Bob,\nI write, as promised\nbye",a\n'
    assert read(path, rows(longer, header=True))[12:] == [
        {"text": "Dear Bob,\nI write, as promised\nbye", "label": "a"}
    ]
    assert read(path, 'text,label\n"Dear Bob,\nthanks",a\nbye,b\n') == [
        {"text": "Dear Bob,\nthanks", "label": "a"},
        {"text": "bye", "label": "b"},
    ]


def test_a_text_of_several_lines_of_a_single_column_needs_evidence(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    letter = '"Dear Bob\nthanks"\n'
    content = f"text\ngood morning\nbye\n{letter}"
    assert len(read(path, content)) == 4
    assert "in line 4 is not closed at the end of its cell" in notes(path)[0]
    assert read(path, content + '"good morning, Bob"\n')[2:] == [
        {"text": "Dear Bob\nthanks"},
        {"text": "good morning, Bob"},
    ]
    assert "lines 4 to 5 are read as one row" in warnings(path)[0]
    assert read(path, content + 2 * letter)[2:] == 3 * [{"text": "Dear Bob\nthanks"}]
    assert "2 more rows of several lines" in warnings(path)[0]


def test_quotes_that_match_up_throughout_are_quotes(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    content = "text,label\n" + "".join(f'"good,{i}\nbad",a\n' for i in range(20))
    assert read(path, content) == [{"text": f"good,{i}\nbad", "label": "a"} for i in range(20)]
    assert notes(path) == []
    assert warnings(path) == [
        "data.csv: lines 2 to 3 are read as one row because a quote opens in the first and closes"
        " in the last; 19 more rows of several lines; if each line is a row, repair the quotes, or"
        " use --quoting none to read quotes as plain characters"
    ]


def test_where_quoting_is_evident_a_swallowing_row_is_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    content = rows('"x ""y"", z",a\n' * 3 + '"Hi there,a\nfine,b\nthe end",a\nbye,b\n', header=True)
    found = read(path, content)
    assert found[15:] == [
        {
            "problem": "a quote that closes lines later, and would swallow rows",
            "place": f"{path}, line 17",
        },
        {"text": "fine", "label": "b"},
        {"text": 'the end"', "label": "a"},
        {"text": "bye", "label": "b"},
    ]
    assert notes(path) == [
        "data.csv: the quotes are inconsistent, first in line 17: repair them, or use"
        " --quoting none to read quotes as plain characters"
    ]


def test_neither_reading_fits_and_the_rows_are_named(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    content = 'text,label\n"a, b",x\n"c, d",y\n"open, e,x\n"f, g",y\nh,x\n"never,y\nlast,x\n'
    assert read(path, content) == [
        {"text": "a, b", "label": "x"},
        {"text": "c, d", "label": "y"},
        {"problem": "text after a closing quote", "place": f"{path}, line 4"},
        {"text": "f, g", "label": "y"},
        {"text": "h", "label": "x"},
        {"problem": "a quote that is not closed", "place": f"{path}, line 7"},
        {"text": "last", "label": "x"},
    ]


def test_minimal_says_where_a_quote_is_not_closed(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    found = read(path, "text,label\na,x\n" + '"b,y\nc,x\n', quoting="minimal")
    assert found[1] == {"problem": "a quote that is not closed", "place": f"{path}, line 3"}
    assert found[2] == {"text": "c", "label": "x"}
    assert error(path, 'text,"label\na,x\n', quoting="minimal") == (
        "the header has a quote that is not closed at the end of its cell\n"
        "  where:    data.csv, header\n"
        '  expected: closed quotes, doubled inside quoted cells: "say ""hi"""\n'
        "  remedy:   repair the header, or --quoting none"
    )


def test_a_quote_open_for_too_long_is_not_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(split_lines, "MOST_LINES_IN_A_ROW", 5)
    content = 'text,label\n"a,x\n' + "b,y\n" * 10 + 'c",x\n"d",y\n'
    found = read(tmp_path / "data.csv", content, quoting="minimal")
    assert len(found) == 13
    assert [i for i, row in enumerate(found) if "problem" in row] == [0]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_every_line_end_in_every_encoding(end: str, encoding: str, tmp_path: Path) -> None:
    other = "\r" if end == "\n" else "\n"
    inside = f'"b{other}c"' if end != "\r\n" else '"b\nc"'
    table = ["text,label", "a\u2028b\x85,é", f"{inside},y", "", "  ", f"d{other}e,z", "", ""]
    if end == "\r\n":
        table[5] = "d\re,z"
    found = read(tmp_path / "data.csv", (end.join(table) + end).encode(encoding))
    assert found == [
        {"text": "a\u2028b\x85", "label": "é"},
        {"text": inside.strip('"'), "label": "y"},
        {"text": table[5][:-2], "label": "z"},
    ]


@pytest.mark.parametrize(
    ("content", "delimiter", "note"),
    [
        ("text;label\na, b;x\nc;y\n", ";", "semicolon"),
        ("text\tlabel\na, b\tx\nc\ty\n", "\t", "tab"),
        ("text|label\na|x\n", "|", "pipe"),
        ('text;label\n"a; b";x\n', ";", "semicolon"),
        ("text,label\na;b,x\n", ",", None),
        ("a;b,label\nc;d,x\n", ",", None),
    ],
)
def test_the_delimiter_is_detected_and_printed(
    content: str, delimiter: str, note: str | None, tmp_path: Path
) -> None:
    path = tmp_path / "data.csv"
    found = read(path, content)
    assert list(found[0])[1] == "label"
    printed = (
        f"data.csv is read with a {note} as delimiter: every row then has the same number of cells"
        " as the header"
    )
    assert notes(path) == ([printed] if note else [])
    assert read(path, content, delimiter=delimiter) == found


@pytest.mark.parametrize("word", ["tab", r"\t", "\t", "TAB"])
def test_a_delimiter_can_be_named(word: str, tmp_path: Path) -> None:
    assert read(tmp_path / "data.csv", "a\tb\nx, y\tz\n", delimiter=word) == [
        {"a": "x, y", "b": "z"}
    ]


def test_columns_with_the_same_name_are_numbered(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    assert read(path, ",null,null,null_2\n1,2,3,4\n") == [
        {"column_1": "1", "null": "2", "null_3": "3", "null_2": "4"}
    ]
    assert notes(path) == [
        "data.csv: columns without a unique name were renamed to column_1, null_3"
    ]


def test_a_file_without_a_header(tmp_path: Path) -> None:
    path = tmp_path / "data.tsv"
    content = "ham\tsee you at the station at nine o'clock then\nspam\twin\n"
    assert read(path, content, column_names=("label", "text"))[1] == {
        "label": "spam",
        "text": "win",
    }
    assert len(read(path, content)) == 1
    assert open_source(str(path)).unnamed == ("label", "text")


def test_a_long_text_is_read_whole(tmp_path: Path) -> None:
    text = "word " * 100_000
    assert read(tmp_path / "data.csv", f'text,label\n"{text}",x\n') == [
        {"text": text, "label": "x"}
    ]


WRONG: dict[str, tuple[dict[str, Any], str | bytes, str]] = {
    "a byte that is not UTF-8": (
        {},
        b"text,label\ncaf\xe9,x\n",
        "not UTF-8: byte 0xe9, invalid continuation byte\n"
        "  where:    data.csv, byte 14, line 2\n"
        "  expected: text encoded as UTF-8\n"
        "  remedy:   give the file's encoding, e.g. --encoding cp1252 or --encoding latin-1,"
        " or convert it to UTF-8",
    ),
    "a byte far in": (
        {},
        b"text,label\n" + b"good,x\n" * 300_000 + b"caf\xe9 au lait,x\n",
        "not UTF-8: byte 0xe9, invalid continuation byte\n"
        "  where:    data.csv, byte 2,100,014, line 300,002\n"
        "  expected: text encoded as UTF-8\n"
        "  remedy:   give the file's encoding, e.g. --encoding cp1252 or --encoding latin-1,"
        " or convert it to UTF-8",
    ),
    "a character cut at the end": (
        {},
        b"\xef\xbb\xbftext,label\nok,caf\xc3",
        "not UTF-8: byte 0xc3, unexpected end of data\n"
        "  where:    data.csv, byte 20, line 2\n"
        "  expected: text encoded as UTF-8\n"
        "  remedy:   check that the file is complete, or"
        " give the file's encoding, e.g. --encoding cp1252 or --encoding latin-1,"
        " or convert it to UTF-8",
    ),
    "UTF-16 without a mark": (
        {},
        "text,label\na,b\n".encode("utf-16-le"),
        "a NUL character, which text files do not have\n"
        "  where:    data.csv, byte 1, line 1\n"
        "  expected: a text file\n"
        "  remedy:   it looks like UTF-16 without a byte order mark: --encoding utf-16-le",
    ),
    "a NUL": (
        {},
        b"text,label\ngood morning,a\nb\0ad,b\n",
        "a NUL character, which text files do not have\n"
        "  where:    data.csv, byte 27, line 3\n"
        "  expected: a text file\n"
        "  remedy:   check that the file is complete and that its suffix is right",
    ),
    "no such encoding": (
        {"encoding": "latin-99"},
        "text,label\na,b\n",
        "unknown encoding 'latin-99'\n"
        "  where:    encoding\n"
        "  expected: one of Python's names: utf-8, utf-16, cp1252, latin-1, gb18030 ...\n"
        "  remedy:   --encoding cp1252",
    ),
    "an encoding that is none of text": (
        {"encoding": "rot13"},
        "text,label\na,b\n",
        "unknown encoding 'rot13'\n"
        "  where:    encoding\n"
        "  expected: one of Python's names: utf-8, utf-16, cp1252, latin-1, gb18030 ...\n"
        "  remedy:   --encoding cp1252",
    ),
    "another encoding than named": (
        {"encoding": "ascii"},
        "text,label\ncafé,b\n",
        "not ASCII: byte 0xc3, ordinal not in range(128)\n"
        "  where:    data.csv, byte 14, line 2\n"
        "  expected: text encoded as ASCII\n"
        "  remedy:   give the file's encoding, e.g. --encoding utf-8, or convert it to UTF-8",
    ),
    "too few column names": (
        {"column_names": ("text",)},
        "good morning,a\n",
        "column_names has 1 name, but the first row has 2 cells: 'good morning', 'a'\n"
        "  where:    data.csv\n"
        "  expected: one name per cell\n"
        "  remedy:   --column-names column_1,column_2",
    ),
    "column names that repeat": (
        {"column_names": ("a", "a")},
        "good morning,a\n",
        "column_names repeats 'a'\n"
        "  where:    column_names\n"
        "  expected: a different name for every column, in the file's order\n"
        "  remedy:   --column-names label,text",
    ),
    "column names for a file that has a header": (
        {"column_names": ("text", "label")},
        "text,label\ngood,a\n",
        "the first row already has the column names that column_names gives\n"
        "  where:    data.csv\n"
        "  expected: column_names only for a file without a header\n"
        "  remedy:   omit --column-names",
    ),
    "a delimiter of two characters": (
        {"delimiter": "::"},
        "text,label\na,b\n",
        "delimiter is '::'\n"
        "  where:    delimiter\n"
        "  expected: one character, or one of tab, \\t, comma, semicolon, pipe, space\n"
        "  remedy:   --delimiter tab",
    ),
    "a quote for a delimiter": (
        {"delimiter": '"'},
        "text,label\na,b\n",
        "delimiter is '\"'\n"
        "  where:    delimiter\n"
        "  expected: one character, or one of tab, \\t, comma, semicolon, pipe, space\n"
        "  remedy:   --delimiter tab",
    ),
    "an unknown quoting": (
        {"quoting": "all"},
        "text,label\na,b\n",
        "quoting is 'all'\n"
        "  where:    quoting\n"
        "  expected: auto, minimal or none\n"
        "  remedy:   --quoting auto",
    ),
    "nothing": (
        {},
        b"\xef\xbb\xbf \r\n\r\n",
        "the file has no rows\n"
        "  where:    data.csv\n"
        "  expected: a header and at least one row\n"
        "  remedy:   check that this is the right file",
    ),
    "compressed, and not named so": (
        {},
        b"\x1f\x8b\x08\0",
        "the file is gzip data, not text\n"
        "  where:    data.csv\n"
        "  expected: a text file, as its suffix .csv indicates\n"
        "  remedy:   rename it to data.csv.gz",
    ),
    "Parquet, and not named so": (
        {},
        b"PAR1....",
        "the file is a Parquet file, not text\n"
        "  where:    data.csv\n"
        "  expected: a text file, as its suffix .csv indicates\n"
        "  remedy:   rename it to data.parquet",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input_gets_one_message(case: str, tmp_path: Path) -> None:
    options, content, message = WRONG[case]
    assert error(tmp_path / "data.csv", content, **options) == message
