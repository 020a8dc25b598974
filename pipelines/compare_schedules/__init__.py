"""The pipeline that compares learning-rate schedules on the same data and picks the best."""
