"""`kfp-finetune submit`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kfp_finetune.cli.cluster.connection import Connection
from kfp_finetune.cli.commands.options import (
    ConfigOption,
    PipelineOption,
    PlatformFlags,
    PresetOption,
    RunsDirOption,
    SeedsOption,
    SubmissionFlags,
    takes,
)
from kfp_finetune.cli.commands.pipeline_options import as_options, offered
from kfp_finetune.pipelines import catalog


@as_options(offered())
@takes(connection=Connection, submission=SubmissionFlags, platform=PlatformFlags)
def submit(
    flags: dict[str, Any],
    connection: Connection,
    submission: SubmissionFlags,
    platform: PlatformFlags,
    config: ConfigOption = None,
    pipeline: PipelineOption = "finetune",
    preset: PresetOption = None,
    seeds: SeedsOption = None,
    runs_dir: RunsDirOption = Path("runs"),
) -> None:
    """Fine-tune a model on a Kubeflow cluster, with the same parameters as run."""
    from kfp_finetune.cli.cluster import actions
    from kfp_finetune.pipelines.settings import settings
    from kfp_finetune.runs.trained_models import base_model

    chosen = catalog.find(pipeline)
    values = settings(chosen, flags, config, preset, seeds)
    values["model"] = base_model(values["model"], runs_dir)
    actions.submit(
        chosen,
        values,
        connection,
        submission.as_submission(),
        platform.load(chosen),
        waits=submission.wait,
    )
