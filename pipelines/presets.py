"""Named settings of the pipeline finetune, for `--preset`."""

from __future__ import annotations

from typing import Any

from kfp_finetune.components.chosen import LEARNING_RATE, MAX_LENGTH, NUM_TRAIN_EPOCHS

PRESETS: dict[str, dict[str, Any]] = {
    # The Hugging Face course, chapter 3, with every value that shapes its schedule, and its head.
    "course": {
        "max_length": MAX_LENGTH,
        "num_train_epochs": float(NUM_TRAIN_EPOCHS),
        "optimizer": "adam",
        "learning_rate": LEARNING_RATE,
        "lr_scheduler_type": "polynomial",
        "power": 1.0,
        "end_learning_rate": 0.0,
        "warmup_ratio": 0.0,
        "warmup_steps": 0,
        "initial_bias": "zeros",
    },
}
