"""Whatever a file holds: load_data succeeds and counts every row, or says what is wrong."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kfp_finetune.components.artifacts import tokenized_dataset as artifact
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.dataset import load_data
from kfp_finetune.components.load_data.parameters import Parameters

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "60"))
fuzz = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=EXAMPLES == 60,
    suppress_health_check=list(HealthCheck),
)

SUFFIXES = (
    ".csv",
    ".tsv",
    ".jsonl",
    ".json",
    ".parquet",
    ".arrow",
    ".csv.gz",
    ".jsonl.bz2",
    ".csv.zst",
    ".json.xz",
    ".zip",
)
PIECES = [b"text,label\n", b'"', b",", b"\t", b"\n", b"\r\n", b"\r", b'{"text": "a", "label": 1}\n']
PIECES += [
    b"[",
    b"{",
    b"}",
    b"]",
    b'"text": ',
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\0",
    b"PAR1",
    b"\\u",
]
PIECES += [
    b"\x1f\x8b\x08\x00",
    b"\x28\xb5\x2f\xfd",
    b"PK\x03\x04",
    b"ARROW1\0\0",
    b"1e999",
    b"null",
]
BYTES = st.one_of(
    st.binary(max_size=200),
    st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=8)), max_size=30).map(b"".join),
)
ODD = ["", " ", "None", "NA", "nan", "inf", "-1", "01", "1.5", "1_0", "²", "1,3", "a|b", '"', '""']
ODD += [
    "a,b",
    "x\ny",
    "x\r",
    "\u2028",
    "\0",
    "\x1b[31m",
    "=1+1",
    "<b>",
    "\ud800",
    "é",
    "🙂",
    "a" * 200_000,
]
TEXT = st.one_of(st.sampled_from(["good", "bad", "shop open"]), st.sampled_from(ODD), st.text())
SCALAR = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXT, st.just(10**400))
VALUE = st.recursive(
    SCALAR,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=2)),
    max_leaves=4,
)
FEW_LABELS = st.sampled_from(["a", "b"])
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "on_bad_row": st.sampled_from(["error", "drop"]),
        "problem_type": st.sampled_from(
            ["auto", "single_label_classification", "multi_label_classification", "regression"]
        ),
        "quoting": st.sampled_from(["auto", "minimal", "none"]),
        "drop_duplicates": st.booleans(),
        "drop_overlap": st.booleans(),
        "text_column": st.just("text"),
        "label_column": st.sampled_from(["label", "text,label", "more"]),
        "text_pair_column": st.just("more"),
        "group_column": st.just("more"),
        "split_column": st.just("more"),
        "max_train_samples": st.integers(1, 9),
        "validation_fraction": st.sampled_from([0.0, 0.3]),
        "encoding": st.sampled_from(["utf-8", "utf-16", "latin-1", "cp1252", "shift_jis", "hz"]),
    },
)


def check(content: bytes, suffix: str, model: Path, **parameters: Any) -> bool:
    """Return True if load_data succeeds; otherwise check that its error is complete."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "data" + suffix)
        path.write_bytes(content)
        try:
            manifest = load_data(
                Parameters(
                    **{"dataset": str(path), "model": str(model), "max_length": 16} | parameters
                ),
                str(Path(folder, "out")),
                str(Path(folder, "data.html")),
            )
        except InputError as error:
            assert error.found
            assert error.where
            assert error.expected
            assert error.remedy
            str(error).encode(errors="surrogatepass")
            return False
        for split, counts in manifest.splits.items():
            assert counts.rows_read == counts.rows + sum(counts.dropped.values())
            assert artifact.open_split(Path(folder, "out"), split).num_rows == counts.rows
        return True


@pytest.mark.parametrize("suffix", SUFFIXES)
@fuzz
@given(content=BYTES, parameters=OPTIONS)
def test_random_bytes(
    suffix: str, content: bytes, parameters: dict[str, Any], tiny_model: Path
) -> None:
    check(content, suffix, tiny_model, **parameters)


