"""A comparison of learning-rate schedules on the same data, which picks the best."""
