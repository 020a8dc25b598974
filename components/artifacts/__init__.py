"""The formats that one step writes and another reads: one module each, and nothing else."""
