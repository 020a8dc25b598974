"""Data that is elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kfp_finetune.components.load_data.readers import remote
from tests.servers import Web


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, type[Web]]]:
    """A web server: its host and port, and where to put files."""
    monkeypatch.setenv("NO_PROXY", "*")
    remote.fetch.cache_clear()
    with Web.serve() as server:
        yield server
