"""Trainings on tiny data that the tests run, kill, resume and compare."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from kfp_finetune.components.artifacts import model as model_artifact
from kfp_finetune.components.artifacts import optimizer_config as optimizer_artifact
from kfp_finetune.components.build_optimizer.parameters import build_optimizer_config
from kfp_finetune.components.finetune import callbacks, training
from kfp_finetune.components.finetune.parameters import Parameters
from kfp_finetune.components.load_data.steps import count_steps
from kfp_finetune.components.models.dropout import Dropout

ROWS = 103
PLAN = {"batch_size": 8, "num_train_epochs": 2.0}
STEPS = 26
CURVES = (
    "train/learning_rate",
    "train/loss",
    "train/gradient_norm",
    "validation/loss",
    "validation/accuracy",
)


# These differ between runs that end alike.
_OWN = {"resumed_at", "differences", "dataset"}


def without_dropout(network: Any) -> None:
    """Set every dropout rate of a model to 0."""
    for layer in network._flatten_layers():
        if isinstance(layer, Dropout):
            layer.rate = 0.0


def notes(capsys: pytest.CaptureFixture[str]) -> list[str]:
    lines = [line for line in capsys.readouterr().out.splitlines() if '"note"' in line]
    return [json.loads(line.partition(" ")[2])["text"] for line in lines]


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it, nothing is saved."""


def killer(monkeypatch: pytest.MonkeyPatch) -> Callable[[int | None], None]:
    """A function that sets the update right after which training is killed; None: it is not."""
    at: list[int | None] = [None]
    real = callbacks.Clock.on_train_batch_end

    def on_train_batch_end(self: Any, batch: int, logs: Any = None) -> None:
        real(self, batch, logs)
        if self._history.updates_done == at[0]:
            raise Killed

    monkeypatch.setattr(callbacks.Clock, "on_train_batch_end", on_train_batch_end)
    return lambda step: at.__setitem__(0, step)


class Run:
    """A run on tiny data, in a folder of its own.

    Args:
        folder: Where it writes; its checkpoints are beside it.
        data: Tokenized.
        model: The base model.
        plan: Parameters of finetune that count steps, beside `PLAN`.
        saved: Parameters of finetune about checkpoints, and `owner`.
        **settings: Parameters of finetune and of build_optimizer.
    """

    def __init__(
        self,
        folder: Path,
        data: Path,
        model: Path,
        *,
        plan: dict[str, Any] | None = None,
        saved: dict[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        self.folder, self.data, self.model = folder, data, model
        plan = PLAN | (plan or {})
        names = {field.name for field in fields(Parameters)}
        self.parameters = plan | {n: settings.pop(n) for n in names & settings.keys()}
        self.saved: dict[str, Any] = {"checkpoint_dir": str(folder / "saved")}
        self.saved |= {"checkpoint_every_steps": 3} | (saved or {})
        steps = count_steps(ROWS, **plan).num_train_steps
        optimizer = build_optimizer_config(steps, **({"learning_rate": 1e-3} | settings))
        optimizer_artifact.write(folder / "optimizer", optimizer)

    def __call__(self, **saved: Any) -> model_artifact.ModelManifest:
        saved = self.saved | saved
        owner = saved.pop("owner", "")
        return training.finetune(
            Parameters(base_model=str(self.model), **self.parameters, **saved),
            tokenized_dataset_path=str(self.data),
            optimizer_config_path=str(self.folder / "optimizer"),
            model_path=str(self.folder / "model"),
            tensorboard_logs_path=str(self.folder / "logs"),
            owner=owner,
        )

    def killed_at(self, step: int, kill: Callable[[int | None], None]) -> None:
        kill(step)
        with pytest.raises(Killed):
            self()
        kill(None)
        shutil.rmtree(self.folder / "model", ignore_errors=True)

    def curves(self) -> dict[str, list[tuple[int, float]]]:
        events = EventAccumulator(str(self.folder / "logs"), {"tensors": 0}).Reload()
        return {
            tag: [(e.step, float(tf.make_ndarray(e.tensor_proto))) for e in events.Tensors(tag)]
            for tag in CURVES
        }

    def results(self) -> dict[str, Any]:
        """Everything that has to be equal."""
        manifest = model_artifact.read(self.folder / "model")
        return {
            "weights": (self.folder / "model" / "model.safetensors").read_bytes(),
            "log": (self.folder / "model" / "training_log.jsonl").read_text(),
            "manifest": manifest.model_dump(exclude=_OWN),
            "curves": self.curves(),
        }
