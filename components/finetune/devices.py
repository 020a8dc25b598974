"""Processors, threads, precision and determinism, set before TensorFlow builds anything."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import Any

import keras
import tensorflow as tf

from kfp_finetune.components.numerics import numeric_variables
from kfp_finetune.components.runtime import available_cpus, processor

_PACKAGES = (
    "kfp-finetune",
    "tensorflow",
    "keras",
    "transformers",
    "tokenizers",
    "safetensors",
    "numpy",
)


def configure(seed: int, precision: str = "float32") -> dict[str, Any]:
    """Set threads, precision, seeds and determinism.

    TensorFlow's own default knows the CPU affinity but not a container's quota, and another number
    of threads sums in another order: so the number is set, and recorded.

    Args:
        seed: For the weights of the head and for dropout.
        precision: Of matrix products, as `parameters.PRECISIONS` names it; all else, the weights
            among it, is float32.

    Returns:
        What the results depend on: versions, threads, processor, variables, the precision chosen.
    """
    precision = _choose_precision(precision)
    threads = available_cpus()
    if tf.config.threading.get_intra_op_parallelism_threads() != threads:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    keras.config.set_floatx("float32")  # whatever ~/.keras/keras.json says
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    return {
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in _PACKAGES},
        "machine": platform.machine(),
        "processor": processor(),
        "threads": threads,
        "variables": numeric_variables(),
        "op_determinism": True,
        "devices": [device.name for device in tf.config.list_physical_devices()],
        "precision": precision,
    }


def _choose_precision(precision: str) -> str:
    """Have matrix products computed in a precision; "auto": bfloat16 where there are units for it.

    A processor that has instructions for bfloat16 and no matrix units (AMX) multiplies it no faster
    than float32.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if precision == "auto":
        capabilities = [
            tf.config.experimental.get_device_details(gpu).get("compute_capability", (0, 0))
            for gpu in gpus
        ]
        fast = min(capabilities) >= (8, 0) if gpus else "amx_bf16" in processor()
        precision = "bfloat16" if fast else "float32"
    low = precision == "bfloat16"
    keras.config.set_dtype_policy("mixed_bfloat16" if low and gpus else "float32")
    # On a processor only matrix products gain: a policy would put all else in bfloat16, too.
    tf.config.optimizer.set_experimental_options(
        {"auto_mixed_precision_onednn_bfloat16": low and not gpus}
    )
    return precision
