"""Devices, threads, precision and determinism, set before TensorFlow builds anything."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import Any

import keras
import tensorflow as tf

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.finetune.precision import (
    BFLOAT16,
    FLOAT32,
    decide,
    use_for_products,
)
from kfp_finetune.components.numerics import numeric_variables
from kfp_finetune.components.runtime import available_cpus, processor, schedulable_cpus

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

    TensorFlow's default respects the CPU affinity but not a container's quota. The number of
    threads changes the order of sums, so it is set here and recorded. In a process that has used
    TensorFlow before, it can no longer be changed; the number in use is recorded.

    Args:
        seed: Seed for the weights of the head and for dropout.
        precision: Precision of matrix products, one of `parameters.PRECISIONS`; everything else,
            including the weights, is float32.

    Returns:
        The environment that results depend on: versions, threads, processor, environment variables,
        the chosen precision.
    """
    check_keras()
    precision = _set_precision(precision)
    threads = _set_threads()
    keras.config.set_floatx("float32")  # overrides ~/.keras/keras.json
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


def _set_threads() -> int:
    """Use a thread per CPU, unless TensorFlow runs already, and return the number used."""
    threads = available_cpus()
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    except RuntimeError:  # an earlier operation in this process has fixed the number
        # 0 is TensorFlow's default: the CPU affinity, without a container's quota
        return tf.config.threading.get_intra_op_parallelism_threads() or schedulable_cpus()
    return threads


def check_keras() -> None:
    """Check that Keras runs on TensorFlow, in case it was imported before this package.

    Raises:
        InputError: If it runs on another backend.
    """
    if (backend := keras.backend.backend()) != "tensorflow":
        raise InputError(
            f"Keras was imported with the {backend} backend",
            where="KERAS_BACKEND, or ~/.keras/keras.json",
            expected="tensorflow",
            remedy="import kfp_finetune before keras, or set KERAS_BACKEND=tensorflow",
        )


def _set_precision(precision: str) -> str:
    """Set the precision of matrix products, and return it."""
    gpus = tf.config.list_physical_devices("GPU")
    capabilities = [
        tf.config.experimental.get_device_details(gpu).get("compute_capability", (0, 0))
        for gpu in gpus
    ]
    decided = decide(precision, capabilities)
    # On a CPU only matrix products are faster; a policy would change everything else to bfloat16
    # too.
    mixed = gpus and decided == BFLOAT16
    keras.config.set_dtype_policy("mixed_bfloat16" if mixed else "float32")
    use_for_products(FLOAT32 if gpus else decided)
    return decided
