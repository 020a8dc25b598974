"""The steps of a fine-tuning pipeline, and the plain modules they are made of."""

import os

# The Hub's client asks the Hub for more than what is downloaded, to describe this process to it;
# where the Hub cannot be reached, each step would wait for that. Set before it is imported.
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
