"""The steps of a fine-tuning pipeline, and the plain modules they are made of."""

import os

# Transformers' TensorFlow classes are Keras 2. This is the one place that says so: it runs before
# any module of ours can import TensorFlow.
os.environ["TF_USE_LEGACY_KERAS"] = "1"
