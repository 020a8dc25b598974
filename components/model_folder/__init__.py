"""Read the folder of a pretrained model as untrusted input."""
