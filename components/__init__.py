"""The steps of a fine-tuning pipeline, and the plain modules they are made of."""

import os

# Our layers are TensorFlow's. This runs before any module of ours can import Keras, which would
# otherwise take whichever backend ~/.keras/keras.json names.
os.environ["KERAS_BACKEND"] = "tensorflow"

# The Hub's client asks the Hub for more than what is downloaded, to describe this process to it;
# where the Hub cannot be reached, each step would wait for that. Set before it is imported.
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

# Transformers says at its import that PyTorch is missing; only its tokenizers are used.
os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
