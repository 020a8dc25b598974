"""`kfp-finetune run`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kfp_finetune.cli.commands.options import (
    ConfigOption,
    ImageOption,
    NameOption,
    NoCacheOption,
    PipelineOption,
    PresetOption,
    Runner,
    RunnerOption,
    RunsDirOption,
    SeedsOption,
)
from kfp_finetune.cli.commands.pipeline_options import as_options, offered
from kfp_finetune.pipelines import catalog


@as_options(offered(), auto=True)
def run(
    flags: dict[str, Any],
    config: ConfigOption = None,
    name: NameOption = None,
    pipeline: PipelineOption = "finetune",
    preset: PresetOption = None,
    seeds: SeedsOption = None,
    runs_dir: RunsDirOption = Path("runs"),
    no_cache: NoCacheOption = False,
    runner: RunnerOption = Runner.subprocess,
    image: ImageOption = None,
) -> None:
    """Fine-tune a model on this machine; without a dataset, on the bundled sample."""
    from kfp_finetune.local.start import start

    start(
        catalog.find(pipeline),
        flags,
        config=config,
        preset=preset,
        seeds=seeds,
        runs_dir=runs_dir,
        name=name,
        use_cache=not no_cache,
        runner=runner.value,
        image=image,
    )
