"""Ten bad starts, and where the advice leads: every verdict, move by move.

    python benchmarks/ten_bad_starts.py SOURCE MODEL [--sets banking77 emotion ...] [-o RESULTS]

Trains a copy of the model that is cut to two layers on 600 rows, ten times badly, and
follows the advice of each verdict until a run is healthy. Every training is written to RESULTS, a
file of JSON lines, as soon as it ends; started again, the script continues from there. Trainings
with the same settings are made once. SOURCE is the folder that data_sets.py describes.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from data_sets import DATA_SETS

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
ROWS, VALIDATION_ROWS, TEST_ROWS, LAYERS = 600, 300, 1000, 2
# The parameters that the advice changes, by component.
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


class Bench:
    """One set, tokenized once, on which a model is trained again and again.

    Args:
        name: The set.
        source: The folder of all sets.
        model: The folder of the base model.
        folder: A folder for files; created.
        rows: Rows of the training split.
    """

    def __init__(
        self, name: str, source: Path, model: Path, folder: Path, rows: int = ROWS
    ) -> None:
        from kfp_finetune.components.load_data.dataset import load_data
        from kfp_finetune.components.load_data.parameters import Parameters

        self.name, self.model, self.folder = name, model, folder
        folder.mkdir()
        self.data = folder / "data"
        together = rows + VALIDATION_ROWS
        self.manifest = load_data(
            Parameters(
                **DATA_SETS[name].write(source, folder, together, TEST_ROWS),
                model=str(model),
                validation_fraction=VALIDATION_ROWS / together,
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
        names = {"split", "num_examples", "metrics", "intervals", "baseline", "calibration"}
        kept = metrics.model_dump(mode="json", include=names)
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


def key_of(name: str, settings: Mapping[str, Any]) -> str:
    """The key of a training in the results; 20 and 20.0 epochs are the same."""
    values = {n: v if isinstance(v, str) else float(v) for n, v in sorted(settings.items())}
    return json.dumps([name, values])


def train_once(
    bench: Bench, settings: Mapping[str, Any], tried: str, done: dict[str, Any], results: Path
) -> dict[str, Any]:
    """The training with these settings; run and recorded unless it was before."""
    key = key_of(bench.name, settings)
    if key not in done:
        done[key] = bench.train(settings, tried)
        with results.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"key": key, **done[key]}) + "\n")
    found: dict[str, Any] = done[key]
    return found


def follow(
    start: tuple[float, int], bench: Bench, done: dict[str, Any], results: Path
) -> list[tuple[dict[str, Any], Any, dict[str, float]]]:
    """Follow the advice from a start; the settings, verdict and scores of every run."""
    from kfp_finetune.components.artifacts.verdict import write_tried

    settings: dict[str, Any] = {"learning_rate": start[0], "num_train_epochs": float(start[1])}
    moves: list[tuple[dict[str, Any], Any, dict[str, float]]] = []
    tried: list[Any] = []
    while True:
        trained = train_once(bench, settings, write_tried(tried), done, results)
        verdict = judged(trained, tried)
        moves.append((settings, verdict, trained["metrics"]["metrics"]))
        print(f"{bench.name} {settings}: {verdict.kind}. {verdict.advice}", flush=True)
        if verdict.is_fine or not verdict.options or len(moves) > MOST_MOVES:
            return moves
        tried = verdict.as_tried()
        settings = {**settings, **verdict.options}


def table(name: str, rows: Sequence[Sequence[tuple[dict[str, Any], Any, dict[str, float]]]]) -> str:
    """The moves of a set as a Markdown table."""
    from kfp_finetune.components.repeating import as_options

    lines = [f"| {name}: start | moves | end | score |", "|---|---|---|---:|"]
    for moves in rows:
        cells = [f"{v.kind} → `{' '.join(as_options(v.options))}`" for _, v, _ in moves[:-1]]
        settings, verdict, scores = moves[-1]
        metric = DATA_SETS[name].metric
        score = f"{metric} {scores[metric]:.3f}"
        first = moves[0][0]
        lines.append(
            f"| {first['learning_rate']:g}, {first['num_train_epochs']:g} epochs |"
            f" {'; '.join(cells) or '–'} | {verdict.kind} after {len(moves) - 1}:"
            f" {settings['learning_rate']:g}, {settings['num_train_epochs']:g} epochs | {score} |"
        )
    return "\n".join(lines)


def read_results(path: Path) -> dict[str, Any]:
    """The trainings that were made, by set and settings; none if the file does not exist."""
    if not path.exists():
        return {}
    records = map(json.loads, path.read_text("utf-8").splitlines())
    return {key_of(*json.loads(record["key"])): record for record in records}


def main() -> None:
    """Run the starts on every set, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--sets", nargs="+", choices=DATA_SETS, default=["banking77", "emotion"])
    parser.add_argument("-o", "--output", type=Path, default=Path("ten_bad_starts.jsonl"))
    given = parser.parse_args()
    done = read_results(given.output)
    from kfp_finetune.components import quiet

    quiet.import_tensorflow()
    tables = []
    with tempfile.TemporaryDirectory() as temporary:
        model = Path(temporary, f"{LAYERS}-layers")
        cut_model(given.model, model, LAYERS)
        for name in given.sets:
            bench = Bench(name, given.source, model, Path(temporary, name))
            tables.append(table(name, [follow(s, bench, done, given.output) for s in STARTS]))
    print("\n\n".join(tables))


if __name__ == "__main__":
    main()
