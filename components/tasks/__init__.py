"""What differs between tasks: one module per task, and nothing about any step."""
