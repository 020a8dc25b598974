"""Which model is meant by a name or a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from kfp_finetune.components.errors import InputError
from kfp_finetune.runs.folder import RunFolder
from kfp_finetune.runs.trained_models import base_model, find_model, run_of
from tests.toy.command import Cli


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
        ("runs", "the folder is not a model trained by kfp-finetune: it has no manifest.json"),
    ],
)
def test_folders_without_a_model_are_refused(
    name: str, message: str, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(runs.parent)
    with pytest.raises(InputError) as caught:
        find_model(name, Path("runs"))
    assert caught.value.found == message
    assert caught.value.expected and caught.value.remedy


def test_the_run_of_a_model_is_known(runs: Path) -> None:
    found = run_of(find_model("whole", runs))
    assert found is not None and found.record.name == "whole"
    (runs / "whole" / "copy").mkdir()
    assert run_of(runs / "whole" / "copy") is None
    assert run_of(runs.parent) is None


def test_a_model_comes_before_a_run_of_its_name(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(runs.parent)
    whole = str(runs / "whole" / "steps" / "finetune" / "model")
    assert base_model("whole", Path("runs")) == whole
    assert base_model("runs/whole", Path("elsewhere")) == whole
    Path("whole").mkdir()
    Path("whole", "config.json").write_text("{}")
    assert base_model("whole", Path("runs")) == "whole"
    assert base_model("google-bert/bert-base-uncased", Path("runs")) == (
        "google-bert/bert-base-uncased"
    )
    with pytest.raises(InputError, match="run 'half' has no model"):
        base_model("half", Path("runs"))


def test_a_run_goes_on_from_an_earlier_ones_model(cli: Cli) -> None:
    assert cli.run("--name", "first")[0] == 0
    again = ["run", "--dataset", "data.csv", "--model", "first", "--name", "second"]
    code, _, err = cli(*again)
    assert (code, err) == (0, "")
    first, second = (cli.record(name)["parameters"] for name in ("first", "second"))
    model = cli.folder / "runs" / "first" / "steps" / "finetune" / "model"
    assert second["model"] == str(model)
    assert len(second["model_fingerprint"]) == 64
    assert second["model_fingerprint"] != first["model_fingerprint"]
