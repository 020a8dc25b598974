"""Pipelines: one folder each, with its source, its README and its compiled YAML."""
