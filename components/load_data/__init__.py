"""Read a text dataset, split it, tokenize it once; count the optimizer steps it makes."""
