"""Ten bad starts, and where the advice leads: every verdict, move by move.

    python benchmarks/ten_bad_starts.py DATA MODEL [--sets banking77 sms_spam ...] [-o RESULTS]

Trains a copy of the model that is cut to two layers on 600 rows, ten times badly, and
follows the advice of each verdict until a run is healthy. Every training is written to RESULTS, a
file of JSON lines, as soon as it ends; started again, the script continues from there. Trainings
with the same settings are made once. DATA is a folder with the sets in their published form.
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

STARTS = (
    (1e-8, 3),
    (1e-7, 50),
    (1e-6, 1),
    (1e-5, 10),
    (5e-5, 3),
    (5e-4, 50),
    (2e-3, 1),
    (1e-2, 10),
    (1.0, 3),
    (10.0, 20),
)
MOST_MOVES = 3
ROWS, TEST_ROWS, LAYERS = 600, 1000, 2
# Parameters of load_data, for each set in its published form.
SETS: dict[str, dict[str, Any]] = {
    "banking77": {
        "dataset": "banking77/banking_data/train.csv",
        "test_dataset": "banking77/banking_data/test.csv",
    },
    "sms_spam": {
        "dataset": "sms_spam/data/sms.tsv",
        "column_names": "label,text",
        "delimiter": "tab",
        "quoting": "none",
    },
    "emotion": {},
    "stsb": {
        "dataset": "stsb/stsb-en-train.csv",
        "validation_dataset": "stsb/stsb-en-dev.csv",
        "test_dataset": "stsb/stsb-en-test.csv",
        "column_names": "text,text_pair,score",
        "label_column": "score",
        "text_column": "text",
        "text_pair_column": "text_pair",
        "problem_type": "regression",
    },
}
# What the advice changes, by the step that takes it.
OF_OPTIMIZER = ("learning_rate", "end_learning_rate", "warmup_ratio", "max_grad_norm")


def cut_model(source: Path, target: Path, layers: int) -> None:
    """Copy a model's folder with its first layers only."""
    from safetensors.numpy import load_file, save_file

    target.mkdir()
    for file in source.iterdir():
        if file.suffix in (".json", ".txt") and file.name != "config.json":
            (target / file.name).write_bytes(file.read_bytes())
    config = json.loads((source / "config.json").read_text())
    config["num_hidden_layers"] = layers
    (target / "config.json").write_text(json.dumps(config))
    weights = load_file(source / "model.safetensors")
    kept = {
        name: tensor
        for name, tensor in weights.items()
        if "layer." not in name or int(name.partition("layer.")[2].partition(".")[0]) < layers
    }
    save_file(kept, target / "model.safetensors", {"format": "pt"})


def parameters_of(name: str, data: Path, folder: Path) -> dict[str, Any]:
    """The parameters of load_data for a set."""
    given = dict(SETS[name])
    if name == "emotion":
        labels = [
            line.split("\t")[1]
            for line in (data / "tweeteval/emotion/mapping.txt").read_text().splitlines()
        ]
        for split, part in (("train", ""), ("val", "validation_"), ("test", "test_")):
            read = [
                (data / f"tweeteval/emotion/{split}_{what}.txt").read_text().splitlines()
                for what in ("text", "labels")
            ]
            with (folder / f"{split}.csv").open("w", newline="") as file:
                rows = csv.writer(file)
                rows.writerow(["text", "label"])
                rows.writerows(
                    (text, labels[int(label)]) for text, label in zip(*read, strict=False)
                )
            given[f"{part}dataset"] = str(folder / f"{split}.csv")
        return given
    for key, value in given.items():
        if key.endswith("dataset"):
            given[key] = str(data / value)
    if "test_dataset" in given:
        has_header = "column_names" not in given
        given["test_dataset"] = thinned(Path(given["test_dataset"]), folder, has_header)
    return given


