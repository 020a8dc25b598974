"""kfp-finetune's step finetune, with everything that it does beside: log, checks, evaluation.

python ours.py TRAIN.csv VALIDATION.csv MODEL EPOCHS SEED auto|float32|bf16
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from kfp_finetune.components.artifacts import model as model_artifact
from kfp_finetune.components.artifacts import optimizer_config, tokenized_dataset
from kfp_finetune.components.build_optimizer.parameters import build_optimizer_config
from kfp_finetune.components.finetune import training
from kfp_finetune.components.load_data.dataset import load_data
from kfp_finetune.components.load_data.parameters import Parameters
from kfp_finetune.components.load_data.steps import count_steps


def main() -> None:
    """Train and print what was measured as JSON."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train, validation, checkpoint, epochs, seed, precision = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        data, optimizer, model, logs = (str(Path(folder, name)) for name in "domt")
        parameters = Parameters(
            dataset=train,
            validation_dataset=validation,
            test_dataset=validation,
            model=checkpoint,
            text_column="text",
            label_column="label",
            problem_type="single_label_classification",
        )
        load_data(parameters, data, str(Path(folder, "data.html")))
        rows = tokenized_dataset.read(data).splits["train"].rows
        tokens = tokenized_dataset.open_split(data, "train")["input_ids"].combine_chunks()
        steps = count_steps(rows, 32, int(epochs)).num_train_steps
        optimizer_config.write(optimizer, build_optimizer_config(steps))
        manifest = training.finetune(
            tokenized_dataset_path=data,
            optimizer_config_path=optimizer,
            base_model=checkpoint,
            batch_size=32,
            num_train_epochs=int(epochs),
            seed=int(seed),
            precision=precision,
            model_path=model,
            tensorboard_logs_path=logs,
        )
        events = EventAccumulator(logs, {"tensors": 0}).Reload().Tensors("train/loss")
        losses = [r["loss"] for r in model_artifact.read_training_log(model) if "loss" in r]
    last = losses[-len(losses) // int(epochs) :]
    print(
        json.dumps(
            {
                "ended": [event.wall_time for event in events],
                "loss": sum(last) / len(last),
                "accuracy": manifest.validation_metrics["accuracy"],
                "tokens_per_example": len(tokens.values) / rows,
                "precision": manifest.environment["precision"],
            }
        )
    )


if __name__ == "__main__":
    main()
