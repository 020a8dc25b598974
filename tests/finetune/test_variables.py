"""Environment variables that change numbers are recorded, and a resume that differs is refused."""

from __future__ import annotations

import pytest

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.finetune import devices
from kfp_finetune.components.finetune.parameters import Checkpointing
from kfp_finetune.components.finetune.resuming import check_may_resume
from kfp_finetune.components.finetune.run_facts import _flat


@pytest.mark.parametrize("variable", ["DNNL_MAX_CPU_ISA", "TF_ENABLE_ONEDNN_OPTS", "XLA_FLAGS"])
def test_a_resume_under_another_variable_is_refused(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "1")
    before = _flat({"environment": devices.configure(1)})
    assert before[f"environment.variables.{variable}"] == "1"
    for value in ("2", None):
        with monkeypatch.context() as patch:
            patch.setenv(variable, value) if value else patch.delenv(variable)
            now = _flat({"environment": devices.configure(1)})
        settings = Checkpointing(directory="x", resume="exact", owner="run")
        record = {"owner": "run", "facts": before, "finished": False}
        with pytest.raises(
            InputError, match=rf"environment\.variables\.{variable}: 1, now {value}"
        ):
            check_may_resume(record, now, settings, reached="step 1", where="x")
