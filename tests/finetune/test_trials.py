"""Trials of a comparison that share a checkpoint directory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kfp_finetune.components.build_optimizer.parameters import build_optimizer_config
from kfp_finetune.components.finetune.parameters import Parameters, trial_name
from kfp_finetune.pipelines.compare_schedules.candidates import DEFAULTS, PRESETS, expand
from kfp_finetune.runs.folder import RunFolder


def test_every_trial_has_a_folder_of_its_own() -> None:
    candidates = [c for preset in PRESETS.values() for c in expand(preset, [1, 2])]
    trained = [c | {"learning_rate": c["learning_rate"] or 7e-5} for c in candidates]  # chosen
    settings = {
        tuple((n, v) for n, v in c.items() if n != "name"): c for c in trained
    }  # two presets have the same
    names = {
        trial_name(
            build_optimizer_config(939, **{n: c[n] for n in DEFAULTS if n not in ("name", "seed")}),
            c["seed"],
        )
        for c in settings.values()
    }
    assert len(names) == len(settings)
    assert any(name.startswith("constant-0.001-seed-2-") for name in names)


@pytest.mark.parametrize("directory", ["s3://bucket/saved", "s3://bucket/saved/", "/mnt/saved"])
def test_the_same_trial_finds_its_folder_again(directory: str) -> None:
    config = build_optimizer_config(100, lr_scheduler_type="cosine", learning_rate=1e-4)
    given = {"base_model": "m", "checkpoint_dir": directory, "seed": 7}

    def place(**more: Any) -> str | None:
        return Parameters(**given | more).checkpointing(config, "run").directory

    expected = f"{directory.rstrip('/')}/{trial_name(config, 7)}"
    assert place(checkpoint_per_trial=True) == place(checkpoint_per_trial=True) == expected
    assert place() == directory
    assert place(checkpoint_dir=None, checkpoint_per_trial=True) is None


@pytest.mark.parametrize("trial", ["", "cosine-0.0001-seed-7-0123abcd"])
def test_a_run_with_a_saved_trial_can_be_resumed(trial: str, tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, "one", "compare_schedules", {})
    assert not run.can_be_resumed()
    saved = run.checkpoints / trial / "step-00000003"
    saved.mkdir(parents=True)
    (saved / "checkpoint.json").write_text("{}")
    assert run.can_be_resumed()
