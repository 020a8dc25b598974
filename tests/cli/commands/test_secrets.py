"""Search every file of a run, and all of its output, for secrets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import Web
from tests.toy.command import Cli

# As they are pasted: with characters that end a URI in other places.
SECRETS = ["hunter2QZX", "hun'ter2QZX", "hunter2%2FQZX"]


@pytest.fixture(scope="module")
def web() -> Iterator[tuple[str, type[Web]]]:
    with Web.serve() as served:
        yield served


def places_of(secret: str, cli: Cli, said: str) -> list[str]:
    """Where it is found: files, their names, and what was printed."""
    texts = {"the terminal": said}
    for file in cli.folder.rglob("*"):
        texts[f"the name of {file}"] = file.name
        if file.is_file():
            texts[str(file)] = file.read_bytes().decode("utf-8", "replace")
    spellings = {secret, secret.replace("%2F", "/"), secret.replace("'", "%27"), "QZX"}
    return [place for place, text in texts.items() if any(s in text for s in spellings)]


@pytest.mark.parametrize("secret", SECRETS)
def test_a_run_keeps_no_secret(secret: str, cli: Cli, web: tuple[str, type[Web]]) -> None:
    address, server = web
    server.files["/data.csv"] = b"one\ntwo\nthree\n"
    uri = f"http://me:{secret}@{address}/data.csv?file=a&X-Amz-Signature={secret}&token={secret}"
    code, out, err = cli("run", "--dataset", uri, "--model", "model.bin", "--name", "one")
    assert code == 0, err
    assert cli.record("one")["parameters"]["dataset"] == f"http://{address}/data.csv?file=a"
    # And of one that fails, in whatever way.
    code, more, error = cli(
        "run", "--dataset", uri, "--model", "model.bin", "--name", "two", "--trouble", "internal"
    )
    assert code == 1
    server.files.clear()
    code, gone, none = cli("run", "--dataset", uri, "--model", "model.bin", "--name", "three")
    assert code == 2 and f"http://{address}/data.csv" in none
    assert places_of(secret, cli, out + err + more + error + gone + none) == []


def test_resume_and_rerun_ask_for_what_is_not_stored(cli: Cli, web: tuple[str, type[Web]]) -> None:
    address, server = web
    server.files["/data.csv"] = b"one\ntwo\nthree\n"
    uri = f"http://me:{SECRETS[0]}@{address}/data.csv"
    arguments = ("run", "--dataset", uri, "--model", "model.bin", "--name", "one")
    assert cli(*arguments, "--trouble", "killed")[0] == 1
    code, _, err = cli("resume", "one")
    assert code == 2 and f"dataset: http://{address}/data.csv" in err and "--uri" in err
    code, _, err = cli("resume", "one", "--uri", f"http://{address}/other.csv?sig=1")
    assert code == 2 and "the run was not started with this URI" in err
    code, out, _ = cli("resume", "one", "--uri", uri)
    assert code == 1 and "load_data: cached" in out  # it got as far as before
    code, _, err = cli("rerun", "one", "--trouble", "")
    assert code == 2 and "--dataset 'FULL URI'" in err
    code, out, err = cli("rerun", "one", "--trouble", "", "--dataset", uri, "--name", "two")
    assert code == 0, err
    assert "QZX" not in json.dumps(cli.record("two"))


def test_an_address_of_a_cluster_has_no_password(cli: Cli) -> None:
    code, out, err = cli("runs", "--host", "http://me:hunter2QZX@localhost:1")
    assert code == 2 and "QZX" not in out + err and "--host http://localhost:1" in err
    assert "KFP_TOKEN" in err
    assert not list(Path(cli.folder).glob("runs/*"))
