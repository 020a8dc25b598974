"""A pipeline of the real one's shape whose steps take milliseconds.

Copied by the tests to a folder of its own as toy_pipeline.py, its pipeline.yaml compiled there.
"""

from typing import NamedTuple

from kfp import dsl

IMAGE = "toy-python:1"


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def load_data(
    dataset: str,
    model: str,
    tokenized_dataset: dsl.Output[dsl.Dataset],
    text_column: str = "",
    max_length: int = 128,
    dataset_fingerprint: str = "",
    model_fingerprint: str = "",
) -> NamedTuple("Counts", [("num_train_examples", int)]):
    from pathlib import Path

    from kfp_finetune.components import runtime
    from kfp_finetune.components.errors import InputError
    from kfp_finetune.components.load_data.readers.formats import DATA
    from kfp_finetune.components.storage.downloads import fetch

    with runtime.step("load_data", tokenized_dataset):
        path = fetch(dataset, DATA).path if "://" in dataset else Path(dataset)
        if not path.is_file():
            raise InputError("no such file", where=dataset, expected="a file", remedy="make one")
        rows = path.read_text().splitlines()
        folder = Path(tokenized_dataset.path)
        (folder / "deep").mkdir(parents=True)
        (folder / "deep" / "rows.txt").write_text("\n".join(rows))
        runtime.emit("note", "load_data", text=f"[red]{rows[0]}[/red]\x1b[31m")
    return (len(rows),)


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def count_steps(num_train_examples: int, batch_size: int = 2, max_steps: int = 0) -> NamedTuple(
    "Steps", [("steps_per_epoch", int), ("num_train_steps", int)]
):
    from kfp_finetune.components import runtime

    with runtime.step("count_steps"):
        per_epoch = -(-num_train_examples // batch_size)
        steps = max_steps or per_epoch
        runtime.emit("note", "count_steps", text=f"{num_train_examples} ÷ {batch_size} = {steps}")
    return per_epoch, steps


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def build_optimizer(
    num_train_steps: int,
    optimizer_config: dsl.Output[dsl.Artifact],
    learning_rate_curve: dsl.Output[dsl.HTML],
    learning_rate: float = 5e-5,
):
    from pathlib import Path

    from kfp_finetune.components import runtime
    from kfp_finetune.components.artifacts import optimizer_config as module

    with runtime.step("build_optimizer"):
        schedule = module.Schedule(learning_rate=learning_rate, num_train_steps=num_train_steps)
        module.write(optimizer_config.path, module.OptimizerConfig(schedule=schedule))
        Path(learning_rate_curve.path).write_text("<p>curve</p>")


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def finetune(
    tokenized_dataset: dsl.Input[dsl.Dataset],
    optimizer_config: dsl.Input[dsl.Artifact],
    base_model: str,
    model: dsl.Output[dsl.Model],
    tensorboard_logs: dsl.Output[dsl.Artifact],
    seconds_per_step: float = 0.0,
    trouble: str = "",
):
    import contextlib
    import os
    import time
    from pathlib import Path

    from kfp_finetune.components import runtime
    from kfp_finetune.components.artifacts import model as artifact
    from kfp_finetune.components.artifacts import optimizer_config as optimizers
    from kfp_finetune.components.errors import InputError

    with runtime.step("finetune"):
        Path(tensorboard_logs.path).mkdir(parents=True)
        Path(tensorboard_logs.path, "events").write_text("half")
        with contextlib.suppress(PermissionError):  # in a container it is not ours
            Path(base_model).with_suffix(".pid").write_text(str(os.getpid()))
        optimizer = optimizers.read(optimizer_config.path)
        steps = optimizer.schedule.num_train_steps
        progress = runtime.Progress("finetune", steps, "steps")
        for done in range(steps):
            progress.update(done + 1, detail="loss 0.5")
            time.sleep(seconds_per_step)
        if trouble == "internal":
            raise ValueError("the weights are made of cheese")
        if trouble == "input":
            raise InputError("it diverged", where="here", remedy="a lower --learning-rate")
        if trouble == "killed":
            os.kill(os.getpid(), 9)
        manifest = artifact.ModelManifest(
            task="toy",
            problem_type="single_label",
            label_names=["a", "b"],
            max_length=8,
            base_model=base_model,
            dataset="toy",
            num_train_examples=3,
            batch_size=2,
            gradient_accumulation_steps=1,
            num_train_epochs=1,
            steps_per_epoch=2,
            num_train_steps=steps,
            updates_done=1,
            stopped_at=artifact.StoppedAt(step=1, reason="a test"),
            optimizer=optimizer,
            seed=1,
            validation_metrics={"accuracy": 0.5},
            environment={"precision": "toy", "devices": 1},
        )
        artifact.write(model.path, manifest)


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def evaluate(
    tokenized_dataset: dsl.Input[dsl.Dataset],
    model: dsl.Input[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
    metrics_json: dsl.Output[dsl.Artifact],
    report: dsl.Output[dsl.HTML],
):
    from pathlib import Path

    from kfp_finetune.components import runtime
    from kfp_finetune.components.artifacts import metrics as module

    with runtime.step("evaluate"):
        found = module.Metrics(
            split="test",
            num_examples=3,
            metrics={"accuracy": 0.75, "loss": 0.5},
            per_class=[],
            confusion_matrix=[],
            label_names=[],
        )
        module.write(metrics_json.path, found)
        metrics.log_metric("accuracy", 0.75)
        Path(report.path).write_text("<p>report</p>")


@dsl.pipeline(name="finetune")
def toy(
    dataset: str,
    model: str,
    text_column: str = "",
    max_length: int = 128,
    batch_size: int = 2,
    max_steps: int = 0,
    learning_rate: float = 5e-5,
    seconds_per_step: float = 0.0,
    trouble: str = "",
    shout: bool = False,
    dataset_fingerprint: str = "",
    model_fingerprint: str = "",
):
    """The toy.

    Args:
        dataset: The data [in brackets].
        learning_rate: The peak.
    """
    loaded = load_data(
        dataset=dataset,
        model=model,
        text_column=text_column,
        max_length=max_length,
        dataset_fingerprint=dataset_fingerprint,
        model_fingerprint=model_fingerprint,
    )
    counted = count_steps(
        num_train_examples=loaded.outputs["num_train_examples"],
        batch_size=batch_size,
        max_steps=max_steps,
    )
    built = build_optimizer(
        num_train_steps=counted.outputs["num_train_steps"], learning_rate=learning_rate
    )
    trained = finetune(
        tokenized_dataset=loaded.outputs["tokenized_dataset"],
        optimizer_config=built.outputs["optimizer_config"],
        base_model=model,
        seconds_per_step=seconds_per_step,
        trouble=trouble,
    )
    evaluate(tokenized_dataset=loaded.outputs["tokenized_dataset"], model=trained.outputs["model"])
