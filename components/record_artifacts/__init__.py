"""The step that writes down where all artifacts of a run are."""
