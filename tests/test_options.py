"""Options are called what the reader gives them as."""

from __future__ import annotations

import pytest

from kfp_finetune.components.options import as_given

TEXT = "Try --num-train-epochs 6, or --no-texts-in-report; a--b, -- and --- stay."


def test_on_a_cluster_they_are_the_names_of_the_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KFP_POD_NAME", "kfp-finetune-x-system-container-impl-1")
    assert as_given(TEXT) == (
        "Try num_train_epochs 6, or texts_in_report = false; a--b, -- and --- stay."
    )


def test_elsewhere_they_are_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KFP_POD_NAME", raising=False)
    assert as_given(TEXT) == TEXT
