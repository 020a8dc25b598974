"""`kfp-finetune find-lr`: the learning-rate range test, as a run of the pipeline finetune."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kfp_finetune.components.artifacts.model import read_training_log
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.storage.files import write_text
from kfp_finetune.local.execution import execute
from kfp_finetune.pipelines import catalog
from kfp_finetune.progress.display import make_screen
from kfp_finetune.progress.summary import shown
from kfp_finetune.runs.folder import default_name

PAGE = "find_lr.html"
# At their defaults: what shapes a rate or a length, and where one run's training is saved.
_DECIDED = (
    "end_learning_rate", "power", "num_cycles", "decay_ratio", "lr_boundaries", "warmup_ratio",
    "warmup_steps", "early_stopping_patience", "load_best_model_at_end", "checkpoint_dir",
    "resume_from_checkpoint",
)  # fmt: skip


def find_learning_rate(
    values: Mapping[str, Any],
    defaults: Mapping[str, Any],
    runs_dir: Path,
    name: str | None = None,
    **how: Any,
) -> float:
    """Train with a rising rate, and say which peak that suggests.

    Args:
        values: A value for every parameter of the pipeline finetune.
        defaults: Theirs.
        runs_dir: Where the run is made.
        name: The run's name; None: find-lr, the dataset's and the time.
        **how: `use_cache`, `runner`, `image` and `screen`, as `run.execute` takes them.

    Returns:
        The suggested peak.

    Raises:
        InputError: As `run.execute`; if no rate made the loss fall.
    """
    from kfp_finetune.components.build_optimizer.range_test import (
        PARAMETERS,
        read_range_test,
        render_range_test,
    )

    decided = {name: defaults[name] for name in _DECIDED}
    folder = execute(
        catalog.PIPELINES["finetune"],
        {**values, **decided, **PARAMETERS},
        runs_dir=runs_dir,
        name=name or "find-lr-" + default_name(str(values.get("dataset") or "run")),
        **how,
    )
    model = folder.path / folder.record.artifacts["model"]
    try:
        found = read_range_test(list(read_training_log(model)))
    except InputError as error:
        error.remedy += f"; the run is {shown(folder.path)}"
        raise
    write_text(folder.path / PAGE, render_range_test(found))
    screen = how.get("screen") or make_screen()
    screen.summary(
        f"learning rate {found.learning_rate:g}",
        [("why", found.reason), ("picture", shown(folder.path / PAGE))],
    )
    screen.close()
    return found.learning_rate
