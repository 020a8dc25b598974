"""Which model is meant by a name or a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from kfp_finetune.cli.models import find_model
from kfp_finetune.cli.run_folder import RunFolder
from kfp_finetune.components.errors import InputError


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A folder of runs: one has a model, one has none."""
    for name, artifacts in {"whole": {"model": "steps/finetune/model"}, "half": {}}.items():
        folder = RunFolder.create(tmp_path / "runs", name, "finetune", {})
        folder.record.artifacts = artifacts
        folder.save()
    model = tmp_path / "runs" / "whole" / "steps" / "finetune" / "model"
    model.mkdir(parents=True)
    (model / "manifest.json").write_text("{}")
    return tmp_path / "runs"


def test_a_name_a_run_and_a_model_lead_to_the_model(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(runs.parent)
    model = runs / "whole" / "steps" / "finetune" / "model"
    for name in ("whole", "runs/whole", str(runs / "whole"), str(model)):
        assert find_model(name, Path("runs")) == model
    Path("whole").mkdir()  # a folder that happens to be called like the run
    assert find_model("whole", Path("runs")) == model


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing", "there is no run 'nothing'"),
        ("half", "run 'half' has no model; its status is running"),
        ("runs/half", "run 'half' has no model; its status is running"),
        ("runs", "the folder is not a model that was trained here: it has no manifest.json"),
    ],
)
def test_what_is_no_model_is_refused(
    name: str, message: str, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(runs.parent)
    with pytest.raises(InputError) as caught:
        find_model(name, Path("runs"))
    assert caught.value.found == message
    assert caught.value.expected and caught.value.remedy
