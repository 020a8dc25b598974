"""The fine-tuning pipeline and the sample it is tried on."""
