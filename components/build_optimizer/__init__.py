"""The learning-rate schedule and the optimizer, as a validated description and as Keras objects."""
