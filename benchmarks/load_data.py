"""Speed and memory of load_data by number of rows.

    python benchmarks/load_data.py MODEL [ROWS ...]        (50000 500000 5000000 if none are given)

Every size runs in a separate process on generated rows of about 200 bytes. In that process
load_data and plain `tokenizers.encode_batch` alternate on the same texts, three times each (once
above half a million rows); medians are reported. Prints one JSON object per size.

    step      all of load_data: read twice, check, split, tokenize, write; the first round also
              imports everything, so its seconds are reported too
    pass      its last part: read, tokenize, write
    alone     the calls of encode_batch on the first half a million rows, truncated at the same
              length, in batches of 5,000 texts; reading them is not counted
    cpu       seconds of all processors, user and system, which depend less on other work on the
              machine than elapsed time does
"""

from __future__ import annotations

import csv
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from kfp_finetune.components.runtime import available_cpus, processor

SIZES = (50_000, 500_000, 5_000_000)
_SAMPLE = Path(__file__).parents[1] / "pipelines" / "finetune" / "sample" / "messages.csv"
_COMPARED = 500_000
_TURNS = 3
_TEXTS_PER_CALL = 5_000


def generate(path: Path, rows: int) -> None:
    """Write rows of 10 to 60 words from the bundled sample, with one of 20 labels."""
    with _SAMPLE.open(encoding="utf-8", newline="") as file:
        words = [word for row in csv.DictReader(file) for word in row["text"].split()]
    made = random.Random(0)  # noqa: S311
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for _ in range(rows):
            start = made.randrange(len(words) - 60)
            text = " ".join(words[start : start + made.randint(10, 60)])
            writer.writerow([f"{made.randrange(10**9)} {text}", f"label {made.randrange(20)}"])


class Clock:
    """Sums the elapsed time and the processor time of calls."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.cpu_seconds = 0.0

    def time(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """Call the function."""
        used, started = os.times(), time.monotonic()
        result = call(*arguments)
        self.seconds += time.monotonic() - started
        now = os.times()
        self.cpu_seconds += now.user + now.system - used.user - used.system
        return result


def run_step(path: str, model: str) -> tuple[Clock, Clock]:
    """Run load_data; return its times and those of its last part."""
    whole, last = Clock(), Clock()

    def step() -> None:
        from kfp_finetune.components.load_data.dataset import load_data
        from kfp_finetune.components.load_data.parameters import Parameters
        from kfp_finetune.components.load_data.writing import DatasetWriter

        write = DatasetWriter.write
        DatasetWriter.write = lambda *given: last.time(write, *given)  # type: ignore[method-assign]
        parameters = Parameters(dataset=path, model=model)
        try:
            load_data(parameters, f"{folder}/tokenized", f"{folder}/data.html")
        finally:
            DatasetWriter.write = write  # type: ignore[method-assign]

    with tempfile.TemporaryDirectory() as folder:
        whole.time(step)
    return whole, last


def run_alone(path: str, model: str) -> Clock:
    """Only encode the same texts."""
    from kfp_finetune.components.load_data import pretrained

    backend = pretrained.load_tokenizer(Path(model)).backend_tokenizer
    backend.no_padding()
    backend.enable_truncation(128)
    clock = Clock()
    with Path(path).open(encoding="utf-8", newline="") as file:
        texts: Iterator[str] = (row[0] for row in islice(csv.reader(file), 1, _COMPARED + 1))
        while batch := list(islice(texts, _TEXTS_PER_CALL)):
            clock.time(backend.encode_batch, batch)
    return clock


def measure(path: str, model: str, rows: int) -> dict[str, object]:
    """Alternate between load_data and the plain tokenizer."""
    turns = []
    for _ in range(_TURNS if rows <= _COMPARED else 1):
        step, last = run_step(path, model)
        if not turns:  # before encode_batch, which takes more memory
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        alone = run_alone(path, model)
        compared = min(rows, _COMPARED)
        turns.append(
            {
                "step_seconds": step.seconds,
                "step_rows_per_second": rows / step.seconds,
                "pass_rows_per_second": rows / last.seconds,
                "alone_rows_per_second": compared / alone.seconds,
                "step_of_alone": rows / step.seconds * alone.seconds / compared,
                "pass_of_alone": rows / last.seconds * alone.seconds / compared,
                "step_cpu_microseconds_per_row": 1e6 * step.cpu_seconds / rows,
                "pass_cpu_microseconds_per_row": 1e6 * last.cpu_seconds / rows,
                "alone_cpu_microseconds_per_row": 1e6 * alone.cpu_seconds / compared,
            }
        )
    medians = {name: statistics.median(turn[name] for turn in turns) for name in turns[0]}
    return {
        "rows": rows,
        "bytes": Path(path).stat().st_size,
        **{name: round(value, 2 if "of_alone" in name else 1) for name, value in medians.items()},
        "first_step_seconds": round(turns[0]["step_seconds"], 1),
        "turns_pass_of_alone": [round(turn["pass_of_alone"], 2) for turn in turns],
        "peak_memory_bytes": peak,
    }


def main() -> None:
    """Measure every size in a separate process."""
    if sys.argv[1] == "--measure":
        print("RESULT", json.dumps(measure(sys.argv[2], sys.argv[3], int(sys.argv[4]))))
        return
    model = str(Path(sys.argv[1]).absolute())
    sizes = [int(size) for size in sys.argv[2:]] or SIZES
    smallest = None
    for rows in sizes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "data.csv")
            generate(path, rows)
            command = [sys.executable, __file__, "--measure", str(path), model, str(rows)]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        result = json.loads(output.rpartition("RESULT ")[2])
        smallest = smallest or result
        if rows > smallest["rows"]:
            grown = result["peak_memory_bytes"] - smallest["peak_memory_bytes"]
            result["memory_bytes_per_further_row"] = round(grown / (rows - smallest["rows"]), 1)
        print(json.dumps(result | {"processor": processor(), "cpus": available_cpus()}), flush=True)


if __name__ == "__main__":
    main()
