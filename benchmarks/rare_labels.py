"""What do class weights and the focal loss do to rare labels?

    python benchmarks/rare_labels.py SOURCE MODEL [--sets sms_spam,emotion]
        [--rows 1500] [--epochs 3] [--seeds 1] [--results build/rare_labels.jsonl] [--table]

SOURCE is the folder that data_sets.py describes, MODEL a folder with all-MiniLM-L6-v2. Every set is
trained with the plain loss, with balanced class weights, with the focal loss, and with both. Rare
labels have fewer than half as many training rows as the labels have on average. Each result is
appended to the file of results at once: started again, the study continues, and with --table it
only prints its table.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import statistics
import tempfile
from itertools import product
from pathlib import Path
from typing import Any

from data_sets import DATA_SETS

LOSSES: dict[str, dict[str, Any]] = {
    "plain": {},
    "balanced": {"class_weights": "balanced"},
    "focal, γ = 2": {"focal_gamma": 2.0},
    "balanced, focal": {"class_weights": "balanced", "focal_gamma": 2.0},
}
SETS = "sms_spam,emotion,stance_climate,goemotions"
TEST_ROWS = 1000
HEAD = (
    "set",
    "loss",
    "accuracy or micro-F1",
    "macro-F1",
    "rare labels",
    "their recall",
    "their F1",
)


def train(data: Path, model: Path, work: Path, seed: int, epochs: int, loss: dict[str, Any]) -> Any:
    """Train with the default rate, decaying to 0, and score the test split."""
    from kfp_finetune.components.artifacts import optimizer_config, tokenized_dataset
    from kfp_finetune.components.build_optimizer.parameters import build_optimizer_config
    from kfp_finetune.components.evaluate.evaluation import evaluate
    from kfp_finetune.components.finetune import parameters, training
    from kfp_finetune.components.load_data.steps import count_steps

    manifest = tokenized_dataset.read(data)
    steps = count_steps(manifest.splits["train"].rows, 32, epochs).num_train_steps
    config = build_optimizer_config(steps, manifest.hidden_size)
    optimizer_config.write(str(work / "optimizer"), config)
    training.finetune(
        parameters.Parameters(base_model=str(model), num_train_epochs=epochs, seed=seed, **loss),
        tokenized_dataset_path=str(data),
        optimizer_config_path=str(work / "optimizer"),
        model_path=str(work / "model"),
        tensorboard_logs_path=str(work / "logs"),
    )
    return evaluate(
        tokenized_dataset_path=str(data),
        model_path=str(work / "model"),
        metrics_path=str(work / "metrics.json"),
        report_path=str(work / "report.html"),
    )


def rare_of(data: Path) -> list[str]:
    """The labels with fewer than half as many training rows as the labels have on average."""
    import numpy as np

    from kfp_finetune.components.artifacts import tokenized_dataset

    names = tokenized_dataset.read(data).label_names
    column = tokenized_dataset.open_split(data, "train")["label"].combine_chunks()
    ids = column.flatten().to_numpy() if hasattr(column, "offsets") else column.to_numpy()
    counts = np.bincount(ids, minlength=len(names))
    return [name for name, count in zip(names, counts, strict=True) if count < counts.mean() / 2]


def run(name: str, given: argparse.Namespace, known: list[dict[str, Any]]) -> None:
    """Train what is missing of one set."""
    from kfp_finetune.components.load_data.dataset import load_data
    from kfp_finetune.components.load_data.parameters import Parameters

    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        for seed, loss in product(map(int, given.seeds.split(",")), LOSSES):
            key = {"set": name, "loss": loss, "seed": seed}
            key |= {"rows": given.rows, "epochs": given.epochs}
            if any(key.items() <= record.items() for record in known):
                continue
            data, out = work / "data", work / f"{seed} {loss}"
            with contextlib.redirect_stdout(io.StringIO()):
                if not data.exists():
                    more = DATA_SETS[name].write(given.source, work, given.rows, TEST_ROWS)
                    load_data(
                        Parameters(model=str(given.model), **more), str(data), f"{work}/data.html"
                    )
                metrics = train(data, given.model, out, seed, given.epochs, LOSSES[loss])
            rare = [one for one in metrics.per_class if one.label in rare_of(data) and one.support]
            result = {
                "metrics": metrics.metrics,
                "rare": len(rare),
                "recall": statistics.mean(one.recall for one in rare),
                "f1": statistics.mean(one.f1 for one in rare),
            }
            with given.results.open("a", encoding="utf-8") as file:
                file.write(json.dumps(key | result) + "\n")
            print("#", name, loss, seed, round(result["f1"], 3), flush=True)


def table(records: list[dict[str, Any]], given: argparse.Namespace) -> str:
    """The means over seeds, in percent."""
    lines = ["| " + " | ".join(HEAD) + " |", "|---|---|" + "---:|" * (len(HEAD) - 2)]
    for name, loss in product(given.sets.split(","), LOSSES):
        key = {"set": name, "loss": loss, "rows": given.rows, "epochs": given.epochs}
        found = [record for record in records if key.items() <= record.items()]
        if not found:
            continue
        headline = "accuracy" if "accuracy" in found[0]["metrics"] else "micro_f1"
        columns = (
            [record["metrics"][headline] for record in found],
            [record["metrics"]["macro_f1"] for record in found],
            [record["recall"] for record in found],
            [record["f1"] for record in found],
        )
        first, macro, recall, f1 = (f"{100 * statistics.mean(values):.1f}" for values in columns)
        cells = (name, loss, first, macro, str(found[0]["rare"]), recall, f1)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def read(results: Path) -> list[dict[str, Any]]:
    """The results that are known."""
    lines = results.read_text("utf-8").splitlines() if results.exists() else []
    return [json.loads(line) for line in lines]


def main() -> None:
    """Run what is missing of the study, and print its table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("source", type=Path, help="folder of the datasets")
    parser.add_argument("model", type=Path, help="folder of the base model")
    parser.add_argument("--sets", default=SETS)
    parser.add_argument("--rows", type=int, default=1500)
    parser.add_argument("--epochs", type=float, default=3)
    parser.add_argument("--seeds", default="1")
    parser.add_argument("--results", type=Path, default=Path("build/rare_labels.jsonl"))
    parser.add_argument("--table", action="store_true", help="only print the table")
    given = parser.parse_args()
    given.results.parent.mkdir(parents=True, exist_ok=True)
    if not given.table:
        for name in given.sets.split(","):
            run(name, given, read(given.results))
    print(table(read(given.results), given))


if __name__ == "__main__":
    main()
