"""Fixtures of all tests, which run offline, and in CI without skips."""

from __future__ import annotations

import gc
import os
import resource
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import Request, urlopen

import pytest

from kfp_finetune.components.storage import uris
from tests import tiny
from tests.servers import Bucket, Web
from tests.toy.command import cli, toy  # noqa: F401 - fixtures

# Set before anything imports Transformers or datasets: no test may use the network.
os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1")

SHARED = Path(__file__).parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder beside the project with real datasets and a real checkpoint."""
    if not SHARED.is_dir():
        pytest.skip("the real data is not beside the project")
    return SHARED


# The files that take longest, the longest first: a worker gets whole files, and none may begin with
# one of these when the others are done.
LONGEST = (
    "export/test_exports.py",
    "finetune/test_checkpoints.py",
    "finetune/test_checkpoint_owners.py",
    "test_end_to_end.py",
    "api/local/test_containers.py",
    "models/parity/test_logits.py",
    "test_resume.py",
    "test_comparison.py",
    "finetune/test_distribution.py",
    "test_find_lr.py",
    "test_token_classification.py",
    "test_reproduction.py",
    "finetune/test_training.py",
    "finetune/test_vocabulary.py",
)


PEAKS: list[str] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first, and after them those with a slow test."""
    here = Path(__file__).parent
    places = {here / name: place for place, name in enumerate(LONGEST)}
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (places.get(item.path, len(places)), item.path not in slow))


def pytest_collection_finish() -> None:
    """Exempt from garbage collection what the tests import: going through it takes a second."""
    gc.collect()
    gc.freeze()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Report a worker's peak memory to the process that started it."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    peak = getattr(node, "workeroutput", {}).get("peak")
    if peak:
        unit = 2**30 if sys.platform == "darwin" else 2**20  # bytes there, KiB here
        PEAKS.append(f"{peak / unit:.1f} GB")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if PEAKS:
        terminalreporter.write_line(f"peak memory of the workers: {', '.join(PEAKS)}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and os.environ.get("REQUIRE_ALL") == "1":
        report.outcome = "failed"
        report.longrepr = f"skipped under REQUIRE_ALL=1: {report.longrepr}"
    return report


@pytest.fixture(scope="module", autouse=True)
def _released() -> Iterator[None]:
    """Free a file's models and graphs, so that a worker stays below 3 GB, and its hidden URIs."""
    yield
    os.environ.pop(uris.VARIABLE, None)  # their passwords would be masked in the next file, too
    if "keras" in sys.modules:
        from tensorflow.python.framework import ops

        # TensorFlow keeps the gradient of every `tf.custom_gradient` in a graph for ever, and with
        # it the graph: 10 MB for each training of a tiny model.
        registry = ops.gradient_registry._registry
        for name in [name for name in registry if name.startswith("CustomGradient-")]:
            del registry[name]
        sys.modules["keras"].backend.clear_session()  # collects garbage, too


@pytest.fixture(autouse=True)
def _float32_again() -> None:
    """Undo an earlier training's bfloat16: TensorFlow keeps that option for the whole process."""
    if "tensorflow" in sys.modules:
        sys.modules["tensorflow"].config.optimizer.set_experimental_options(
            {"auto_mixed_precision_onednn_bfloat16": False}
        )


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny BERT without weights."""
    return tiny.write_model(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture(scope="session")
def tiny_data(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tokenized dataset of 103 training, 15 validation and 30 test rows."""
    folder = tmp_path_factory.mktemp("tiny_data")
    return tiny.tokenize(
        folder,
        dataset=str(tiny.write_csv(folder / "train.csv", tiny.rows(118))),
        test_dataset=str(tiny.write_csv(folder / "test.csv", tiny.rows(30, seed=1))),
        validation_fraction=15 / 118,
        model=str(tiny_model),
        max_length=16,
    )


@pytest.fixture(scope="session")
def store() -> Iterator[str]:
    """The address of an S3 server."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, type[Web]]]:
    """A web server: its host and port, and where to put files."""
    from kfp_finetune.components.storage import downloads

    monkeypatch.setenv("NO_PROXY", "*")
    downloads.fetch.cache_clear()
    with Web.serve() as server:
        yield server


@pytest.fixture
def s3(store: str, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """A bucket in S3."""
    import boto3

    from kfp_finetune.components.storage import downloads

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
    downloads.fetch.cache_clear()
    client = boto3.client("s3")
    client.create_bucket(Bucket="texts")
    return Bucket(
        "s3://texts", lambda key, body: client.put_object(Bucket="texts", Key=key, Body=body)
    )


@pytest.fixture(scope="session")
def cloud_storage() -> Iterator[str]:
    """The address of a Google Cloud Storage server; there is a bucket, texts."""
    from gcp_storage_emulator.server import create_server

    server = create_server("127.0.0.1", 0, in_memory=True, default_bucket="texts")
    with server:
        yield f"http://127.0.0.1:{server._api._httpd.server_port}"


@pytest.fixture
def gcs(cloud_storage: str, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """A bucket in Google Cloud Storage."""
    from kfp_finetune.components.storage import downloads

    monkeypatch.setenv("STORAGE_EMULATOR_HOST", cloud_storage)
    monkeypatch.setenv("NO_GCE_CHECK", "true")  # do not ask whether this is a machine of Google's
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    downloads.fetch.cache_clear()

    def put(key: str, body: bytes) -> None:
        place = f"{cloud_storage}/upload/storage/v1/b/texts/o"
        address = f"{place}?uploadType=media&name={quote(key, safe='')}"
        urlopen(Request(address, body), timeout=10).close()  # noqa: S310

    return Bucket("gs://texts", put)


@pytest.fixture(params=["s3", "gcs"])
def bucket(request: pytest.FixtureRequest) -> Bucket:
    """A bucket in S3, then one in Google Cloud Storage."""
    found: Bucket = request.getfixturevalue(request.param)
    return found
