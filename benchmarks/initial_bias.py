"""What does it gain that a new head starts with the frequencies of the labels, not with zeros?

    python benchmarks/initial_bias.py SOURCE MODEL [--sets banking77,stsb] [--rows 3000]
        [--layers 3] [--seeds 1,2] [--epochs 10] [--results build/learning_rates.jsonl]

Trains every dataset twice with the default rate of the model's size. The options and the file of
results are those of learning_rates.py: what it has trained is not trained again.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
from pathlib import Path

from learning_rates import Bench, Study, default_rate, parse_arguments, text, with_layers

# The names of the results by `--initial-bias`.
RATES = {"zeros": "rate_from_zeros", "labels": "rate"}


def main() -> None:
    """Run what is missing, and print the table."""
    given = parse_arguments(layers="3")
    rate = default_rate(given.model)
    print("| set | layers | seed | zeros | labels |\n|---|---|---|---:|---:|")
    for seed in given.seeds.split(","):
        for layers in given.layers.split(","):
            for name in given.sets.split(","):
                study = Study(name, int(layers), int(seed), given.rows, given.epochs, given.results)
                if not given.table:
                    train(study, rate, given.source, given.model)
                found = [study.find(**{key: rate}) for key in RATES.values()]
                scores = [text(record and 100 * record["score"]) for record in found]
                print("| " + " | ".join([name, layers, seed, *scores]) + " |", flush=True)


def train(study: Study, rate: float, source: Path, model: Path) -> None:
    """Train what is missing of one dataset and seed."""
    missing = {b: key for b, key in RATES.items() if study.find(**{key: rate}) is None}
    if not missing:
        return
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        work = Path(folder)
        bench = Bench(study, source, with_layers(model, study.layers, work / "base"), work)
        bench.prepare()
        for bias, key in missing.items():
            study.add({key: rate}, bench.rate(rate, bias))


if __name__ == "__main__":
    main()
