"""How many epochs does little data need? The score by the number of epochs, at the default rate.

    python benchmarks/epochs.py SOURCE MODEL [--sets clinc150 emotion] [--rows 600]
        [--epochs 10 20 40] [-o RESULTS]

Trains a copy of the model that is cut to two layers, as ten_bad_starts.py does. Every training is
written to RESULTS as soon as it ends; started again, the script continues from there.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from data_sets import DATA_SETS
from ten_bad_starts import LAYERS, ROWS, Bench, cut_model, read_results, train_once


def main() -> None:
    """Train what is missing, and print a table for every set."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--sets", nargs="+", choices=DATA_SETS, default=["clinc150", "emotion"])
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--epochs", nargs="+", type=int, default=[10, 20, 40])
    parser.add_argument("-o", "--output", type=Path, default=Path("epochs.jsonl"))
    given = parser.parse_args()
    done = read_results(given.output)
    from kfp_finetune.components import quiet
    from kfp_finetune.components.chosen import choose_learning_rate, choose_num_train_epochs

    quiet.import_tensorflow()
    with tempfile.TemporaryDirectory() as temporary:
        model = Path(temporary, f"{LAYERS}-layers")
        cut_model(given.model, model, LAYERS)
        for name in given.sets:
            bench = Bench(name, given.source, model, Path(temporary, name), given.rows)
            rate = choose_learning_rate(bench.manifest.hidden_size)
            labels, rows = len(bench.manifest.label_names), bench.manifest.splits["train"].rows
            default = choose_num_train_epochs(rows, labels)
            print(f"{name}: {rows} rows, {labels} labels, default {default} epochs", flush=True)
            for epochs in given.epochs:
                settings = {"learning_rate": rate, "num_train_epochs": float(epochs)}
                trained = train_once(bench, settings, "", done, given.output)
                score = trained["metrics"]["metrics"][DATA_SETS[name].metric]
                print(f"| {name} | {epochs} | {score:.1%} | {trained['seconds']} s |", flush=True)


if __name__ == "__main__":
    main()
