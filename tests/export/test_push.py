"""Uploads to the Hub and its refusals, on a server of our own."""

from __future__ import annotations

import base64
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

from kfp_finetune.components.model_folder.tokenizer_files import TOKENIZER_FILES

COMMAND = Path(sys.executable).with_name("kfp-finetune")
TOKEN = "hf_hunter2"  # noqa: S105
WITHOUT_XET = {"HF_HUB_DISABLE_XET": "1"}  # weights go through the Hub's Git LFS protocol
REFUSALS = {"nobody": 401, "readonly": 403, "gone": 404}


class Hub(BaseHTTPRequestHandler):
    """The part of the Hub's protocol for uploads. Weights are uploaded separately."""

    files: dict[str, dict[str, bytes]]
    made: list[dict[str, Any]]

    def do_GET(self) -> None:
        repo = "/".join(self.path.split("/")[3:5])  # /api/models/OWNER/NAME
        self.answer(200 if repo in self.files else 404, {"id": repo, "sha": "c" * 40})

    do_HEAD = do_GET  # noqa: N815

    def do_PUT(self) -> None:
        repo, _, digest = self.path.removeprefix("/storage/").rpartition("/")
        data = self.body()
        assert sha256(data).hexdigest() == digest
        self.files[repo]["model.safetensors"] = data
        self.answer(200, {})

    def do_POST(self) -> None:
        body, host = self.body(), self.headers["Host"]
        assert self.headers["Authorization"] == f"Bearer {TOKEN}" or "validate" in self.path
        if self.path == "/api/repos/create":
            asked = json.loads(body)
            owner = asked["organization"]
            if owner in REFUSALS:
                return self.answer(REFUSALS[owner], {"error": "no"})
            repo = f"{owner}/{asked['name']}"
            self.made.append(asked)
            self.files.setdefault(repo, {})
            return self.answer(200, {"url": f"http://{host}/{repo}"})
        if "/preupload/" in self.path:
            modes = [
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if file["path"].endswith(".safetensors") else "regular",
                    "shouldIgnore": False,
                }
                for file in json.loads(body)["files"]
            ]
            return self.answer(200, {"files": modes})
        if self.path.endswith("/info/lfs/objects/batch"):
            repo = self.path.lstrip("/").partition(".git")[0]
            (wanted,) = json.loads(body)["objects"]
            place = f"http://{host}/storage/{repo}/{wanted['oid']}"
            objects = [wanted | {"actions": {"upload": {"href": place}}}]
            return self.answer(200, {"transfer": "basic", "objects": objects})
        if "/commit/" in self.path:
            repo = "/".join(self.path.split("/")[3:5])
            for line in body.splitlines():
                entry = json.loads(line)
                if entry["key"] == "file":
                    content = base64.b64decode(entry["value"]["content"])
                    self.files[repo][entry["value"]["path"]] = content
            done = {"commitUrl": f"http://{host}/{repo}/commit/1", "commitOid": "c" * 40}
            return self.answer(200, done)
        return self.answer(200, {})  # /api/validate-yaml

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def answer(self, status: int, content: dict[str, Any]) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


@pytest.fixture
def hub() -> Iterator[str]:
    Hub.files, Hub.made = {}, []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


UPLOAD = """
import json, sys
from pathlib import Path
from huggingface_hub.utils import _http
_http.time.sleep = lambda seconds: None  # its patience would be half a minute
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.export import hub
said = []
for hub_id in sys.argv[2:]:
    try:
        hub.check(hub_id)
        said.append(hub.upload(Path(sys.argv[1]), hub_id, private=True))
    except InputError as error:
        said.append(error.found)
print(json.dumps(said))
"""


def upload(folder: Path, *hub_ids: str, **environment: str) -> list[str]:
    variables = os.environ | {"HF_TOKEN": TOKEN, "HF_HUB_OFFLINE": "0", "NO_PROXY": "*"}
    variables |= {"HF_HOME": str(folder.parent / "cache"), **WITHOUT_XET} | environment
    done = subprocess.run(
        [sys.executable, "-c", UPLOAD, folder, *hub_ids],
        env=variables,
        capture_output=True,
        text=True,
        check=True,
    )
    assert TOKEN not in done.stdout + done.stderr
    return list(json.loads(done.stdout.splitlines()[-1]))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "model"
    made.mkdir()
    (made / "README.md").write_text("---\nlibrary_name: transformers\n---\n# A model\n")
    (made / "model.safetensors").write_bytes(b"weights")
    return made


def test_a_folder_is_uploaded(hub: str, folder: Path) -> None:
    assert upload(folder, "someone/texts", HF_ENDPOINT=hub) == [f"{hub}/someone/texts"]
    (made,) = Hub.made
    assert (made["organization"], made["name"]) == ("someone", "texts")
    assert made["visibility"] == "private"
    assert Hub.files == {
        "someone/texts": {file.name: file.read_bytes() for file in folder.iterdir()}
    }


def test_refusals_are_distinguished(hub: str, folder: Path) -> None:
    assert upload(folder, "nobody/a", "readonly/a", "gone/a", HF_ENDPOINT=hub) == [
        "the upload failed: the Hub rejects the token",
        "the upload failed: the token has no write access",
        "the upload failed: the Hub has no such owner",
    ]
    assert Hub.files == {}


def test_checks_before_the_upload(folder: Path) -> None:
    nowhere = "http://127.0.0.1:9"
    assert upload(folder, "texts", "a/b/c", "someone/a b", "someone/a", HF_ENDPOINT=nowhere) == [
        "'texts' is not a valid model id",
        "'a/b/c' is not a valid model id",
        "'someone/a b' is not a valid model id",
        f"the upload failed: the Hub cannot be reached at {nowhere}",
    ]
    assert upload(folder, "someone/a", HF_TOKEN="") == ["there is no token for the Hub"]
    assert upload(folder, "someone/a", HF_HUB_OFFLINE="1") == [
        "access to the Hub is switched off by HF_HUB_OFFLINE"
    ]


@pytest.mark.slow
def test_the_command(hub: str, tiny_model: Path, tmp_path: Path) -> None:
    from tests.trained import write_trained  # it imports TensorFlow

    model = write_trained(tmp_path / "model", tiny_model)
    done = subprocess.run(
        [COMMAND, "push", model, "someone/texts"],
        env=os.environ
        | {"HF_ENDPOINT": hub, "HF_TOKEN": TOKEN, "HF_HUB_OFFLINE": "0", "NO_PROXY": "*"}
        | WITHOUT_XET,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"uploaded to {hub}/someone/texts\n"
    arrived = Hub.files["someone/texts"]
    tokenizer = {name for name in TOKENIZER_FILES if (model / name).exists()}
    assert arrived.keys() == {"README.md", "config.json", "model.safetensors"} | tokenizer
    assert arrived["model.safetensors"] == (model / "model.safetensors").read_bytes()
    assert b'model="someone/texts"' in arrived["README.md"]