def thinned(source: Path, folder: Path, has_header: bool) -> str:
    """Evenly spaced rows of a CSV file, as a file in a folder."""
    with source.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    head, rows = (rows[:1], rows[1:]) if has_header else ([], rows)
    with (folder / "test.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(head + rows[:: -(-len(rows) // TEST_ROWS)])
    return str(folder / "test.csv")


class Bench:
    """One set, tokenized once, on which a model is trained again and again."""

    def __init__(self, name: str, data: Path, model: Path, folder: Path) -> None:
        from kfp_finetune.components.load_data.dataset import load_data
        from kfp_finetune.components.load_data.parameters import Parameters

        self.name, self.model, self.folder = name, model, folder
        folder.mkdir()
        self.data = folder / "data"
        self.manifest = load_data(
            Parameters(
                **parameters_of(name, data, folder),
                model=str(model),
                max_train_samples=ROWS,
                max_length=48,
            ),
            str(self.data),
            str(folder / "data.html"),
        )

    def train(self, settings: Mapping[str, Any], tried: str) -> dict[str, Any]:
        """Train and judge once.

        Args:
            settings: Parameters of build_optimizer and finetune.
            tried: The earlier runs, as `evaluate` takes them.
        """
        import keras

        from kfp_finetune.components.artifacts import optimizer_config
        from kfp_finetune.components.build_optimizer.parameters import build_optimizer_config
        from kfp_finetune.components.evaluate.evaluation import evaluate
        from kfp_finetune.components.finetune.parameters import Parameters
        from kfp_finetune.components.finetune.training import finetune
        from kfp_finetune.components.load_data.steps import count_steps

        own = {n: v for n, v in settings.items() if n not in OF_OPTIMIZER}
        parameters = Parameters(base_model=str(self.model), on_divergence="report", **own)
        with tempfile.TemporaryDirectory() as temporary:
            out = Path(temporary)
            plan = count_steps(
                self.manifest.splits["train"].rows,
                batch_size=parameters.batch_size,
                num_train_epochs=parameters.num_train_epochs,
            )
            config = build_optimizer_config(
                plan.num_train_steps, **{n: settings[n] for n in OF_OPTIMIZER if n in settings}
            )
            optimizer_config.write(out / "optimizer", config)
            began = time.monotonic()
            finetune(
                parameters,
                tokenized_dataset_path=str(self.data),
                optimizer_config_path=str(out / "optimizer"),
                model_path=str(out / "model"),
                tensorboard_logs_path=str(out / "logs"),
            )
            metrics = evaluate(
                tokenized_dataset_path=str(self.data),
                model_path=str(out / "model"),
                metrics_path=str(out / "metrics.json"),
                report_path=str(out / "report.html"),
                earlier_runs=tried,
            )
            log = (out / "model" / "training_log.jsonl").read_text()
            manifest = json.loads((out / "model" / "manifest.json").read_text())
        keras.backend.clear_session()
        kept = metrics.model_dump(
            mode="json", include={"split", "num_examples", "metrics", "intervals", "baseline"}
        )
        return {
            "seconds": round(time.monotonic() - began, 1),
            "log": [json.loads(line) for line in log.splitlines()],
            "manifest": manifest,
            "metrics": kept | {"label_names": metrics.label_names},
        }


def judged(trained: Mapping[str, Any], tried: Sequence[Any]) -> Any:
    """The verdict on a training as it was written down."""
    from kfp_finetune.components.artifacts.metrics import Metrics
    from kfp_finetune.components.artifacts.model import ModelManifest
    from kfp_finetune.components.judgement.facts import Facts
    from kfp_finetune.components.judgement.judge import judge

    metrics = Metrics(per_class=[], confusion_matrix=[], **trained["metrics"])
    model = ModelManifest(**trained["manifest"])
    return judge(Facts(metrics, model, trained["log"], tried=tuple(tried)))


def follow(
    start: tuple[float, int], bench: Bench, done: dict[str, Any], results: Path
) -> list[tuple[dict[str, Any], Any, dict[str, float]]]:
    """Follow the advice from a start; the settings, verdict and scores of every run."""
    from kfp_finetune.components.artifacts.verdict import write_tried

    settings: dict[str, Any] = {"learning_rate": start[0], "num_train_epochs": float(start[1])}
    moves: list[tuple[dict[str, Any], Any, dict[str, float]]] = []
    tried: list[Any] = []
    while True:
        key = json.dumps([bench.name, dict(sorted(settings.items()))])
        if key not in done:
            done[key] = bench.train(settings, write_tried(tried))
            with results.open("a") as file:
                file.write(json.dumps({"key": key, **done[key]}) + "\n")
        verdict = judged(done[key], tried)
        moves.append((settings, verdict, done[key]["metrics"]["metrics"]))
        print(f"{bench.name} {settings}: {verdict.kind}. {verdict.advice}", flush=True)
        if verdict.is_fine or not verdict.options or len(moves) > MOST_MOVES:
            return moves
        tried = verdict.as_tried()
        settings = {**settings, **verdict.options}


def table(name: str, rows: Sequence[Sequence[tuple[dict[str, Any], Any, dict[str, float]]]]) -> str:
    """The moves of a set as a Markdown table."""
    lines = [f"| {name}: start | moves | end | score |", "|---|---|---|---:|"]
    for moves in rows:
        cells = [
            f"{v.kind} → {' '.join(f'{n}={x:g}' for n, x in v.options.items())}"
            for _, v, _ in moves[:-1]
        ]
        settings, verdict, scores = moves[-1]
        score = next(f"{n} {scores[n]:.3f}" for n in ("accuracy", "r2") if n in scores)
        first = moves[0][0]
        lines.append(
            f"| {first['learning_rate']:g}, {first['num_train_epochs']:g} epochs |"
            f" {'; '.join(cells) or '–'} | {verdict.kind} after {len(moves) - 1}:"
            f" {settings['learning_rate']:g}, {settings['num_train_epochs']:g} epochs | {score} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Run the starts on every set, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("-o", "--output", type=Path, default=Path("ten_bad_starts.jsonl"))
    given = parser.parse_args()
    done = {}
    if given.output.exists():
        records = map(json.loads, given.output.read_text().splitlines())
        done = {record["key"]: record for record in records}
    from kfp_finetune.components import quiet

    quiet.import_tensorflow()
    tables = []
    with tempfile.TemporaryDirectory() as temporary:
        model = Path(temporary, f"{LAYERS}-layers")
        cut_model(given.model, model, LAYERS)
        for name in given.sets:
            bench = Bench(name, given.data, model, Path(temporary, name))
            tables.append(table(name, [follow(s, bench, done, given.output) for s in STARTS]))
    print("\n\n".join(tables))


if __name__ == "__main__":
    main()
