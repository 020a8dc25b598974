"""kfp-finetune's pipeline step finetune, including its log, checks and evaluation.

python ours.py TRAIN.csv VALIDATION.csv MODEL EPOCHS SEED auto|float32|bfloat16
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from kfp_finetune.components.artifacts import model as model_artifact
from kfp_finetune.components.artifacts import optimizer_config, tokenized_dataset
from kfp_finetune.components.build_optimizer.parameters import build_optimizer_config
from kfp_finetune.components.finetune import parameters as finetune_parameters
from kfp_finetune.components.finetune import training
from kfp_finetune.components.load_data.dataset import load_data
from kfp_finetune.components.load_data.parameters import Parameters
from kfp_finetune.components.load_data.steps import count_steps

BATCH_SIZE = 32


def main() -> None:
    """Train, and print the measurements as JSON."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train, validation, checkpoint, epochs, seed, precision = sys.argv[1:]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tokens = prepare(folder, train, validation, checkpoint, float(epochs))
        manifest = finetune(folder, checkpoint, float(epochs), int(seed), precision)
        events = EventAccumulator(str(folder / "logs"), {"tensors": 0}).Reload()
        ended = [event.wall_time for event in events.Tensors("train/loss")]
        log = model_artifact.read_training_log(str(folder / "model"))
        losses = [record["loss"] for record in log if "loss" in record]
    last = losses[-manifest.steps_per_epoch :]
    print(
        json.dumps(
            {
                "ended": ended,
                "loss": sum(last) / len(last),
                "accuracy": manifest.validation_metrics["accuracy"],
                "tokens_per_example": tokens,
                "precision": manifest.environment["precision"],
            }
        )
    )


def prepare(
    folder: Path, train: str, validation: str, checkpoint: str, epochs: float, max_length: int = 128
) -> float:
    """Create the inputs of finetune; return the mean number of tokens per training example."""
    data = str(folder / "data")
    parameters = Parameters(
        dataset=train,
        validation_dataset=validation,
        test_dataset=validation,
        model=checkpoint,
        max_length=max_length,
        text_column="text",
        label_column="label",
        problem_type="single_label_classification",
    )
    load_data(parameters, data, str(folder / "data.html"))
    rows = tokenized_dataset.read(data).splits["train"].rows
    steps = count_steps(rows, BATCH_SIZE, epochs).num_train_steps
    optimizer_config.write(str(folder / "optimizer"), build_optimizer_config(steps))
    tokens = tokenized_dataset.open_split(data, "train")["input_ids"].combine_chunks().values
    return len(tokens) / rows


def finetune(folder: Path, checkpoint: str, epochs: float, seed: int, precision: str) -> Any:
    """Train on the inputs from `prepare`, and return the model's manifest."""
    parameters = finetune_parameters.Parameters(
        base_model=checkpoint,
        batch_size=BATCH_SIZE,
        num_train_epochs=epochs,
        seed=seed,
        precision=precision,
        initial_bias="zeros",  # as the course and the trainer start
    )
    return training.finetune(
        parameters,
        tokenized_dataset_path=str(folder / "data"),
        optimizer_config_path=str(folder / "optimizer"),
        model_path=str(folder / "model"),
        tensorboard_logs_path=str(folder / "logs"),
    )


if __name__ == "__main__":
    main()
