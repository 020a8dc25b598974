"""Score a model on the test split and write the report that people read."""
