"""Export a trained model to a folder, or upload it to the Hugging Face Hub."""

from __future__ import annotations

from pathlib import Path

from kfp_finetune.components.artifacts import data_report, metrics
from kfp_finetune.components.artifacts import model as model_artifact
from kfp_finetune.components.artifacts.model import ModelManifest
from kfp_finetune.components.quiet import import_tensorflow
from kfp_finetune.components.temporary import temporary_folder
from kfp_finetune.local.processes import interruptible
from kfp_finetune.pipelines.checks import check_installed
from kfp_finetune.progress.summary import shown
from kfp_finetune.runs.trained_models import find_model, run_of


def export_model(model: str, runs_dir: Path, output: Path, form: str) -> None:
    """Write a model with its tokenizer and its card to a new folder.

    Args:
        model: A run's name, a run's folder, or a model's folder.
        runs_dir: The folder of runs.
        output: The folder to create.
        form: "pt", "savedmodel" or "onnx".

    Raises:
        InputError: If there is no such model, or it cannot be written in this format or folder.
        Interrupted: If a signal interrupted it.
    """
    check_installed()
    folder = find_model(model, runs_dir)
    with interruptible():
        difference = _export(folder, output, output.absolute().name, form)
    check = "identical" if difference == 0 else f"equal within {difference:.1g}"
    print(f"wrote {shown(output.absolute())}; verified: reloaded logits are {check}")


def push_model(model: str, runs_dir: Path, hub_id: str, *, private: bool) -> None:
    """Upload a model with its tokenizer and its card to the Hugging Face Hub.

    Args:
        model: A run's name, a run's folder, or a model's folder.
        runs_dir: The folder of runs.
        hub_id: "owner/name".
        private: Whether a new repository is private.

    Raises:
        InputError: If there is no such model, no token, or the Hub refuses it.
        Interrupted: If a signal interrupted it.
    """
    check_installed()
    folder = find_model(model, runs_dir)
    from kfp_finetune.components.export import hub

    hub.check(hub_id)
    with interruptible(), temporary_folder() as temporary:
        output = Path(temporary, "model")
        _export(folder, output, hub_id, "pt")
        address = hub.upload(output, hub_id, private=private)
    print(f"uploaded to {address}")


def _export(folder: Path, output: Path, name: str, form: str) -> float:
    import_tensorflow()
    if form == "onnx":
        from kfp_finetune.components.export import onnx_model

        onnx_model.check_installed()
    manifest = model_artifact.read(folder)
    from kfp_finetune.components.export import exports
    from kfp_finetune.components.finetune import devices

    devices.configure(manifest.seed)
    return exports.export(folder, manifest, _card(folder, manifest, name, form), form, output)


def _card(folder: Path, manifest: ModelManifest, name: str, form: str) -> str:
    """The model card, with data and metrics if the model is part of a run."""
    from kfp_finetune.components.export.model_card import render_model_card

    run = run_of(folder)
    artifacts = run.record.artifacts if run else {}
    measured = found = None
    if run and "metrics_json" in artifacts:
        measured = metrics.read(run.path / artifacts["metrics_json"])
    if run and "tokenized_dataset" in artifacts:
        found = data_report.read(run.path / artifacts["tokenized_dataset"])
    return render_model_card(name, manifest, measured, found, form)
