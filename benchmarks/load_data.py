"""How fast load_data is, and how much memory it takes, as the rows grow.

    python benchmarks/load_data.py MODEL [ROWS ...]        (50000 500000 5000000 if none are given)

Every size runs in a process of its own on generated rows of about 200 bytes. Beside load_data, in
the same process and on the same texts, stands what `tokenizers` alone takes to encode them.
Prints one JSON object per size.
"""

from __future__ import annotations

import csv
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from kfp_finetune.components.runtime import available_cpus, processor

SIZES = (50_000, 500_000, 5_000_000)
_SAMPLE = Path(__file__).parents[1] / "pipelines" / "finetune" / "sample" / "messages.csv"
_COMPARED = 500_000


def generate(path: Path, rows: int) -> None:
    """Write rows of words from the bundled sample: 10 to 60 of them, and one of 20 labels."""
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


def measure(path: str, model: str, rows: int) -> dict[str, object]:
    """Run load_data once, then encode the same texts with the tokenizer alone."""
    from kfp_finetune.components.load_data import pretrained
    from kfp_finetune.components.load_data.dataset import load_data
    from kfp_finetune.components.load_data.parameters import Parameters

    with tempfile.TemporaryDirectory() as folder:
        started = time.monotonic()
        load_data(
            Parameters(dataset=path, model=model, on_bad_row="error"),
            f"{folder}/tokenized",
            f"{folder}/data.html",
        )
        seconds = time.monotonic() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    backend = pretrained.load_tokenizer(Path(model)).backend_tokenizer
    backend.no_padding()
    backend.enable_truncation(128)
    encoding = 0.0
    with Path(path).open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        next(reader)
        texts: list[str] = []
        for row in reader:
            texts.append(row[0])
            if len(texts) == 1_000:
                started = time.monotonic()
                backend.encode_batch(texts)
                encoding += time.monotonic() - started
                texts = []
            if reader.line_num > _COMPARED:
                break
    alone = min(rows, _COMPARED) // 1_000 * 1_000 / encoding
    return {
        "rows": rows,
        "bytes": Path(path).stat().st_size,
        "seconds": round(seconds, 1),
        "rows_per_second": round(rows / seconds),
        "encode_batch_alone_rows_per_second": round(alone),
        "share_of_encode_batch": round(rows / seconds / alone, 3),
        "peak_memory_bytes": peak,
    }


def main() -> None:
    """Measure every size in a process of its own."""
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
