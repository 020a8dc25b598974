"""The parameters of a pipeline: options, config files, checks before it starts."""
