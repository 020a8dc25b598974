"""A run's folder, its record, and the model in it."""