PACK: dict[str, Callable[[bytes], bytes]] = {".gz": gzip.compress, ".bz2": bz2.compress}


@fuzz
@given(
    suffix=st.sampled_from([".gz", ".bz2"]),
    content=BYTES,
    at=st.integers(0, 300),
    parameters=OPTIONS,
)
def test_damaged_compressed_files(
    suffix: str, content: bytes, at: int, parameters: dict[str, Any], tiny_model: Path
) -> None:
    packed = bytearray(PACK[suffix](content))
    packed[at % len(packed)] ^= 0x55
    check(bytes(packed), ".csv" + suffix, tiny_model, **parameters)


@fuzz
@given(at=st.integers(0, 5_000), suffix=st.sampled_from([".parquet", ".arrow"]))
def test_damaged_tables(at: int, suffix: str, tiny_model: Path) -> None:
    table = pa.table({"text": ["good", "bad", "shop"] * 9, "label": ["a", "b", "a"] * 9})
    buffer = io.BytesIO()
    if suffix == ".parquet":
        pq.write_table(table, buffer)
    else:
        with pa.ipc.new_file(buffer, table.schema) as writer:
            writer.write_table(table)
    damaged = bytearray(buffer.getvalue())
    damaged[at % len(damaged)] ^= 0x55
    check(bytes(damaged), suffix, tiny_model)


def without_surrogates(cell: str) -> str:
    return cell.encode("utf-8", "replace").decode()


@fuzz
@given(
    rows=st.lists(st.tuples(TEXT, st.one_of(FEW_LABELS, TEXT), TEXT), max_size=25),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    tail=st.sampled_from(["", '"', "a", ",,,,\n", '"a\n', "\n\n"]),
    suffix=st.sampled_from([".csv", ".tsv"]),
    parameters=OPTIONS,
)
def test_random_delimited_tables(
    rows: list[tuple[str, ...]],
    quoting: Any,
    tail: str,
    suffix: str,
    parameters: dict[str, Any],
    tiny_model: Path,
) -> None:
    file = io.StringIO(newline="")
    writer = csv.writer(file, quoting=quoting, delimiter="\t" if suffix == ".tsv" else ",")
    writer.writerow(["text", "label", "more"])
    writer.writerows([map(without_surrogates, row) for row in rows])
    check((file.getvalue() + tail).encode(), suffix, tiny_model, **parameters)


@fuzz
@given(
    rows=st.lists(
        st.fixed_dictionaries(
            {"text": st.one_of(TEXT, VALUE)},
            optional={"label": st.one_of(FEW_LABELS, VALUE), "more": VALUE, "": VALUE},
        ),
        max_size=25,
    ),
    as_document=st.booleans(),
    parameters=OPTIONS,
)
def test_random_json_tables(
    rows: list[dict[str, Any]], as_document: bool, parameters: dict[str, Any], tiny_model: Path
) -> None:
    content = json.dumps(rows) if as_document else "".join(json.dumps(row) + "\n" for row in rows)
    check(content.encode(), ".json" if as_document else ".jsonl", tiny_model, **parameters)


@fuzz
@given(
    labels=st.one_of(
        st.lists(st.one_of(FEW_LABELS, st.none()), min_size=12, max_size=30),
        st.lists(st.floats() | st.none(), min_size=12, max_size=30),
        st.lists(st.lists(FEW_LABELS, max_size=3), min_size=12, max_size=30),
        st.lists(st.sampled_from(["1", "2", "1,2", "", "01"]), min_size=12, max_size=30),
    ),
    parameters=OPTIONS,
)
def test_random_labels(labels: list[Any], parameters: dict[str, Any], tiny_model: Path) -> None:
    rows = [
        {"text": f"good {i}", "label": label, "more": ["train", "dev", "test"][i % 3]}
        for i, label in enumerate(labels)
    ]
    content = "".join(json.dumps(row) + "\n" for row in rows)
    check(content.encode(), ".jsonl", tiny_model, **parameters)
