"""The keys of config.json, one file per architecture. Nothing here imports TensorFlow."""
