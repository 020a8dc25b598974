"""A pretrained model's folder as untrusted input: which of its files are read, and how."""
