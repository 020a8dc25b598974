"""Token classification: a tag for every word of a sentence; tags may mark entities."""
