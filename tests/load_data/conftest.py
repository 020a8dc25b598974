"""Data that is elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import boto3
import pytest
import requests
from gcp_storage_emulator.server import create_server
from moto.server import ThreadedMotoServer

from kfp_finetune.components.load_data.readers import remote
from tests.load_data.servers import Bucket, Web


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, type[Web]]]:
    """A web server: its host and port, and where to put files."""
    monkeypatch.setenv("NO_PROXY", "*")
    remote.fetch.cache_clear()
    with Web.serve() as server:
        yield server


@pytest.fixture(scope="session")
def store() -> Iterator[str]:
    """The address of an S3 server."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(store: str, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """A bucket in S3."""
    for name, value in {
        "AWS_ENDPOINT_URL": store,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "hunter2",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "*",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    remote.fetch.cache_clear()
    client = boto3.client("s3")
    client.create_bucket(Bucket="texts")
    return Bucket(
        "s3://texts", lambda key, body: client.put_object(Bucket="texts", Key=key, Body=body)
    )


@pytest.fixture(scope="session")
def cloud_storage() -> Iterator[str]:
    """The address of a Google Cloud Storage server; there is a bucket, texts."""
    server = create_server("127.0.0.1", 0, in_memory=True, default_bucket="texts")
    with server:
        yield f"http://127.0.0.1:{server._api._httpd.server_port}"


@pytest.fixture
def gcs(cloud_storage: str, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """A bucket in Google Cloud Storage."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", cloud_storage)
    monkeypatch.setenv("NO_GCE_CHECK", "true")  # is this a machine of Google's? It is not
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    remote.fetch.cache_clear()

    def put(key: str, body: bytes) -> None:
        place = f"{cloud_storage}/upload/storage/v1/b/texts/o"
        address = f"{place}?uploadType=media&name={quote(key, safe='')}"
        requests.post(address, data=body, timeout=10).raise_for_status()

    return Bucket("gs://texts", put)


@pytest.fixture(params=["s3", "gcs"])
def bucket(request: pytest.FixtureRequest) -> Bucket:
    """A bucket in either of them."""
    found: Bucket = request.getfixturevalue(request.param)
    return found
