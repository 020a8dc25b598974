"""Metadata that KFP can store beside an artifact; a step with any other fails."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kfp import dsl

from kfp_finetune.components import metadata, runtime

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=5), VALUES))
def test_whatever_there_is_can_be_kept(values: dict[str, Any]) -> None:
    kept = metadata.of(values)
    metadata.check(kept, "x")
    assert "null" not in json.dumps(kept, allow_nan=False).replace('"null"', "")


def test_numbers_that_six_decimals_would_lose_are_text() -> None:
    values = {
        "epsilon": 1e-7,
        "rates": [[10, 5e-05]],
        "seconds": 12.3456789,
        "off": None,
        "zero": 0,
    }
    assert metadata.of(values) == {
        "epsilon": "1e-07", "rates": [[10, "5e-05"]], "seconds": 12.3456789, "zero": 0
    }  # fmt: skip


def test_metrics_that_are_no_numbers_are_left_out() -> None:
    assert metadata.finite({"loss": math.nan, "mae": math.inf, "accuracy": 1}) == {"accuracy": 1.0}


@pytest.mark.parametrize("value", [None, math.nan, -math.inf, [None], {"a": {"b": None}}, {1: 2}])
def test_a_step_fails_where_a_cluster_would(
    value: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """After the upload, on a cluster, so that it would have been for nothing."""
    artifact = dsl.Artifact(uri=str(tmp_path / "out"))
    with pytest.raises(SystemExit) as end, runtime.step("toy", artifact):
        Path(artifact.path).write_text("written")
        artifact.metadata["found"] = value
    assert end.value.code == 1
    assert "metadata that KFP cannot store: out.found" in capfd.readouterr().out
    assert not Path(artifact.path).exists()
