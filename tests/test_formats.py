"""FORMATS is raised when an artifact's format changes."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from kfp_finetune.components.artifacts import (
    leaderboard,
    metrics,
    model,
    optimizer_config,
    tokenized_dataset,
)
from kfp_finetune.components.version import FORMATS

HASHES = {2: "3bcda5d48e3d"}


def without_words(schema: Any) -> Any:
    """Return a schema without its words, and without the users of a field, which are not stored."""
    if isinstance(schema, list):
        return [without_words(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    said = {name for name in ("title", "description") if isinstance(schema.get(name), str)}
    said |= {"used_by"} & schema.keys()
    return {name: without_words(part) for name, part in schema.items() if name not in said}


def test_the_formats_are_those_of_the_number() -> None:
    manifests = (
        leaderboard.Leaderboard,
        metrics.Metrics,
        model.ModelManifest,
        optimizer_config.OptimizerConfig,
        tokenized_dataset.TokenizedDatasetManifest,
    )
    schemas = [without_words(manifest.model_json_schema()) for manifest in manifests]
    text = json.dumps(schemas, sort_keys=True)
    found = hashlib.sha256(text.encode()).hexdigest()[:12]
    assert HASHES[FORMATS] == found, (
        "the format of an artifact has changed: if steps of the last release cannot read it, raise"
        " FORMATS; then put the new hash into HASHES"
    )
