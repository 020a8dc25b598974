"""The step rank: which of several trainings is best, and whether that is more than chance."""
