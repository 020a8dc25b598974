"""Hugging Face Trainer on PyTorch.

    python trainer.py TRAIN.csv VALIDATION.csv MODEL EPOCHS SEED float32|bf16|bf16-grouped|...

It runs in a separate environment with current versions of torch, transformers, datasets and
accelerate.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from importlib.metadata import version

import datasets
import torch
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)


class Times(TrainerCallback):
    """Records the time at the end of each step."""

    def __init__(self) -> None:
        self.ended: list[float] = []

    def on_step_end(self, *_: object, **__: object) -> None:
        """Record the end of a step."""
        self.ended.append(time.perf_counter())


def main() -> None:
    """Train, and print the measurements as JSON."""
    train, validation, checkpoint, epochs, seed, how = sys.argv[1:]
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    raw = datasets.load_dataset("csv", data_files={"train": train, "validation": validation})
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    tokenized = raw.map(
        lambda rows: tokenizer(rows["text"], truncation=True, max_length=128), batched=True
    ).remove_columns("text")
    model = AutoModelForSequenceClassification.from_pretrained(checkpoint, num_labels=77)
    times = Times()
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=32,
            per_device_eval_batch_size=32,
            num_train_epochs=int(epochs),
            learning_rate=5e-5,
            lr_scheduler_type="linear",
            seed=int(seed),
            bf16=how.startswith("bf16"),
            train_sampling_strategy="group_by_length" if how.endswith("grouped") else "random",
            use_cpu=True,
            save_strategy="no",
            logging_strategy="epoch",
            report_to="none",
            disable_tqdm=True,
        )
        trainer = Trainer(
            model=model,
            args=arguments,
            train_dataset=tokenized["train"],
            eval_dataset=tokenized["validation"],
            data_collator=DataCollatorWithPadding(tokenizer),
            compute_metrics=lambda p: {
                "accuracy": float((p.predictions.argmax(-1) == p.label_ids).mean())
            },
            callbacks=[times],
        )
        trainer.train()
        accuracy = trainer.evaluate()["eval_accuracy"]
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    print(
        json.dumps(
            {
                "ended": times.ended,
                "loss": losses[-1],
                "accuracy": accuracy,
                "versions": {name: version(name) for name in ("torch", "transformers")},
            }
        )
    )


if __name__ == "__main__":
    main()
