"""Downloads from a local server that replaces the Hub, and messages if they fail."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from huggingface_hub.utils import httpx  # type: ignore[attr-defined]

from kfp_finetune.components.storage import hub_client


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
        path = urlsplit(self.path).path.lstrip("/").split("/")  # a proxy is asked for whole URLs
        path = path[2 if path[0] == "api" else 1 if path[0] == "datasets" else 0 :]
        repo = "/".join(path[:2])
        if repo in self.ERRORS:
            status, code = self.ERRORS[repo]
            return self.answer(status, b"", {"X-Error-Code": code, "X-Error-Message": code})
        if "resolve" in path:
            return self.answer(200, self.files[repo][path[-1]], {"ETag": f'"{path[-1]}"'})
        if "tree" in path or "paths-info" in path:
            wanted = path[path.index("tree" if "tree" in path else "paths-info") + 2 :] or [""]
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


# Settings of certificates and proxies that a developer's machine may have.
NETWORK = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR", "HTTP_PROXY")

IN_A_PROCESS_WITH_ITS_OWN_HUB = """
import json, sys
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.model_location import resolve
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
from kfp_finetune.components.load_data.opening import open_source
try:
    open_source("someone/texts")
except InputError as error:
    print(error)
"""


@contextmanager
def serve(certificate: Path | None = None) -> Iterator[int]:
    """Start the server, over TLS if there is a certificate (with its key); gives the port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.handle_error = lambda *_: None  # type: ignore[method-assign]  # broken handshakes
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


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
    with serve() as port:
        yield f"http://127.0.0.1:{port}"


IN_A_PROCESS_WITH_DATA_ON_ITS_OWN_HUB = """
import json, sys
from kfp_finetune.components.load_data.readers.formats import DATA
from kfp_finetune.components.storage import fingerprints
from kfp_finetune.components.load_data.opening import open_source
uri = sys.argv[1]
print(json.dumps([fingerprints.of_uri(uri, DATA), open_source(uri).rows]))
"""


def ask(
    hub: str, cache: Path, *questions: tuple[str, str | None, bool], **variables: str
) -> list[Any]:
    return run(hub, cache, IN_A_PROCESS_WITH_ITS_OWN_HUB, json.dumps(questions), **variables)


def run(hub: str, cache: Path, code: str, argument: str, **variables: str) -> list[Any]:
    given = {name: value for name, value in os.environ.items() if name not in NETWORK}
    given |= {"HF_ENDPOINT": hub, "HF_HOME": str(cache), "HF_HUB_OFFLINE": "0", "NO_PROXY": "*"}
    done = subprocess.run(
        [sys.executable, "-c", code, argument],
        env=given | variables,
        capture_output=True,
        text=True,
        check=True,
    )
    return list(json.loads(done.stdout.splitlines()[-1]))


def test_only_what_is_needed_is_downloaded(hub: str, tmp_path: Path) -> None:
    tokenizer = ["config.json", "tokenizer.json"]
    assert ask(hub, tmp_path / "1", ("someone/safe", None, False)) == [tokenizer]
    whole = ["config.json", "model.safetensors", "tokenizer.json"]
    assert ask(hub, tmp_path / "2", ("someone/safe", None, True)) == [whole]
    fetched = {path.rsplit("/", 1)[-1] for path in Hub.asked if "/resolve/" in path}
    assert fetched == {"config.json", "tokenizer.json", "model.safetensors"}


def test_weights_that_are_not_read_are_reported_before_the_data_is(
    hub: str, tmp_path: Path
) -> None:
    h5, pickle = ask(hub, tmp_path, ("someone/h5", "main", False), ("someone/bin", None, False))
    assert h5["found"].startswith("the weights are pickled (pytorch_model.bin)")
    assert pickle["found"].startswith("the weights are pickled (pytorch_model.bin)")
    assert pickle["where"] == "model: someone/bin"
    assert "from transformers import BertForSequenceClassification as M" in pickle["remedy"]
    assert "M.from_pretrained('someone/bin').save_pretrained('converted')" in pickle["remedy"]
    assert pickle["remedy"].endswith("and give --model converted")


