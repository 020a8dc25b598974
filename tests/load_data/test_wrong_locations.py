"""A dataset that is not where it is said to be, or of no kind that can be read."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.load_data.refused import GOOD, PLAIN, Case

# The start of each list of what can be read.
DATASET = ".csv, .tsv, .jsonl ... a URI, or the id of a dataset on the Hub"
FILES = ".csv, .tsv, .jsonl"


def not_there(path: str, remedy: str, **given: str) -> Case:
    return Case(
        PLAIN,
        given or {"dataset": path},
        found="no file " + path.removeprefix("file://").replace("%20", " "),
        where=next(iter(given), "dataset"),
        expected=DATASET,
        remedy=remedy,
    )


def link(target: str) -> Callable[[Path], object]:
    return lambda path: path.symlink_to(target)


def spreadsheet(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("sheet", "")


LONG_NAME = "x" * 300 + ".csv"

CASES = {
    "no such file": not_there("{dir}/dota.csv", "{dir} contains data.csv"),
    "no such folder": not_there("{dir}/no/data.csv", "{dir}/no does not exist"),
    "no such folders": not_there("{dir}/no/where/x.csv", "{dir}/no does not exist"),
    "a path below a file": not_there("{dir}/data.csv/data.csv", "{dir}/data.csv does not exist"),
    "a name with a NUL": not_there("{dir}/data\0.csv", "{dir} contains data.csv"),
    "a name that is too long": not_there(f"{{dir}}/{LONG_NAME}", "check the path"),
    "the home of nobody": not_there("~no-such-user/data.csv", "~no-such-user does not exist"),
    "a file URI of no file": not_there("file://{dir}/dota.csv", "{dir} contains data.csv"),
    "a file URI with a space": not_there("file://{dir}/x%20y.csv", "check the path"),
    "no such test set": not_there(
        "{dir}/test.csv", "{dir} contains data.csv", test_dataset="{dir}/test.csv"
    ),
    "an empty name": Case(
        PLAIN, {"dataset": ""}, "dataset is empty", "dataset", "URI", "--dataset data.csv"
    ),
    "a blank name": Case(
        PLAIN, {"dataset": " "}, "dataset is empty", "dataset", "URI", "--dataset data.csv"
    ),
    "a pattern that nothing matches": Case(
        PLAIN, {"dataset": "{dir}/*.tsv"}, "no file matches", "{dir}/*.tsv", FILES
    ),
    "a folder without data": Case(
        {"notes.md": "# hello"}, {"dataset": "{dir}"}, "no data files", "{dir}", FILES
    ),
    "a folder of two formats": Case(
        {"a.csv": GOOD, "b.jsonl": "{}"},
        {"dataset": "{dir}"},
        found=".csv, .jsonl",
        where="{dir}/b.jsonl",
        expected=".csv ... {dir}",
        remedy="'*.csv'",
    ),
    "files with different columns": Case(
        {"a.csv": GOOD, "b.csv": "text,kind\ngood,a\n"},
        {"dataset": "{dir}"},
        found="columns ... 'text', 'kind'",
        where="{dir}/b.csv",
        expected="{dir}/a.csv: 'text', 'label'",
    ),
    "a spreadsheet": Case(
        {"data.xlsx": spreadsheet},
        found="data.xlsx ... unsupported file type",
        expected=FILES,
        remedy="CSV",
    ),
    "a file of no known kind": Case(
        {"data.docx": ""}, found="data.docx ... unsupported file type", expected=FILES
    ),
    "an archive of another kind": Case(
        {"data.tar.gz": ""}, found="data.tar.gz ... unsupported file type", expected=FILES
    ),
    "plain text": Case(
        {"data.txt": "good\nbad\n"},
        found="no labels",
        expected=".txt",
        remedy="train_text.txt, train_labels.txt ... .csv ... .jsonl"
        " ... --task token-classification",
    ),
    "a device that cannot be read": Case(
        {"data.csv": link("/proc/self/mem")}, found="cannot be read: Input/output error"
    ),
    "a pipe": Case(
        {"data.csv": os.mkfifo},
        found="neither a file nor a folder",
        expected="read more than once",
        remedy="write the data to a file",
    ),
    "a link to nowhere": Case(
        {"data.csv": link("gone.csv")}, found="points to gone.csv", remedy="repair the link"
    ),
    "a URI of a kind that is not read": Case(
        PLAIN,
        {"dataset": "ftp://me:secret@host/data.csv?k=v"},
        found="ftp://",
        where="ftp://host/data.csv",
        expected="https://, http://, s3://",
    ),
    "a URI that is none": Case(
        PLAIN, {"dataset": "http://[host/data.csv"}, "names no file", "http://[host/data.csv"
    ),
    "a URI without a path": Case(PLAIN, {"dataset": "file://"}, "names no file", "file://"),
    "a server that is not there": Case(
        PLAIN,
        {"dataset": "http://127.0.0.1:9/data.csv?key=secret"},
        found="127.0.0.1:9 cannot be reached",
        where="http://127.0.0.1:9/data.csv",
    ),
    "a Hub URI while offline": Case(
        PLAIN,
        {"dataset": "hf://datasets/someone/nothing/data.csv"},
        found="access to the Hub is switched off",
        where="hf://datasets/someone/nothing/data.csv",
        remedy="HF_HUB_OFFLINE",
    ),
    "a Hub id while offline": Case(
        PLAIN,
        {"dataset": "someone/nothing"},
        found="switched off by HF_HUB_OFFLINE",
        where="someone/nothing",
        remedy="unset HF_HUB_OFFLINE",
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_dataset_that_cannot_be_found_is_refused(
    case: Case, refuse: Callable[[Case], None]
) -> None:
    refuse(case)
