"""Rank trials: which one is best, and whether the difference is noise."""
