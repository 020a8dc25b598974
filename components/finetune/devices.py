"""Processors, threads and determinism, set once per process before TensorFlow is used."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import Any

import tensorflow as tf
import tf_keras

from kfp_finetune.components.runtime import available_cpus, processor

_PACKAGES = (
    "kfp-finetune",
    "tensorflow",
    "tf-keras",
    "transformers",
    "tokenizers",
    "safetensors",
    "numpy",
)


def configure(seed: int) -> dict[str, Any]:
    """Set threads, seeds and determinism.

    TensorFlow's own default knows the CPU affinity but not a container's quota, and another number
    of threads sums in another order: so the number is set, and recorded.

    Args:
        seed: For the weights of the head and for dropout.

    Returns:
        What the results depend on: versions, threads, processor.
    """
    threads = available_cpus()
    if tf.config.threading.get_intra_op_parallelism_threads() != threads:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    # Each dropout layer owns its generator, whose state can be saved.
    tf_keras.backend.experimental.enable_tf_random_generator()
    tf_keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    return {
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in _PACKAGES},
        "machine": platform.machine(),
        "processor": processor(),
        "threads": threads,
        "op_determinism": True,
        "devices": [device.name for device in tf.config.list_physical_devices()],
        "precision": "float32",
    }
