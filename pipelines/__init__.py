"""Pipelines: one folder each, and beside them the parameters that they take and their checks."""
