"""The browser that opens pages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.evaluate.browser import CHROMIUM, Chromium


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    if not CHROMIUM:
        pytest.skip("chromium is not installed: no page is opened in a browser")
    browser = Chromium(tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()
