"""Run folders, their records, and the models in them."""
