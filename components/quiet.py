"""Import TensorFlow without its startup messages."""

from __future__ import annotations

import os
import sys


def import_tensorflow() -> None:
    """Import TensorFlow, and discard the messages that its libraries print when loaded.

    They write directly to the file descriptor; TensorFlow 2.21 ignores TF_CPP_MIN_LOG_LEVEL for
    them. Errors are raised as exceptions or printed later.
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
