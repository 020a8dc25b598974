"""The pipeline step that records the URIs of all artifacts of a run."""