def test_the_hubs_refusals_are_explained(hub: str, tmp_path: Path) -> None:
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
    assert gated["found"] == "the Hub provides this model only to users who accepted its terms"
    assert gated["remedy"] == f"accept the terms at {hub}/someone/gated and set HF_TOKEN"
    assert old["found"] == "the Hub has this model but not this revision"
    assert old["where"] == "model: someone/old, revision: v9"
    assert broken["found"] == (
        "there is no such folder, and the model cannot be downloaded: the Hub returned HTTP 500"
    )
    assert odd["found"] == "there is no such folder, and it is not a Hub id"


def test_an_unreachable_hub_is_explained(tmp_path: Path) -> None:
    (error,) = ask("http://127.0.0.1:9", tmp_path, ("someone/safe", None, True))
    assert error == {
        "found": "there is no such folder, and the model cannot be downloaded: the Hub cannot be"
        " reached at http://127.0.0.1:9",
        "where": "model: someone/safe",
        "expected": "a local folder, a model in the Hub's cache, or a connection to the Hub",
        "remedy": "try again, or run `hf download someone/safe` on another machine and copy the"
        " folder",
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
        "  remedy:   try again; or download it on another machine and copy the files\n"
    )


def test_data_on_the_hub_is_identified_by_its_blobs(hub: str, tmp_path: Path) -> None:
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


# --- certificates and proxies --------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that its own key has signed, and the key, in one file."""
    file = tmp_path_factory.mktemp("tls") / "ca.pem"
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a private authority")])
    now = datetime.now(UTC)
    address = x509.IPAddress(ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file.write_bytes(made.public_bytes(pem) + key.private_bytes(pem, *plain))
    return file


SAFE = ("someone/safe", None, False)
FILES = ["config.json", "tokenizer.json"]


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_a_private_certificate_authority(
    variable: str, hub: str, certificate: Path, tmp_path: Path
) -> None:
    with serve(certificate) as port:
        address = f"https://127.0.0.1:{port}"
        (refused,) = ask(address, tmp_path / "1", SAFE)
        assert (
            f"the Hub cannot be reached at {address}: its certificate is not signed"
            in refused["found"]
        )
        trusting = {variable: str(certificate)}
        assert ask(address, tmp_path / "2", SAFE, **trusting) == [FILES]
        (offline,) = ask(address, tmp_path / "3", SAFE, **trusting, HF_HUB_OFFLINE="1")
        assert offline["found"].endswith("access to the Hub is switched off by HF_HUB_OFFLINE")


def test_a_proxy_and_what_is_reached_without_it(hub: str, tmp_path: Path) -> None:
    through = {"HTTP_PROXY": hub, "NO_PROXY": ""}
    assert ask("http://hub.invalid", tmp_path / "1", SAFE, **through) == [FILES]
    assert Hub.asked[0].startswith("http://hub.invalid/api/models/someone/safe")
    for name, hosts in enumerate(("127.0.0.1", "10.0.0.0/8, 127.0.0.0/8", "*")):
        nowhere = {"HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": hosts}
        assert ask(hub, tmp_path / f"direct {name}", SAFE, **nowhere) == [FILES]


@pytest.mark.parametrize(
    "proxy", ["http://127.0.0.1:9", "socks5://127.0.0.1:9", "odd://127.0.0.1:9", "http://[::1"]
)
def test_an_unusable_proxy_is_explained(proxy: str, tmp_path: Path) -> None:
    given = {"HTTP_PROXY": proxy, "NO_PROXY": ""}
    (error,) = ask("http://hub.invalid", tmp_path, SAFE, **given)
    assert "the model cannot be downloaded: the Hub cannot be reached at" in error["found"]


def test_an_ipv6_address_in_a_range_of_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "fd00::/8")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    direct = hub_client._without_proxy("http://[fd00::1]:8080")
    client, url = hub_client._client(None, direct), httpx.URL("http://[fd00::1]:8080/x")
    assert client._transport_for_url(url) is client._transport
    assert client._transport_for_url(httpx.URL("http://[fe00::1]/x")) is not client._transport


def test_a_fault_of_the_program_is_not_reported_as_an_unreachable_hub() -> None:
    assert not issubclass(ValueError, hub_client.errors())
    assert not issubclass(ImportError, hub_client.errors())
