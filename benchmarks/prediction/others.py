"""Predict with an exported model in PyTorch or ONNX Runtime; prints rows per second.

python others.py MODEL float32|bfloat16|onnx TEXTS
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from transformers import AutoTokenizer

WINDOW, BATCH = 1024, 64


def main() -> None:
    """Load, warm up, measure."""
    folder, kind, texts = sys.argv[1], sys.argv[2], Path(sys.argv[3]).read_text().splitlines()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    logits_of = onnx(folder) if kind == "onnx" else torch(folder, kind == "bfloat16")
    for _ in range(2):
        began = time.perf_counter()
        answers = predict(texts, tokenizer, logits_of)
        seconds = time.perf_counter() - began
    assert np.isfinite(answers).all()
    print(len(texts) / seconds)


def predict(texts: list[str], tokenizer: Any, logits_of: Callable[..., Any]) -> np.ndarray:
    """The probabilities of all texts, in order."""
    found: list[Any] = [None] * len(texts)
    for start in range(0, len(texts), WINDOW):
        encoded = tokenizer(texts[start : start + WINDOW], truncation=True, max_length=128)
        order = np.argsort([len(ids) for ids in encoded["input_ids"]], kind="stable")
        for at in range(0, len(order), BATCH):
            rows = order[at : at + BATCH]
            part = {name: [values[row] for row in rows] for name, values in encoded.items()}
            batch = tokenizer.pad(part, return_tensors="np")
            for row, logits in zip(rows, logits_of(batch), strict=True):
                exponentials = np.exp(logits - logits.max())
                found[start + row] = exponentials / exponentials.sum()
    return np.array(found)


def torch(folder: str, bfloat16: bool) -> Callable[..., Any]:
    """The model in PyTorch, optionally with matrix products in bfloat16."""
    import torch
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()

    def logits_of(batch: Any) -> Any:
        inputs = {name: torch.from_numpy(np.asarray(value)) for name, value in batch.items()}
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            return model(**inputs).logits.float().numpy()

    return logits_of


def onnx(folder: str) -> Callable[..., Any]:
    """The model in ONNX Runtime."""
    import onnxruntime

    session = onnxruntime.InferenceSession(f"{folder}/model.onnx")
    names = [given.name for given in session.get_inputs()]

    def logits_of(batch: Any) -> Any:
        return session.run(["logits"], {n: np.asarray(batch[n], np.int64) for n in names})[0]

    return logits_of


if __name__ == "__main__":
    main()
