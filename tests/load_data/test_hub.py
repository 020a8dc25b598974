"""What is downloaded from the Hub, and what is said when nothing can be; the server is our own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest


class Hub(BaseHTTPRequestHandler):
    """As much of the Hub's protocol as a download needs."""

    files: dict[str, dict[str, bytes]]
    asked: list[str]
    ERRORS = {  # noqa: RUF012
        "someone/gone": (404, "RepoNotFound"),
        "someone/gated": (403, "GatedRepo"),
        "someone/old": (404, "RevisionNotFound"),
        "someone/broken": (500, ""),
    }

    def do_GET(self) -> None:
        self.asked.append(self.path)
        path = self.path.partition("?")[0].lstrip("/").split("/")
        path = path[2 if path[0] == "api" else 1 if path[0] == "datasets" else 0 :]
        repo = "/".join(path[:2])
        if repo in self.ERRORS:
            status, code = self.ERRORS[repo]
            return self.answer(status, b"", {"X-Error-Code": code, "X-Error-Message": code})
        if "resolve" in path:
            return self.answer(200, self.files[repo][path[-1]], {"ETag": f'"{path[-1]}"'})
        if "tree" in path or "paths-info" in path:
            wanted = path[path.index("main") + 1 :] or [""]
            tree = [
                {"type": "file", "path": name, "size": len(data), "oid": sha256(data).hexdigest()}
                for name, data in self.files[repo].items()
                if name.startswith(wanted[0])
            ]
            return self.answer(200, json.dumps(tree).encode(), {})
        siblings = [{"rfilename": name} for name in self.files[repo]]
        return self.answer(
            200, json.dumps({"id": repo, "sha": "c" * 40, "siblings": siblings}).encode(), {}
        )

    do_HEAD = do_GET  # noqa: N815
    do_POST = do_GET  # noqa: N815

    def answer(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in ({"X-Repo-Commit": "c" * 40} | headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


IN_A_PROCESS_WITH_ITS_OWN_HUB = """
import json, sys
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.model_source import resolve
answers = []
for model, revision, weights in json.loads(sys.argv[1]):
    try:
        folder = resolve(model, revision, weights=weights)
        answers.append(sorted(path.name for path in folder.iterdir()))
    except InputError as error:
        answers.append(error.as_dict())
print(json.dumps(answers))
"""

ONE_DATASET_OF_THE_HUB = """
from huggingface_hub.utils import _http
_http.time.sleep = lambda seconds: None  # its patience would be half a minute
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.sources import open_source
try:
    open_source("someone/texts")
except InputError as error:
    print(error)
"""


@pytest.fixture
def hub(tiny_model: Path) -> Iterator[str]:
    plain = {name: (tiny_model / name).read_bytes() for name in ("config.json", "tokenizer.json")}
    other = dict.fromkeys(
        ("README.md", "pytorch_model.bin", "modeling.py", "onnx/model.safetensors"), b"no"
    )
    Hub.asked = []
    Hub.files = {
        "someone/safe": plain | other | {"model.safetensors": b"yes", "tf_model.h5": b"no"},
        "someone/h5": plain | other | {"tf_model.h5": b"yes"},
        "someone/bin": plain | other,
    }
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


IN_A_PROCESS_WITH_DATA_ON_ITS_OWN_HUB = """
import json, sys
from kfp_finetune.components.load_data.readers import remote
from kfp_finetune.components.load_data.sources import open_source
uri = sys.argv[1]
print(json.dumps([remote.fingerprint(uri), open_source(uri).rows]))
"""


def ask(hub: str, cache: Path, *questions: tuple[str, str | None, bool]) -> list[Any]:
    return run(hub, cache, IN_A_PROCESS_WITH_ITS_OWN_HUB, json.dumps(questions))


def run(hub: str, cache: Path, code: str, argument: str) -> list[Any]:
    done = subprocess.run(
        [sys.executable, "-c", code, argument],
        env=os.environ
        | {"HF_ENDPOINT": hub, "HF_HOME": str(cache), "HF_HUB_OFFLINE": "0", "NO_PROXY": "*"},
        capture_output=True,
        text=True,
        check=True,
    )
    return list(json.loads(done.stdout.splitlines()[-1]))


def test_only_what_is_needed_is_downloaded(hub: str, tmp_path: Path) -> None:
    tokenizer = ["config.json", "tokenizer.json"]
    assert ask(hub, tmp_path / "1", ("someone/safe", None, False)) == [tokenizer]
    assert ask(
        hub,
        tmp_path / "2",
        ("someone/safe", None, True),
        ("someone/h5", "main", True),
        ("someone/bin", None, True),
    ) == [
        ["config.json", "model.safetensors", "tokenizer.json"],
        ["config.json", "tf_model.h5", "tokenizer.json"],
        tokenizer,
    ]
    fetched = {path.rsplit("/", 1)[-1] for path in Hub.asked if "/resolve/" in path}
    assert fetched == {"config.json", "tokenizer.json", "model.safetensors", "tf_model.h5"}


def test_the_hubs_refusals_are_said_plainly(hub: str, tmp_path: Path) -> None:
    gone, gated, old, broken, odd = ask(
        hub,
        tmp_path,
        ("someone/gone", None, True),
        ("someone/gated", None, True),
        ("someone/old", "v9", False),
        ("someone/broken", None, True),
        ("not a hub id", None, True),
    )
    assert gone["found"] == (
        "there is no such folder, and the Hub has no such model (or it is private)"
    )
    assert gone["remedy"] == "check the spelling; for a private model set HF_TOKEN"
    assert gated["found"] == "the Hub gives this model only to those who accepted its terms"
    assert gated["remedy"] == f"accept the terms at {hub}/someone/gated and set HF_TOKEN"
    assert old["found"] == "the Hub has this model, but not this revision"
    assert old["where"] == "model: someone/old, revision: v9"
    assert broken["found"] == (
        "there is no such folder, and the model cannot be downloaded: the Hub answered HTTP 500"
    )
    assert odd["found"] == "there is no such folder, and it is not a Hub id"


def test_a_hub_that_cannot_be_reached_is_said_plainly(tmp_path: Path) -> None:
    (error,) = ask("http://127.0.0.1:9", tmp_path, ("someone/safe", None, True))
    assert error == {
        "found": "there is no such folder, and the model cannot be downloaded: the Hub cannot be"
        " reached at http://127.0.0.1:9",
        "where": "model: someone/safe",
        "expected": "a local folder, a model in the Hub's cache, or a connection to the Hub",
        "remedy": "try again, or download it elsewhere with `hf download someone/safe` and give"
        " the folder",
    }
    done = subprocess.run(
        [sys.executable, "-c", ONE_DATASET_OF_THE_HUB],
        env=os.environ
        | {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path), "NO_PROXY": "*"}
        | {"HF_HUB_OFFLINE": "0", "HF_DATASETS_OFFLINE": "0"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Retry" not in done.stderr
    assert done.stdout == (
        "the dataset cannot be downloaded: the Hub cannot be reached at http://127.0.0.1:9\n"
        "  where:    someone/texts\n"
        "  expected: a file or folder on this disk, or a dataset on the Hub that this machine can"
        " reach\n"
        "  remedy:   try again; or download it elsewhere, and name the files\n"
    )


def test_data_on_the_hub_is_told_by_its_blobs(hub: str, tmp_path: Path) -> None:
    def of(uri: str) -> tuple[str, int]:
        told, rows = run(hub, tmp_path, IN_A_PROCESS_WITH_DATA_ON_ITS_OWN_HUB, uri)
        return told, rows

    Hub.files["someone/texts"] = {"a.csv": b"text,label\nx,y\n", "b.csv": b"text,label\nx,y\n"}
    file, pattern = "hf://datasets/someone/texts/a.csv", "hf://datasets/someone/texts/*.csv"
    before = of(file), of(pattern)
    assert [rows for _, rows in before] == [1, 2] and all(told for told, _ in before)
    Hub.files["someone/texts"]["b.csv"] = b"text,label\nx,y\nx,z\n"
    assert of(file) == before[0]
    told, rows = of(pattern)
    assert rows == 3 and told not in (before[1][0], "")
