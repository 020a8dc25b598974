"""Show the progress and results of a run on a terminal, in a pipe or in a notebook."""
