"""Where all artifacts of a run are, in one file: artifacts.json.

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

A step of a loop has a list, one entry per item in the loop's order; any other step has an object.
The URIs are those that the steps returned as `artifact_uris`. KFP's cache keeps that parameter, so
a step from the cache names the artifacts of the run that made it, under whatever root that was.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kfp_finetune.components.artifacts.files import write_text
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
        pipeline: The pipeline's name, as the command line calls it.
        steps: URIs by output, by step. A step without any is left out.
        items: What a loop went over.
        loop_steps: For every step of the loop, URIs by output for each item.
    """
    found: dict[str, Any] = {name: dict(uris) for name, uris in steps.items() if uris}
    for name, turns in (loop_steps or {}).items():
        if turns:
            found[name] = [
                {"item": item, "artifacts": dict(uris)}
                for item, uris in zip(items, turns, strict=True)
            ]
    document = {"schema_version": 1, "version": VERSION, "pipeline": pipeline, "steps": found}
    write_text(Path(path), json.dumps(document, indent=1) + "\n")
