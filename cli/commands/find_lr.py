"""`kfp-finetune find-lr`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kfp_finetune.cli.commands.options import (
    ConfigOption,
    ImageOption,
    NameOption,
    NoCacheOption,
    Runner,
    RunnerOption,
    RunsDirOption,
)
from kfp_finetune.cli.commands.pipeline_options import FINETUNE, as_options, offered
from kfp_finetune.pipelines import parameters


@as_options(offered(steps=("load_data", "count_steps", "finetune")))
def find_lr(
    flags: dict[str, Any],
    config: ConfigOption = None,
    name: NameOption = None,
    runs_dir: RunsDirOption = Path("runs"),
    no_cache: NoCacheOption = False,
    runner: RunnerOption = Runner.subprocess,
    image: ImageOption = None,
) -> None:
    """Suggest a learning rate by training a little while the rate rises (range test)."""
    from kfp_finetune.local.range_test import find_learning_rate
    from kfp_finetune.pipelines.settings import settings
    from kfp_finetune.runs.trained_models import base_model

    values = settings(FINETUNE, flags, config)
    values["model"] = base_model(values["model"], runs_dir)
    find_learning_rate(
        values,
        parameters.defaults(FINETUNE.definition),
        runs_dir,
        name,
        use_cache=not no_cache,
        runner=runner.value,
        image=image,
    )
