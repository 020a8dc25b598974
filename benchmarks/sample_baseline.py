"""A baseline for the bundled sample: TF-IDF and logistic regression on a run's split.

    python benchmarks/sample_baseline.py runs/NAME

Prints the test accuracy of the run's model and of the baseline, trained and tested on the same
rows.
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from kfp_finetune.components.artifacts import tokenized_dataset

SAMPLE = Path(__file__).parents[1] / "pipelines" / "finetune" / "sample" / "messages.csv"


def main() -> None:
    """Compare one run with the baseline."""
    run = Path(sys.argv[1])
    record = json.loads((run / "run.json").read_text())
    data = run / record["artifacts"]["tokenized_dataset"]
    with SAMPLE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))

    def split(name: str) -> tuple[list[str], list[str]]:
        chosen = tokenized_dataset.open_split(data, name)["row"].to_pylist()
        return [rows[i]["text"] for i in chosen], [rows[i]["label"] for i in chosen]

    texts, labels = split("train")
    baseline = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression(C=10))
    baseline.fit(texts, labels)
    print(f"{record['name']}: model {record['metrics']['accuracy']:.3f}", end=", ")
    print(f"TF-IDF + logistic regression {baseline.score(*split('test')):.3f}")


if __name__ == "__main__":
    main()
