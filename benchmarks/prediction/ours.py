"""Predict with kfp-finetune; prints rows per second.

python ours.py MODEL PRECISION TEXTS
"""

from __future__ import annotations

import sys
import time
from pathlib import Path


def main() -> None:
    """Load, warm up, measure."""
    from kfp_finetune.components.quiet import import_tensorflow

    model, precision, texts = sys.argv[1], sys.argv[2], Path(sys.argv[3]).read_text().splitlines()
    import_tensorflow()
    from kfp_finetune.components.evaluate.predictor import Predictor
    from kfp_finetune.components.finetune import devices

    devices.configure(0)
    predictor = Predictor.load(model, precision=precision)
    for _ in range(2):
        began = time.perf_counter()
        assert len(predictor(texts)) == len(texts)
        seconds = time.perf_counter() - began
    print(len(texts) / seconds)


if __name__ == "__main__":
    main()
