"""TensorFlow takes seconds to import: only the steps that compute with it do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests import tiny

STEPS = """
import sys
from pathlib import Path
from kfp_finetune.components.build_optimizer.build import build_optimizer
from kfp_finetune.components.load_data.dataset import load_data
from kfp_finetune.components.load_data.parameters import Parameters
from kfp_finetune.components.load_data.steps import count_steps

dataset, model, folder = sys.argv[1:]
parameters = Parameters(dataset=dataset, model=model, max_length=16)
data = load_data(parameters, folder + "/data", folder + "/report.html")
steps = count_steps(data.splits["train"].rows, 4, 1).num_train_steps
build_optimizer(
    optimizer_config_path=folder + "/optimizer",
    learning_rate_curve_path=folder + "/curve.html",
    num_train_steps=steps,
)
print(*sorted({"tensorflow", "keras"} & set(sys.modules)))
"""


def test_the_steps_before_training_do_not_import_tensorflow(
    tiny_model: Path, tmp_path: Path
) -> None:
    dataset = tiny.write_csv(tmp_path / "data.csv", tiny.rows(60))
    done = subprocess.run(
        [sys.executable, "-c", STEPS, str(dataset), str(tiny_model), str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == ""  # before it are the steps' own lines
