"""How good is the rate that `--learning-rate auto` finds? A study over eight datasets.

    python benchmarks/learning_rates.py SOURCE MODEL [--sets banking77,stsb] [--rows 3000]
        [--layers 6,3] [--seeds 1,2,3] [--epochs 10] [--results build/learning_rates.jsonl]

SOURCE is the folder that data_sets.py describes, MODEL a folder with all-MiniLM-L6-v2; `--layers
3` trains a copy of its first three layers. Every set is trained with each of four rates, the
default of the model's size and the rate of a range test. Each result is appended to the file of
results at once: started again, the study continues, and with --table it only prints its tables.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import re
import shutil
import statistics
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from data_sets import DATA_SETS

from kfp_finetune.components.build_optimizer.range_test import (
    LONGER_STEPS,
    RULES,
    STEPS,
    RangeTest,
    read_range_test,
    rising_rate,
)
from kfp_finetune.components.chosen import choose_learning_rate

GRID = (5e-5, 2e-4, 5e-4, 1e-3)
BATCH_SIZE, TEST_ROWS = 32, 1000
HEAD = ["set", "layers", *(f"{rate:.0e}" for rate in GRID), "default", "auto", "score of auto"]


@dataclass(frozen=True)
class Study:
    """One dataset, model and seed, with the results that are known.

    Attributes:
        name: The dataset.
        layers: Layers of the model.
        seed: Seed of the head, dropout and the order of the rows.
        rows: Rows for training and validation.
        epochs: Epochs of a training.
        results: The file of results.
    """

    name: str
    layers: int
    seed: int
    rows: int
    epochs: int
    results: Path

    def find(self, **what: Any) -> dict[str, Any] | None:
        """The result of a training that has been made; None if it has not."""
        key = self.key(**what)
        if not self.results.exists():
            return None
        lines = self.results.read_text("utf-8").splitlines()
        return next((r for r in map(json.loads, lines) if key.items() <= r.items()), None)

    def key(self, **what: Any) -> dict[str, Any]:
        """The settings that name a result."""
        names = ("name", "layers", "seed", "rows", "epochs")
        return {name: getattr(self, name) for name in names} | what

    def add(self, what: dict[str, Any], result: dict[str, Any]) -> dict[str, Any]:
        """Append a result to the file of results."""
        record = self.key(**what) | result
        with self.results.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        return record

    def range_test(self, default: float) -> RangeTest | None:
        """The range test that decides, as far as it has been made.

        Args:
            default: The default rate of the model's size.
        """
        found = None
        for steps in (STEPS, LONGER_STEPS):
            record = self.find(range_test=steps)
            if record is None:
                return found
            updates = [
                {"learning_rate": rate, "loss": loss}
                for rate, loss in zip(record["rates"], record["losses"], strict=True)
            ]
            found = read_range_test(updates, record["constant_loss"], default)
            if found.learning_rate is not None:
                return found
        return found

    def score(self, rate: float | None) -> float | None:
        """The score of a rate in percent; None if it has not been trained."""
        record = None if rate is None else self.find(rate=rate)
        return record and 100 * float(record["score"])


class Bench:
    """The steps of a training, called in this process.

    Args:
        study: What to train.
        source: The folder of the datasets.
        model: The folder of the base model.
        work: A folder for files.
    """

    def __init__(self, study: Study, source: Path, model: Path, work: Path) -> None:
        self._study, self._model, self._work = study, model, work
        self._source = source

    def prepare(self) -> None:
        """Write and tokenize the data."""
        from kfp_finetune.components.load_data.dataset import load_data
        from kfp_finetune.components.load_data.parameters import Parameters

        data_set = DATA_SETS[self._study.name]
        given = data_set.write(self._source, self._work, self._study.rows, TEST_ROWS)
        parameters = Parameters(model=str(self._model), **given)
        load_data(parameters, str(self._work / "data"), str(self._work / "data.html"))

    def train(
        self, shape: dict[str, Any], max_steps: int | None = None, initial_bias: str = "labels"
    ) -> Any:
        """Train a model into the folder `model`; its manifest."""
        from kfp_finetune.components.artifacts import optimizer_config, tokenized_dataset
        from kfp_finetune.components.build_optimizer.parameters import build_optimizer_config
        from kfp_finetune.components.finetune import parameters, training
        from kfp_finetune.components.load_data.steps import count_steps

        for name in ("model", "logs", "optimizer"):
            shutil.rmtree(self._work / name, ignore_errors=True)
        data, epochs = str(self._work / "data"), self._study.epochs
        examples = tokenized_dataset.read(data).splits["train"].rows
        steps = count_steps(examples, BATCH_SIZE, epochs, max_steps).num_train_steps
        config = build_optimizer_config(steps, **shape)
        optimizer_config.write(str(self._work / "optimizer"), config)
        return training.finetune(
            parameters.Parameters(
                base_model=str(self._model),
                batch_size=BATCH_SIZE,
                num_train_epochs=epochs,
                max_steps=max_steps,
                seed=self._study.seed,
                on_divergence="report",
                initial_bias=initial_bias,
            ),
            tokenized_dataset_path=data,
            optimizer_config_path=str(self._work / "optimizer"),
            model_path=str(self._work / "model"),
            tensorboard_logs_path=str(self._work / "logs"),
        )

    def rate(self, rate: float, initial_bias: str = "labels") -> dict[str, Any]:
        """Train with a peak that decays to 0, and score the test split."""
        from kfp_finetune.components.evaluate.evaluation import evaluate

        began = time.monotonic()
        model = self.train({"learning_rate": rate}, initial_bias=initial_bias)
        metrics = evaluate(
            tokenized_dataset_path=str(self._work / "data"),
            model_path=str(self._work / "model"),
            metrics_path=str(self._work / "metrics.json"),
            report_path=str(self._work / "report.html"),
        ).metrics
        return {
            "score": metrics.get(DATA_SETS[self._study.name].metric, 0.0),
            "metrics": metrics,
            "steps": model.num_train_steps,
            "training_seconds": model.training_seconds,
            "seconds": round(time.monotonic() - began, 1),
        }

    def range_test(self, steps: int) -> dict[str, Any]:
        """Train while the rate rises."""
        from kfp_finetune.components.artifacts.model import read_training_log

        shape = rising_rate("adam", steps)
        shape.pop("max_steps"), shape.pop("on_divergence")
        model = self.train(shape, steps)
        updates = [r for r in read_training_log(self._work / "model") if "learning_rate" in r]
        return {
            "rates": [update["learning_rate"] for update in updates],
            "losses": [update["loss"] for update in updates],
            "constant_loss": model.constant_loss,
            "training_seconds": model.training_seconds,
        }


def main() -> None:
    """Run what is missing of the study, and print its tables."""
    given = parse_arguments()
    given.results.parent.mkdir(parents=True, exist_ok=True)
    studies = [
        Study(name, int(layers), int(seed), given.rows, given.epochs, given.results)
        for seed in given.seeds.split(",")
        for layers in given.layers.split(",")
        for name in given.sets.split(",")
    ]
    if not given.table:
        for study in studies:
            with tempfile.TemporaryDirectory() as work:
                run(study, given.source, given.model, Path(work))
    print_tables(studies, default_rate(given.model))


def parse_arguments(layers: str = "6,3") -> argparse.Namespace:
    """The options of this study, and of initial_bias.py."""
    parser = argparse.ArgumentParser()
    parser.add_argument("source", type=Path, help="folder of the datasets")
    parser.add_argument("model", type=Path, help="folder of the base model")
    parser.add_argument("--sets", default=",".join(DATA_SETS))
    parser.add_argument("--rows", type=int, default=3000)
    parser.add_argument("--layers", default=layers)
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--results", type=Path, default=Path("build/learning_rates.jsonl"))
    parser.add_argument("--table", action="store_true", help="only print the tables")
    return parser.parse_args()


def run(study: Study, source: Path, model: Path, work: Path) -> None:
    """Run what is missing of one study."""
    base = with_layers(model, study.layers, work / "base")
    bench = Bench(study, source, base, work)
    prepared = False

    def once(key: str, value: Any, measure: Any) -> None:
        nonlocal prepared
        if study.find(**{key: value}) is not None:
            return
        with contextlib.redirect_stdout(io.StringIO()):  # what the steps print is for their runner
            if not prepared:
                bench.prepare()
                prepared = True
            result = measure()
        result = study.add({key: value}, result)
        print("#", study.name, study.layers, key, value, result.get("score", ""), flush=True)

    default = default_rate(model)
    for steps in (STEPS, LONGER_STEPS):
        if (found := study.range_test(default)) is None or found.learning_rate is None:
            once("range_test", steps, partial(bench.range_test, steps))
    for rate in dict.fromkeys([*GRID, default, auto_rate(study, default)]):
        once("rate", rate, partial(bench.rate, rate))


def default_rate(model: Path) -> float:
    """The default peak of a model."""
    hidden = json.loads((model / "config.json").read_text("utf-8"))["hidden_size"]
    return choose_learning_rate(hidden)


def auto_rate(study: Study, default: float) -> float:
    """The rate that `--learning-rate auto` trains with."""
    found = study.range_test(default)
    return default if found is None or found.learning_rate is None else found.learning_rate


def with_layers(model: Path, layers: int, folder: Path) -> Path:
    """A copy of a model's first layers; the model itself if it has no more."""
    from safetensors.numpy import load_file, save_file

    config = json.loads((model / "config.json").read_text("utf-8"))
    if layers >= config["num_hidden_layers"]:
        return model
    shutil.copytree(model, folder)
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": layers}))
    weights = load_file(model / "model.safetensors")
    number = re.compile(r"layer\.(\d+)\.")
    kept = {
        name: value
        for name, value in weights.items()
        if not (found := number.search(name)) or int(found[1]) < layers
    }
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def print_tables(studies: list[Study], default: float) -> None:
    """Print the scores of every rate, and what each rule would have suggested."""
    print("| " + " | ".join(HEAD) + " | auto - best of the four |")
    print("|---" * (len(HEAD) + 1) + "|")
    groups: dict[tuple[str, int], list[Study]] = {}
    for study in studies:
        groups.setdefault((study.name, study.layers), []).append(study)
    for (name, layers), group in groups.items():
        rates = [auto_rate(study, default) for study in group]
        grid = [mean([study.score(rate) for study in group]) for rate in GRID]
        chosen = mean([study.score(default) for study in group])
        auto = mean([study.score(rate) for study, rate in zip(group, rates, strict=True)])
        best = None if None in grid else max(score for score in grid if score is not None)
        shown = ", ".join(f"{rate:.0e}" for rate in dict.fromkeys(rates))
        gap = "" if auto is None or best is None else f"{auto - best:+.1f}"
        cells = [*map(text, grid), text(chosen), shown, text(auto), gap]
        print("| " + " | ".join([name, str(layers), *cells]) + " |")
    print("\n| set | layers | seed | lowest loss | constant | " + " | ".join(RULES) + " |")
    print("|---" * (5 + len(RULES)) + "|")
    for study in studies:
        if (test := study.range_test(default)) is not None:
            suggested = [f"{r(test.rates, test.smooth, test.best):.1e}" for r in RULES.values()]
            cells = [study.name, str(study.layers), str(study.seed)]
            cells += [f"{test.smooth[test.best]:.3f}", f"{test.constant_loss:.3f}", *suggested]
            print("| " + " | ".join(cells) + " |")


def mean(scores: list[float | None]) -> float | None:
    """The mean over seeds; None if one is missing."""
    known = [score for score in scores if score is not None]
    return statistics.mean(known) if len(known) == len(scores) else None


def text(score: float | None) -> str:
    """A score for a table."""
    return "" if score is None else f"{score:.1f}"


if __name__ == "__main__":
    main()
