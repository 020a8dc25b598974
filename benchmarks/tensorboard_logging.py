"""The share of training time that TensorBoard's curves take.

    python benchmarks/tensorboard_logging.py RUN       # a run's folder, with the data to train on

Runs the training of `finetune` and sums the time spent in its log: reading the step log from the
device, creating the events, and waiting until they are written.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from kfp_finetune.components.finetune import training
from kfp_finetune.components.finetune.parameters import Parameters
from kfp_finetune.components.finetune.training_log import TrainingLog


def main() -> None:
    """Train and print the share."""
    run = Path(sys.argv[1])
    parameters = json.loads((run / "run.json").read_text())["parameters"]
    spent = {"write": 0.0, "fit": 0.0}

    def timed(name: str, function: Any) -> Any:
        def call(*given: Any, **named: Any) -> Any:
            began = time.perf_counter()
            try:
                return function(*given, **named)
            finally:
                spent[name] += time.perf_counter() - began

        return call

    TrainingLog.write = timed("write", TrainingLog.write)  # type: ignore[method-assign]
    training.fit = timed("fit", training.fit)
    with tempfile.TemporaryDirectory() as work:
        names = ("batch_size", "num_train_epochs", "max_steps", "seed")
        manifest = training.finetune(
            Parameters(
                base_model=parameters["model"], **{name: parameters[name] for name in names}
            ),
            tokenized_dataset_path=str(run / "steps" / "load_data" / "tokenized_dataset"),
            optimizer_config_path=str(run / "steps" / "build_optimizer" / "optimizer_config"),
            model_path=f"{work}/model",
            tensorboard_logs_path=f"{work}/logs",
        )
    print(
        f"{manifest.updates_done:,} steps in {spent['fit']:.1f} s, of which"
        f" {spent['write']:.3f} s ({spent['write'] / spent['fit']:.2%}) for the log:"
        f" {spent['write'] / manifest.updates_done * 1e6:.0f} µs per step"
    )


if __name__ == "__main__":
    main()
