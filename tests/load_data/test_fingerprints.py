"""Content fingerprints: the same for the same content, another for any other."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data import fingerprints
from kfp_finetune.components.load_data.dataset import load_data
from kfp_finetune.components.load_data.parameters import Parameters
from kfp_finetune.components.storage import downloads
from kfp_finetune.components.storage.schemes import SCHEMES
from tests import tiny
from tests.servers import Bucket, Web

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def test_a_fingerprint_is_of_the_content(tmp_path: Path) -> None:
    for name in ("one.csv", "copy.csv"):
        (tmp_path / name).write_text("a")
    (tmp_path / "two.csv").write_text("b")

    def of(**parameters: str) -> str:
        return fingerprints.of_dataset({k: str(tmp_path / v) for k, v in parameters.items()})

    assert of(dataset="one.csv") == of(dataset="copy.csv")
    different = [
        of(dataset="one.csv"),
        of(dataset="two.csv"),
        of(dataset="one.csv", test_dataset="two.csv"),
        of(dataset="one.csv", validation_dataset="two.csv"),
        of(dataset="two.csv", test_dataset="one.csv"),
    ]
    assert len(set(different)) == 5 and all(different)
    assert of(dataset="one.csv", test_dataset="gone.csv") == ""


def test_a_folder_is_identified_by_names_and_contents(tmp_path: Path) -> None:
    def of(files: dict[str, str]) -> str:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        return fingerprints.of_dataset({"dataset": str(folder)})

    same = of({"a": "1", "b/c": "2"})
    assert same == of({"b/c": "2", "a": "1"}) == of({"a": "1", "b/c": "2", ".git/x": "3"})
    assert len({same, of({"a": "1", "b/d": "2"}), of({"a": "12", "b/c": ""})}) == 3


def test_a_hub_id_is_identified_by_its_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    assert fingerprints.of_model({"model": "owner/name"}) == ""
    reference = tmp_path / "models--owner--name" / "refs" / "main"
    reference.parent.mkdir(parents=True)
    reference.write_text(COMMIT)
    assert fingerprints.of_model({"model": "owner/name"}) == COMMIT
    assert fingerprints.of_model({"model": "owner/name", "model_revision": "v2"}) == ""
    assert fingerprints.of_model({"model": "owner/name", "model_revision": COMMIT}) == COMMIT
    assert fingerprints.of_dataset({"dataset": "owner/name"}) == ""


@pytest.mark.parametrize("source", ["gone.csv", "./gone", "ftp://host/a.csv", "https://", "\0", ""])
def test_what_is_not_there_has_no_fingerprint(source: str) -> None:
    assert fingerprints.of_dataset({"dataset": source}) == ""


def test_a_pattern_and_the_file_of_label_names_are_part_of_the_content(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.csv").write_text(f"text,label\n{name},x\n")
    (tmp_path / "labels.txt").write_text("x\ny\n")
    parameters = {"dataset": f"{tmp_path}/*.csv", "label_names": str(tmp_path / "labels.txt")}
    seen = {fingerprints.of_dataset(parameters)}
    (tmp_path / "b.csv").write_text("text,label\nc,x\n")
    seen.add(fingerprints.of_dataset(parameters))
    (tmp_path / "labels.txt").write_text("y\nx\n")
    seen.add(fingerprints.of_dataset(parameters))
    (tmp_path / "c.csv").write_text("text,label\nc,x\n")
    seen.add(fingerprints.of_dataset(parameters))
    assert len(seen) == 4
    assert "" not in seen


def test_what_links_lead_to_is_part_of_the_content(tmp_path: Path) -> None:
    data, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    data.mkdir()
    elsewhere.mkdir()
    (elsewhere / "train.csv").write_text("a")
    (data / "part").symlink_to(elsewhere)
    (elsewhere / "circle").symlink_to(data)
    before = fingerprints.of_dataset({"dataset": str(data)})
    assert before == fingerprints.of_dataset({"dataset": data.as_uri()})
    (elsewhere / "train.csv").write_text("b")
    assert before != fingerprints.of_dataset({"dataset": str(data)}) != ""


def test_a_pipe_has_no_fingerprint(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "data.csv")  # opening it would wait for somebody to write
    assert fingerprints.of_dataset({"dataset": str(tmp_path / "data.csv")}) == ""


def of(uri: str) -> str:
    return fingerprints.of_dataset({"dataset": uri})


def test_a_web_servers_strong_etag_is_asked_for(web: tuple[str, type[Web]]) -> None:
    host, server = web
    uri = f"http://{host}/data.csv"
    server.files["/data.csv"] = b"a"
    server.headers_of["/data.csv"] = {"ETag": '"1"'}
    first = of(uri)
    assert len(first) == 64 and of(uri) == first
    assert of(f"http://someone:hunter2@{host}/data.csv#x") == first
    server.headers_of["/data.csv"] = {"ETag": '"2"'}
    assert of(uri) not in (first, "")
    assert {line.partition(" ")[0] for line in server.asked} == {"HEAD"}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"ETag": 'W/"1"'},
        {"ETag": '""'},
        {"ETag": "1"},
        {"Last-Modified": "Mon, 23 Nov 2026 09:00:00 GMT"},
    ],
)
def test_without_a_strong_etag_the_content_is_hashed(
    headers: dict[str, str], web: tuple[str, type[Web]]
) -> None:
    host, server = web
    server.files["/data.csv"] = b"a" * 3_000_000
    server.headers_of["/data.csv"] = headers
    notes: list[str] = []
    uri = f"http://someone:hunter2@{host}/data.csv?key=hunter2"
    first = fingerprints.of_dataset({"dataset": uri}, notes.append)
    assert notes == [
        f"downloading http://{host}/data.csv to hash it: the server sends no strong ETag"
    ]
    assert len(first) == 64 and of(uri) == first
    server.files["/data.csv"] = b"a" * 2_999_999 + b"b"
    assert of(uri) not in (first, "")


def test_an_etag_behind_a_redirect(web: tuple[str, type[Web]]) -> None:
    host, server = web
    server.status_of["/latest.csv"] = 302
    for name in ("one", "two"):
        server.files[f"/{name}.csv"] = name.encode()
        server.headers_of[f"/{name}.csv"] = {"ETag": '"1"'}

    def leads_to(place: str) -> str:
        server.headers_of["/latest.csv"] = {"Location": place}
        server.asked.clear()
        return of(f"http://{host}/latest.csv")

    assert leads_to("/one.csv") != leads_to("/two.csv"), "an ETag is one address's"
    signed = leads_to("/one.csv?signature=1")
    assert "GET /one.csv" in server.asked, "another address each time: hashed"
    assert leads_to("/one.csv?signature=2") == signed != leads_to("/two.csv?signature=1")


def test_a_web_server_that_fails(web: tuple[str, type[Web]]) -> None:
    host, server = web
    server.status_of["/broken.csv"] = 500
    assert of(f"http://{host}/broken.csv") == of(f"http://{host}/gone.csv") == ""
    assert of("http://127.0.0.1:9/data.csv") == ""


def test_files_folders_and_patterns_of_a_bucket(bucket: Bucket) -> None:
    bucket.put("told/a.csv", b"1")
    bucket.put("told/deep/b.csv", b"2")
    uris = [f"{bucket.uri}/told{end}" for end in ("/a.csv", "", "/*.csv")]
    seen = [[of(uri) for uri in uris]]
    bucket.put("told/a.csv", b"1")  # written anew, and the same
    seen.append([of(uri) for uri in uris])
    assert seen[0] == seen[1] and all(map(len, seen[0]))
    bucket.put("told/picture.png", b"not read")
    assert [of(uri) for uri in uris] == seen[0]
    bucket.put("told/a.csv", b"3")
    seen.append([of(uri) for uri in uris])
    assert all(old != new for old, new in zip(*seen[1:], strict=True))
    bucket.put("told/deep/c.csv", b"4")
    same = [of(uri) == before for uri, before in zip(uris, seen[2], strict=True)]
    assert same == [True, False, True]
    assert of(f"{bucket.uri}/told/nothing.csv") == of(f"{bucket.uri}/told/no*.csv") == ""


def test_a_composite_object_of_google_is_identified_by_its_generation() -> None:
    composite = {"type": "file", "crc32c": "G5wc/Q==", "generation": "1"}  # it has no MD5
    tag_of = SCHEMES["gs"].tag
    tag = tag_of(composite, "")
    assert tag and tag != tag_of(composite | {"generation": "2"}, "")
    assert tag_of({"crc32c": "G5wc/Q=="}, "") == ""


def read(parameters: dict[str, Any], folder: Path) -> str:
    """Take the fingerprint, as the command line does, and read, as the step does."""
    told = fingerprints.of_dataset(parameters)
    change = parameters.pop("change", lambda: None)
    change()
    downloads.fetch.cache_clear()
    given = Parameters(**parameters, dataset_fingerprint=told)
    return load_data(given, str(folder / "out"), str(folder / "report.html")).dataset_fingerprint


@pytest.mark.parametrize("etag", [True, False])
def test_data_that_changes_before_it_is_read_fails_the_step(
    etag: bool, web: tuple[str, type[Web]], tiny_model: Path, tmp_path: Path
) -> None:
    host, server = web
    parameters: dict[str, Any] = {
        "dataset": f"http://{host}/data.csv?key=hunter2",
        "model": str(tiny_model),
        "max_length": 16,
    }

    def put(seed: int) -> None:
        path = tiny.write_csv(tmp_path / "data.csv", tiny.rows(60, seed))
        server.files["/data.csv"] = path.read_bytes()
        server.headers_of["/data.csv"] = {"ETag": f'"{seed}"'} if etag else {}

    put(1)
    assert len(read(parameters, tmp_path)) == 64
    gets = 1 if etag else 2
    assert sum(line.startswith("GET") for line in server.asked) == gets
    with pytest.raises(InputError) as raised:
        read(parameters | {"change": lambda: put(2)}, tmp_path)
    assert str(raised.value) == (
        "the data changed after the run started\n"
        f"  where:    http://{host}/data.csv\n"
        "  expected: data that does not change while it is read\n"
        "  remedy:   run again; if the data keeps changing, use a copy of it"
    )


def test_a_local_file_that_changes_before_it_is_read_fails_the_step(
    tiny_model: Path, tmp_path: Path
) -> None:
    path = tiny.write_csv(tmp_path / "data.csv", tiny.rows(60))
    parameters = {"dataset": str(path), "model": str(tiny_model), "max_length": 16}
    assert len(read(parameters, tmp_path)) == 64
    with pytest.raises(InputError, match="the data changed after the run started"):
        read(parameters | {"change": lambda: tiny.write_csv(path, tiny.rows(60, 1))}, tmp_path)
