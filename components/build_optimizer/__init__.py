"""The learning-rate schedule and the optimizer, as a validated config and as Keras objects."""
