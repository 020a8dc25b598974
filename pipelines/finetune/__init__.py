"""The fine-tuning pipeline and its sample data."""
