"""TensorFlow in this process, without its greetings."""

from __future__ import annotations

import os
import sys


def import_tensorflow() -> None:
    """Import TensorFlow; what its libraries say of themselves as they are loaded is left out.

    They write to the file descriptor, in TensorFlow 2.21 whatever TF_CPP_MIN_LOG_LEVEL says. What
    goes wrong is an exception, or is said later.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        import tensorflow as tf

        tf.config.list_physical_devices()
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
