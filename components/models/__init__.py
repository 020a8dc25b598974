"""A Hub checkpoint as a TensorFlow model, and back."""
