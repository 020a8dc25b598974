"""The precision of matrix products: float32, or bfloat16 if the processor is faster with it.

"auto" is decided once per run, from the processor's flags. If these do not decide, the command line
measures before the run starts and passes the result on; a pipeline step never measures, so that the
same machine always makes the same decision.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from functools import partial
from typing import Any

from kfp_finetune.components.runtime import processor

FLOAT32, BFLOAT16 = "float32", "bfloat16"
# On x86, AMX multiplies bfloat16 several times as fast as float32, AVX512 twice as fast.
_FAST = r"amx_bf16|avx512_bf16"
# On Arm it depends on TensorFlow's build whether it has a kernel for them.
_POSSIBLY_FAST = r"bf16|svebf16"
_MEASUREMENTS = 12
_NEEDED_GAIN = 1.2  # conversions between the two cost part of the gain
_SECONDS = 120


def by_flags(described: str) -> str:
    """The precision that a processor's flags decide; empty if they do not decide.

    Args:
        described: The processor as `runtime.processor` describes it.
    """
    if re.search(rf"\b({_FAST})\b", described):
        return BFLOAT16
    return "" if re.search(rf"\b({_POSSIBLY_FAST})\b", described) else FLOAT32


def decide(precision: str, capabilities: list[tuple[int, int]]) -> str:
    """The precision that a pipeline step computes in.

    Args:
        precision: The parameter; only "auto" needs a decision.
        capabilities: The compute capability of every GPU.
    """
    if precision != "auto":
        return precision
    if capabilities:
        return BFLOAT16 if min(capabilities) >= (8, 0) else FLOAT32
    return by_flags(processor()) or FLOAT32


def decide_before_run(precision: str, tokens: int, hidden: int, intermediate: int) -> str:
    """The precision of a whole run on this processor, measured if the flags do not decide.

    The measurement runs in another process, because the command line does not load TensorFlow.

    Args:
        precision: The parameter; only "auto" needs a decision.
        tokens: Number of tokens in a batch.
        hidden: Width of the model.
        intermediate: Width of its feed-forward layers.
    """
    decided = by_flags(processor()) if precision == "auto" else precision
    if decided:
        return decided
    shape = [str(number) for number in (tokens, hidden, intermediate)]
    try:
        found = subprocess.run(
            [sys.executable, "-m", __name__, *shape],
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
        ).stdout.split()
    except subprocess.TimeoutExpired:
        return FLOAT32
    return BFLOAT16 if found[-1:] == [BFLOAT16] else FLOAT32


def measured(tokens: int, hidden: int, intermediate: int) -> str:
    """The faster precision for the two products of a feed-forward layer.

    They are most of an encoder's work. The arguments are those of `decide_before_run`.
    """
    import tensorflow as tf

    def product(x: Any, inner: Any, outer: Any) -> Any:
        return tf.matmul(tf.nn.relu(tf.matmul(x, inner)), outer)

    shapes = [[tokens, hidden], [hidden, intermediate], [intermediate, hidden]]
    inputs = [tf.random.stateless_normal(shape, [1, 2]) for shape in shapes]
    fastest = {}
    for precision in (FLOAT32, BFLOAT16):
        use_for_products(precision)
        run = partial(tf.function(product), *inputs)
        run()
        fastest[precision] = min(_seconds(run) for _ in range(_MEASUREMENTS))
    use_for_products(FLOAT32)
    faster = fastest[FLOAT32] / fastest[BFLOAT16] >= _NEEDED_GAIN
    return BFLOAT16 if faster else FLOAT32


def use_for_products(precision: str) -> None:
    """Make oneDNN compute matrix products on the CPU in a precision, everything else in float32."""
    import tensorflow as tf

    tf.config.optimizer.set_experimental_options(
        {"auto_mixed_precision_onednn_bfloat16": precision == BFLOAT16}
    )


def _seconds(run: Any) -> float:
    began = time.perf_counter()
    run().numpy()
    return time.perf_counter() - began


if __name__ == "__main__":
    sys.stdout.write(measured(*map(int, sys.argv[1:])))
