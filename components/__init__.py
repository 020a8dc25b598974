"""The steps of a fine-tuning pipeline, and the plain modules they are made of."""

import os


def set_variables() -> None:
    """Set the environment variables that libraries read when they are imported.

    This runs before any module of ours can import them.
    """
    # Our layers are TensorFlow's. Keras would otherwise take the backend that ~/.keras/keras.json
    # names.
    os.environ["KERAS_BACKEND"] = "tensorflow"

    # The Hub's client asks the Hub for more than what is downloaded, to describe this process to
    # it; where the Hub cannot be reached, each step would wait for that.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

    # Transformers warns at its import that PyTorch is missing; only its tokenizers are used.
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")


set_variables()
