"""Cut a run of this machine down to what a verdict follows from.

    python tests/judgement/recordings/cut.py RUN NAME

RUN is the folder of a run that has succeeded; what is left goes to NAME.json beside this file:
losses and metrics with four digits, and no learning rates, which follow from the schedule.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from kfp_finetune.components.artifacts import metrics as metrics_artifact
from kfp_finetune.components.artifacts import model as model_artifact
from kfp_finetune.runs.folder import RunFolder

HERE = Path(__file__).parent
_OF_MODEL = {"environment", "parameters", "base_model_fingerprint", "dataset_fingerprint"}
_OF_METRICS = {"split", "num_examples", "metrics", "intervals", "baseline", "label_names"}


def cut(folder: Path) -> dict[str, Any]:
    """The parts of a run that the judge reads."""
    record = RunFolder.open(folder).record
    path = folder / record.artifacts["model"]
    model = model_artifact.read(path)
    model = model.model_copy(
        update={name: Path(getattr(model, name)).name for name in ("base_model", "dataset")}
    )
    metrics = metrics_artifact.read(folder / record.artifacts["metrics_json"])
    log = list(model_artifact.read_training_log(path))
    return {
        "manifest": model.model_dump(mode="json", exclude=_OF_MODEL, exclude_none=True),
        "metrics": metrics.model_dump(mode="json", include=_OF_METRICS),
        "losses": [r["loss"] for r in log if "loss" in r],
        "validation": {r["step"]: r["validation"] for r in log if "validation" in r},
    }


def rounded(value: Any) -> Any:
    """The same with four significant digits."""
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(inner) for inner in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


def main() -> None:
    """Cut one run."""
    folder, name = Path(sys.argv[1]), sys.argv[2]
    text = json.dumps(rounded(cut(folder)), separators=(",", ":"))
    (HERE / f"{name}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
