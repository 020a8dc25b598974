"""The architectures, one file each: layers, heads, and PyTorch's names of the weights."""
