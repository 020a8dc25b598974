"""The memory of scoring with tens of thousands of labels.

    python benchmarks/many_labels.py [LABELS [ROWS]]

Random logits replace a model, so that only evaluate's own work is measured: metrics with their
intervals, slices and mistakes, and metrics.json.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa

from kfp_finetune.components.artifacts import metrics as metrics_artifact
from kfp_finetune.components.tasks.predictions import Predictions
from kfp_finetune.components.tasks.scores.pieces import new_logits, release
from kfp_finetune.components.tasks.text_classification.problem_types import SINGLE_LABEL
from kfp_finetune.components.tasks.text_classification.task import TASK

_AT_ONCE = 500


def main(kinds: int = 20_000, rows: int = 60_000) -> None:
    """Score random outputs and print time, memory and the size of metrics.json."""
    random = np.random.default_rng(0)
    labels = random.integers(0, kinds, rows)
    logits = new_logits(rows, kinds)
    for start in range(0, rows, _AT_ONCE):
        part = labels[start : start + _AT_ONCE]
        logits[start : start + _AT_ONCE] = random.standard_normal((len(part), kinds), np.float32)
        logits[np.arange(start, start + len(part)), part] += 3
        release(logits)
    table = pa.table({"row": np.arange(rows), "text": [f"text {i}" for i in range(rows)]})
    predictions = Predictions(table, labels, logits, random.integers(3, 30, rows))
    model: Any = SimpleNamespace(
        problem_type=SINGLE_LABEL,
        label_names=[f"label {i}" for i in range(kinds)],
        temperature=1.2,
        thresholds=None,
    )
    data: Any = SimpleNamespace(slice_columns=[], max_length=32)
    start_time = time.monotonic()
    found = TASK.score(predictions, table, model, data, "test", with_texts=True)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "metrics.json")
        metrics_artifact.write(path, found)
        size = path.stat().st_size
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    print(f"{kinds:,} labels, {rows:,} rows: {time.monotonic() - start_time:.0f} s")
    print(f"peak {peak:.1f} GiB, metrics.json {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
