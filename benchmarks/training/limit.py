"""The peak speed of matrix products on this machine, in GFLOP/s.

python limit.py
"""

from __future__ import annotations

import json
import time
from typing import Any

from kfp_finetune.components.finetune import devices

SIZE, REPEATS, TIMES = 2048, 4, 10


def main() -> None:
    """Print the peaks as JSON."""
    import tensorflow as tf

    devices.configure(0)

    @tf.function  # type: ignore[untyped-decorator]
    def products(a: Any, b: Any) -> Any:
        for _ in range(REPEATS):
            a = tf.matmul(a, b)
        return a

    peaks = {}
    for dtype in (tf.float32, tf.bfloat16):
        a = tf.cast(tf.random.normal([SIZE, SIZE]) / SIZE**0.5, dtype)
        products(a, a)
        seconds = []
        for _ in range(TIMES):
            began = time.perf_counter()
            products(a, a).numpy()
            seconds.append(time.perf_counter() - began)
        peaks[dtype.name] = 2 * SIZE**3 * REPEATS / min(seconds) / 1e9
    print(json.dumps(peaks))


if __name__ == "__main__":
    main()
