"""The time of a step by kind of operation.

    python benchmarks/training/profile_update.py [TOKENS ...]

Profiles finetune with TensorFlow's profiler from the 20th step to the 40th. Each step has 32
rows of TOKENS tokens (by default 16 and 128), joined from several texts of BANKING77.
"""

from __future__ import annotations

import csv
import re
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from bench import CHECKPOINT, split
from ours import BATCH_SIZE, finetune, prepare

from kfp_finetune.components.finetune import training

FIRST, LAST = 20, 40
# The kind of an operation: the first pattern that its type, or its name and type, matches.
KINDS = {
    "matrix products": r".*:_?(Mkl)?(Batch)?MatMul(V2)?",
    "optimizer": r".*:ResourceApply\w+",
    "casts": r".*:Cast",
    "GELU": r".*(gelu|/intermediate/(mul|add|Erf)).*",
    "layer normalization": r".*(LayerNorm|layer_norm).*",
    "dropout": r".*dropout.*|.*:(\w*Random\w*|Bitcast|GreaterEqual|SelectV2)",
    "softmax": r".*:\w*Softmax\w*",
    "gradients of biases": r".*:BiasAddGrad",
    "norm of the gradient": r".*:L2Loss",
    "moves": r".*:(\w*Transpose|Gather\w*|Concat\w*|\w*Slice|Pack|Tile|Fill|\w*Segment\w*)",
    "other element-wise operations": r".*:(Add\w*|Sub|Mul|BiasAdd|Sum|Mean|Square|Neg|RealDiv)",
}


def main() -> None:
    """Print a table for every width."""
    for width in map(int, sys.argv[1:] or ("16", "128")):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            files = _full_rows(folder, width)
            prepare(folder, *files, CHECKPOINT, 1, max_length=width)
            seconds = _profiled(folder)
            kinds = _by_kind(next(folder.glob("**/*.xplane.pb")), LAST - FIRST)
        print(
            f"32 × {width} tokens: {1000 * seconds:.0f} ms per step; CPU-ms by kind of operation:"
        )
        for kind, spent in kinds.most_common():
            print(f"  {spent:7.1f}  {kind}")


def _full_rows(folder: Path, width: int) -> tuple[str, str]:
    """BANKING77 with enough texts joined per row that each row is truncated at the width."""
    paths = split(folder, (LAST + 10) * BATCH_SIZE, BATCH_SIZE)
    for path in paths:
        rows = list(csv.DictReader(path.open(newline="", encoding="utf-8")))
        texts = [row["text"] for row in rows]
        joined = -(-width // 4)
        with path.open("w", newline="", encoding="utf-8") as file:
            out = csv.writer(file)
            out.writerow(["text", "label"])
            for i, row in enumerate(rows):
                out.writerow([" ".join((texts + texts)[i : i + joined]), row["label"]])
    return str(paths[0]), str(paths[1])


def _profiled(folder: Path) -> float:
    """Train with the profiler; return the seconds per step in the 10 steps before it starts."""
    import keras
    import tensorflow as tf

    times: list[float] = []

    class Profile(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            times.append(time.perf_counter())
            if batch + 1 == FIRST:
                tf.profiler.experimental.start(str(folder / "profile"))
            if batch + 1 == LAST:
                tf.profiler.experimental.stop()

    fit = training.fit
    training.fit = lambda *given: fit(*given[:-1], [*given[-1], Profile()])  # type: ignore[assignment]
    try:
        finetune(folder, CHECKPOINT, 1, 1, "auto")
    finally:
        training.fit = fit
    return (times[FIRST - 1] - times[FIRST - 11]) / 10


def _by_kind(path: Path, updates: int) -> Counter[str]:
    """CPU-milliseconds per step by kind of operation, from the executor's threads."""
    from tensorflow.tsl.profiler.protobuf.xplane_pb2 import XSpace

    spent: Counter[str] = Counter()
    for plane in XSpace.FromString(path.read_bytes()).planes:
        names = {key: entry.name for key, entry in plane.event_metadata.items()}
        for event in (event for line in plane.lines for event in line.events):
            name = names[event.metadata_id]
            if re.fullmatch(r"[^:]+:\w+", name):  # NAME:TYPE; other events contain operations
                matches = (kind for kind, pattern in KINDS.items() if re.fullmatch(pattern, name))
                spent[next(matches, "all else")] += event.duration_ps / 1e9 / updates
    return spent


if __name__ == "__main__":
    main()
