"""Fine-tune Hub encoders on TensorFlow, from scripts and notebooks."""
