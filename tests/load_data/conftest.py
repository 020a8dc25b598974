"""Fixtures of the tests of load_data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.load_data.refused import Case, check


@pytest.fixture
def refuse(
    tiny_model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> Callable[[Case], None]:
    """Check that load_data refuses a case: one message, exit code 2, nothing left behind."""
    return lambda case: check(case, tiny_model, tmp_path, capfd)
