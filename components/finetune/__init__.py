"""Train a Transformers model on TensorFlow with the optimizer that was built for it."""

import os

# Transformers' TensorFlow classes are Keras 2. This is the one place that says so, and it must run
# before the first `import tensorflow`: every module that imports TensorFlow is in this package or
# imports from it.
os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
