"""The URIs of all artifacts of a run, in one file: artifacts.json.

    {
      "schema_version": 1,
      "version": "0.2.0",
      "pipeline": "compare_schedules",
      "steps": {
        "load_data": {"tokenized_dataset": "s3://...", "data_report": "s3://..."},
        "finetune": [
          {"item": {"name": "linear", "seed": 1, ...}, "artifacts": {"model": "s3://...", ...}},
          ...
        ]
      }
    }

A pipeline step inside a loop has a list with one entry per item, in the loop's order; any other
step has an object. The URIs are the `artifact_uris` that the steps returned. KFP's cache keeps that
parameter, so a cached step names the artifacts of the run that produced them, under its root.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kfp_finetune.components.storage.files import write_text
from kfp_finetune.components.version import VERSION


def record_artifacts(
    path: str,
    pipeline: str,
    steps: Mapping[str, Mapping[str, str]],
    items: Sequence[Any] = (),
    loop_steps: Mapping[str, Sequence[Mapping[str, str]]] | None = None,
) -> None:
    """Write artifacts.json.

    Args:
        path: The file to write.
        pipeline: Name of the pipeline on the command line.
        steps: URIs by pipeline step and output. A step without URIs is omitted.
        items: The items of a loop.
        loop_steps: For every pipeline step of the loop, URIs by output for each item.
    """
    found: dict[str, Any] = {name: dict(uris) for name, uris in steps.items() if uris}
    for name, artifacts in (loop_steps or {}).items():
        if artifacts:
            found[name] = [
                {"item": item, "artifacts": dict(uris)}
                for item, uris in zip(items, artifacts, strict=True)
            ]
    document = {"schema_version": 1, "version": VERSION, "pipeline": pipeline, "steps": found}
    write_text(Path(path), json.dumps(document, indent=1) + "\n")
