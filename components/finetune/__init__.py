"""Train a Transformers model on TensorFlow with the optimizer that was built for it."""
