"""Data behind URIs, from a real S3 server and a web server on loopback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import fsspec
import pytest

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.opening import open_source, split_names
from kfp_finetune.components.storage import downloads
from kfp_finetune.components.storage.uris import without_secrets
from tests.load_data.test_opening import ROWS, content, read
from tests.servers import Bucket, Web

SIGNED = "?X-Signature=hunter2&sv=1"


def fails(uri: str) -> str:
    with pytest.raises(InputError) as raised:
        read(uri)
    assert "hunter2" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize("name", ["data.csv", "data.parquet", "a%20b.jsonl"])
def test_a_file_of_a_web_server(name: str, web: tuple[str, type[Web]]) -> None:
    host, server = web
    server.files[f"/{name}"] = content(name[name.index(".") :], ROWS)
    uri = f"http://someone:hunter2@{host}/{name}{SIGNED}"
    assert split_names(uri) == []
    source = open_source(uri)
    assert source.name == f"http://{host}/{name}"
    assert read(uri) == ROWS
    assert sum(line.startswith("GET") for line in server.asked) == 1, "downloaded once"


def test_what_a_web_server_refuses(web: tuple[str, type[Web]]) -> None:
    host, server = web
    server.status_of = {"/moved.csv": 302, "/mine.csv": 403, "/broken.csv": 500}
    server.headers_of["/moved.csv"] = {"Location": "/gone.csv" + SIGNED}
    expected = "files that this machine can download"
    for name, found, remedy in (
        ("gone", "the server has no such file: HTTP 404", "check the address"),
        ("moved", "the server has no such file: HTTP 404", "check the address"),
        ("broken", "the server returned HTTP 500", "try again later"),
    ):
        assert fails(f"http://someone:hunter2@{host}/{name}.csv{SIGNED}") == (
            f"{found}\n  where:    http://{host}/{name}.csv\n"
            f"  expected: {expected}\n  remedy:   {remedy}"
        )
    assert fails(f"http://{host}/mine.csv{SIGNED}") == (
        f"access denied: HTTP 403\n  where:    http://{host}/mine.csv\n"
        "  expected: files that these credentials may access\n"
        "  remedy:   check the address, and whether its signature has expired"
    )
    assert fails(f"http://127.0.0.1:9/data.csv{SIGNED}") == (
        "127.0.0.1:9 cannot be reached (ClientConnectorError)\n"
        "  where:    http://127.0.0.1:9/data.csv\n"
        f"  expected: {expected}\n"
        "  remedy:   check the address and the network"
    )


def test_files_folders_and_patterns_of_a_bucket(bucket: Bucket) -> None:
    for key, rows in (
        ("one/data.parquet", ROWS),
        ("splits/train.csv", ROWS[:20]),
        ("splits/more/test.csv", ROWS[20:30]),
        ("splits/picture.png", None),
        ("parts/1/x.jsonl", ROWS[:5]),
        ("parts/2/x.jsonl", ROWS[5:9]),
    ):
        bucket.put(key, content(key[key.index(".") :], rows) if rows else b"no text")
    assert read(f"{bucket.uri}/one/data.parquet") == ROWS
    assert split_names(f"{bucket.uri}/splits") == ["test", "train"]
    assert read(f"{bucket.uri}/splits/", "test") == ROWS[20:30]
    assert read(f"{bucket.uri}/splits") == ROWS[:20]
    assert open_source(f"{bucket.uri}/splits").name == f"{bucket.uri}/splits/train.csv"
    assert read(f"{bucket.uri}/parts/*/x.jsonl") == ROWS[:9]


def test_what_a_bucket_of_google_does_not_have(gcs: Bucket) -> None:
    for uri, found in {
        "gs://texts/nothing.csv": "nothing exists under this name",
        "gs://no-such-bucket/x.csv": "nothing exists under this name",
        "gs://texts/nothing/*.csv": "no data file matches",
    }.items():
        assert fails(uri) == (
            f"{found}\n  where:    {uri}\n"
            "  expected: the URI of existing files\n  remedy:   check the bucket and the path"
        )


def test_what_a_bucket_does_not_have(s3: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    for uri, found in {
        "s3://texts/nothing.csv": "nothing exists under this name",
        "s3://no-such-bucket/x.csv": "there is no such bucket",
        "s3://texts/nothing/*.csv": "no data file matches",
    }.items():
        assert fails(uri) == (
            f"{found}\n  where:    {uri}\n"
            "  expected: the URI of existing files\n  remedy:   check the bucket and the path"
        )
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    assert fails("s3://texts/mine.csv") == (
        "access denied\n  where:    s3://texts/mine.csv\n"
        "  expected: files that these credentials may access\n"
        "  remedy:   set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
    )


def test_a_store_that_cannot_be_reached(s3: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert fails("s3://texts/other.csv") == (
        "the server of s3:// cannot be reached (EndpointConnectionError)\n"
        "  where:    s3://texts/other.csv\n"
        "  expected: files that this machine can download\n"
        "  remedy:   check the address and the network"
    )


def test_the_hub_while_offline() -> None:
    assert fails("hf://datasets/someone/something/data.csv") == (
        "access to the Hub is switched off\n"
        "  where:    hf://datasets/someone/something/data.csv\n"
        "  expected: files that this machine can download\n"
        "  remedy:   unset HF_HUB_OFFLINE"
    )


@pytest.mark.parametrize(
    ("uri", "package", "extra"),
    [("s3://a/b.csv", "s3fs", "s3"), ("gs://a/b.csv", "gcsfs", "gcs")],
)
def test_an_extra_that_is_not_installed(
    uri: str, package: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    scheme = uri.partition(":")[0]
    assert fsspec.registry is not None  # a view of what is loaded, which is in its module
    loaded = sys.modules["fsspec.registry"]._registry
    monkeypatch.delitem(loaded, scheme, raising=False)
    downloads.fetch.cache_clear()
    assert fails(uri) == (
        f"the package that reads {scheme}:// is not installed\n"
        f"  where:    {uri}\n"
        f"  expected: the extra [{extra}]\n"
        f"  remedy:   pip install 'kfp-finetune[{extra}]'"
    )


def test_downloads_are_removed_when_the_process_ends(web: tuple[str, type[Web]]) -> None:
    host, server = web
    server.files["/data.csv"] = content(".csv", ROWS)
    code = (
        "import sys; from kfp_finetune.components.load_data.opening import open_source;"
        "from kfp_finetune.components.storage import scratch;"
        "print(open_source(sys.argv[1]).rows); print(scratch.scratch())"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, f"http://{host}/data.csv"],
        capture_output=True,
        text=True,
        check=True,
    )
    rows, folder = run.stdout.split()
    assert (int(rows), Path(folder).exists()) == (len(ROWS), False)


def test_secrets_are_taken_out_of_texts() -> None:
    assert without_secrets(
        "404, url='https://me:pass@host/a.csv?token=1#x' and s3://bucket/key, file.csv?"
    ) == ("404, url='https://host/a.csv' and s3://bucket/key, file.csv?")
