"""The steps of a fine-tuning pipeline, and the plain modules they are made of."""
