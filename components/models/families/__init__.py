"""The architectures, one file each: layers, heads, and PyTorch's names for the weights."""
