"""The code of the Hugging Face course (chapter 3, fine-tuning with Keras).

    python course.py TRAIN.csv VALIDATION.csv MODEL EPOCHS SEED

`prepare_tf_dataset` with padding to the longest row of a batch, tf_keras' Adam with a polynomial
decay to 0, `compile`, `fit`. It runs in a separate environment with tensorflow, tf-keras, datasets
and transformers 4.57.6, the last version with TensorFlow classes.
"""

from __future__ import annotations

import json
import os
import sys
import time

os.environ["TF_USE_LEGACY_KERAS"] = "1"

import datasets
import tf_keras
from safetensors import safe_open
from transformers import (
    AutoConfig,
    AutoTokenizer,
    DataCollatorWithPadding,
    TFAutoModelForSequenceClassification,
)
from transformers.modeling_tf_pytorch_utils import load_pytorch_state_dict_in_tf2_model


class Archive(dict):
    """Weights that 4.57.6 can iterate over, unlike `safe_open` (transformers#40028)."""

    get_tensor = dict.__getitem__


class Times(tf_keras.callbacks.Callback):
    """Records the time at the end of each step."""

    def __init__(self) -> None:
        super().__init__()
        self.ended: list[float] = []

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        """Record the end of a step."""
        self.ended.append(time.perf_counter())


def main() -> None:
    """Train, and print the measurements as JSON."""
    train, validation, checkpoint, epochs, seed = sys.argv[1:]
    tf_keras.utils.set_random_seed(int(seed))
    raw = datasets.load_dataset("csv", data_files={"train": train, "validation": validation})
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    tokenized = raw.map(
        lambda rows: tokenizer(rows["text"], truncation=True, max_length=128), batched=True
    ).remove_columns("text")
    config = AutoConfig.from_pretrained(checkpoint, num_labels=77)
    model = TFAutoModelForSequenceClassification.from_config(config)
    model.build_in_name_scope()
    with safe_open(f"{checkpoint}/model.safetensors", framework="tf") as file:
        names = file.keys()
        archive = Archive((name, file.get_tensor(name)) for name in names)
    load_pytorch_state_dict_in_tf2_model(model, archive, tf_inputs=False, allow_missing_keys=True)

    collator = DataCollatorWithPadding(tokenizer, return_tensors="np")
    train_set = model.prepare_tf_dataset(
        tokenized["train"], batch_size=32, shuffle=True, collate_fn=collator
    )
    validation_set = model.prepare_tf_dataset(
        tokenized["validation"], batch_size=32, shuffle=False, collate_fn=collator
    )
    num_train_steps = len(train_set) * int(epochs)
    schedule = tf_keras.optimizers.schedules.PolynomialDecay(
        initial_learning_rate=5e-5, end_learning_rate=0.0, decay_steps=num_train_steps
    )
    model.compile(
        optimizer=tf_keras.optimizers.Adam(learning_rate=schedule),
        loss=tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    times = Times()
    fitted = model.fit(train_set, epochs=int(epochs), callbacks=[times], verbose=0)
    print(
        json.dumps(
            {
                "ended": times.ended,
                "loss": fitted.history["loss"][-1],
                "accuracy": model.evaluate(validation_set, verbose=0)[1],
            }
        )
    )


if __name__ == "__main__":
    main()
