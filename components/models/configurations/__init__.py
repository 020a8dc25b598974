"""What a config.json may say, one file per architecture. Nothing here imports TensorFlow."""
