"""Record what Transformers' TensorFlow classes saved and answered, while there still were any.

    python -m venv /tmp/tf && /tmp/tf/bin/pip install tensorflow==2.21.0 tf-keras==2.21.0 \
        transformers==4.57.6
    cd tests/models/checkpoints && /tmp/tf/bin/python generate_tensorflow.py [family ...]

For every family the classifier of `generate.py`'s configuration is saved by `save_pretrained` as
safetensors, and the names and shapes in that file are recorded. The tensors are then given values
by `tests/checkpoints.fill`, and the logits on the same token ids are recorded.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

os.environ["TF_USE_LEGACY_KERAS"] = "1"

import tensorflow as tf
import transformers
from safetensors import safe_open
from safetensors.numpy import save_file
from transformers import AutoConfig, TFAutoModelForSequenceClassification

sys.path.insert(0, str(Path(__file__).parents[2]))
from checkpoints import RECORDS, fill, record

TENSORFLOW = RECORDS / "tensorflow"


def main() -> None:
    """Write one file a family."""
    for family in sys.argv[1:] or sorted(path.stem for path in TENSORFLOW.glob("*.json")):
        recorded = record(family)
        settings = {k: v for k, v in recorded["classifier"]["config"].items() if k != "model_type"}
        config = AutoConfig.for_model(family, **settings)
        model = TFAutoModelForSequenceClassification.from_config(config)
        model.build_in_name_scope()
        with tempfile.TemporaryDirectory() as folder:
            weights = Path(folder) / "model.safetensors"
            model.save_pretrained(folder, safe_serialization=True)
            with safe_open(weights, framework="np") as archive:
                tensors = {name: archive.get_slice(name).get_shape() for name in archive.keys()}  # noqa: SIM118
                metadata = archive.metadata()
            assert metadata == {"format": "tf"}
            save_file(fill(tensors), weights, metadata=metadata)
            again = TFAutoModelForSequenceClassification.from_pretrained(folder)
        asked = {name: tf.constant(ids) for name, ids in recorded["inputs"].items()}
        logits = again(asked).logits.numpy().flatten().tolist()
        made = {
            "made_by": f"generate_tensorflow.py, tensorflow {tf.__version__}, "
            f"transformers {transformers.__version__}",
            "tensors": tensors,
            "logits": [float(f"{value:.7g}") for value in logits],
        }
        file = TENSORFLOW / f"{family}.json"
        file.write_text(json.dumps(made, separators=(",", ":")) + "\n", encoding="utf-8")
        print(family, file.stat().st_size)  # noqa: T201


if __name__ == "__main__":
    main()
