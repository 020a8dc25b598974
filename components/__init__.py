"""The components of a fine-tuning pipeline and the plain modules behind them."""

import os


def set_variables() -> None:
    """Set the environment variables that libraries read when they are imported.

    This runs before any module of ours can import them.
    """
    # Our layers need TensorFlow. Otherwise Keras would use the backend in ~/.keras/keras.json.
    os.environ["KERAS_BACKEND"] = "tensorflow"

    # The Hub's client sends extra requests that describe this process; if the Hub cannot be
    # reached, each step would wait for them.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

    # Transformers warns at its import that PyTorch is missing; only its tokenizers are used.
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")


set_variables()
