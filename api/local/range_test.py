"""The learning-rate range test, as a run of the pipeline finetune that is not evaluated."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kfp_finetune.components.artifacts import model as model_artifact
from kfp_finetune.components.build_optimizer.checks import SCHEDULE_PARAMETERS
from kfp_finetune.components.chosen import choose_learning_rate
from kfp_finetune.components.load_data.steps import count_steps
from kfp_finetune.components.not_given import given
from kfp_finetune.components.repeating import EXECUTION_PARAMETERS, as_options
from kfp_finetune.components.storage.files import write_text
from kfp_finetune.components.storage.uris import without_secrets
from kfp_finetune.local.execution import execute
from kfp_finetune.pipelines import catalog, parameters
from kfp_finetune.progress.display import make_screen
from kfp_finetune.progress.lines import Screen
from kfp_finetune.progress.summary import shown
from kfp_finetune.runs.folder import RunFolder, default_name

if TYPE_CHECKING:
    from kfp_finetune.components.build_optimizer.range_test import RangeTest

PAGE = "find_lr.html"
# At their defaults: the shape of the schedule, when training ends, and where it is saved.
_DECIDED = (
    *SCHEDULE_PARAMETERS,
    *("early_stopping_patience", "load_best_model_at_end"),
    *("checkpoint_dir", "resume_from_checkpoint"),
)
_PLAN = (
    "batch_size", "num_train_epochs", "max_steps", "gradient_accumulation_steps", "drop_remainder",
)  # fmt: skip


def find_learning_rate(
    values: Mapping[str, Any],
    defaults: Mapping[str, Any],
    runs_dir: Path,
    name: str | None = None,
    **how: Any,
) -> float:
    """Train with a rising rate, and print the peak that this suggests.

    If nothing was learned at any rate, the test is repeated once with more steps. If nothing is
    learned then either, no rate can be suggested, and the default of the model's size is returned.

    Args:
        values: A value for every parameter of the pipeline finetune.
        defaults: The defaults of these parameters.
        runs_dir: The folder of runs.
        name: The run's name; None: find-lr, the dataset's name and the time.
        **how: `use_cache`, `runner`, `image` and `screen`, as `run.execute` takes them.

    Returns:
        The suggested peak, or the default.

    Raises:
        InputError: As `run.execute`.
    """
    from kfp_finetune.components.build_optimizer.range_test import LONGER_STEPS, STEPS

    name = name or "find-lr-" + default_name(str(values.get("dataset") or "run"))
    screen: Screen = how.pop("screen", None) or make_screen()
    test, rate = _test(values, defaults, runs_dir, name, STEPS, screen, how)
    if test.learning_rate is None:
        screen.heading(f"{test.reason}; testing once more with {LONGER_STEPS} steps")
        longer = f"{name}-longer"
        test, rate = _test(values, defaults, runs_dir, longer, LONGER_STEPS, screen, how)
    screen.close()
    return rate


def _test(
    values: Mapping[str, Any],
    defaults: Mapping[str, Any],
    runs_dir: Path,
    name: str,
    steps: int,
    screen: Screen,
    how: Mapping[str, Any],
) -> tuple[RangeTest, float]:
    """Make one range test, write its page and print its result.

    Returns:
        The test, and the rate to train with.
    """
    from kfp_finetune.components.build_optimizer.range_test import (
        LONGER_STEPS,
        read_range_test,
        rising_rate,
    )
    from kfp_finetune.components.build_optimizer.range_test_page import render_range_test

    optimizer, momentum = values["optimizer"], values["momentum"]
    decided = {name: defaults[name] for name in _DECIDED}
    folder = execute(
        catalog.PIPELINES["finetune"],
        {**values, **decided, **rising_rate(optimizer, steps, momentum)},
        runs_dir=runs_dir,
        name=name,
        screen=screen,
        purpose="range_test",
        announce=partial(_cost, values, steps),
        **how,
    )
    model = folder.path / folder.record.artifacts["model"]
    records = list(model_artifact.read_training_log(model))
    manifest = model_artifact.read(model)
    default = choose_learning_rate(manifest.hidden_size, optimizer, momentum)
    test = read_range_test(records, manifest.constant_loss or 0.0, default)
    rate = default if test.learning_rate is None else test.learning_rate
    command = _command(values, defaults, rate)
    write_text(folder.path / PAGE, render_range_test(test, default, command))
    if test.learning_rate is not None or steps == LONGER_STEPS:
        _print(screen, test, rate, folder, command)
    return test, rate


def _cost(values: Mapping[str, Any], steps: int, outputs: Mapping[str, Any]) -> str:
    """The cost of a test, as a share of the training that it serves.

    Args:
        values: The parameters of that training.
        steps: Steps of the test.
        outputs: The outputs of load_data.
    """
    plan = given(**{name: values[name] for name in _PLAN})
    rows, labels = outputs["num_train_examples"], outputs["num_labels"]
    served = count_steps(rows, num_labels=labels, **plan).num_train_steps
    return (
        f"range test: {steps} steps, {steps / served:.0%} of the {served:,} steps of a training"
        " with these settings"
    )


def _command(values: Mapping[str, Any], defaults: Mapping[str, Any], rate: float) -> list[str]:
    """The command that trains with a rate, option by option."""
    skipped = {*EXECUTION_PARAMETERS, *parameters.FINGERPRINTS, "learning_rate"}
    changed = {
        name: _shown(value)
        for name, value in values.items()
        if name not in skipped and value is not None and value != defaults[name]
    }
    return ["kfp-finetune run", *as_options(changed | {"learning_rate": _shown(rate)})]


def _shown(value: Any) -> Any:
    """A parameter as a person writes it: 3, not 3.0; a URI without its secrets."""
    if isinstance(value, float):
        return f"{value:.12g}"
    return without_secrets(value) if isinstance(value, str) else value


def _print(
    screen: Screen, test: RangeTest, rate: float, folder: RunFolder, command: list[str]
) -> None:
    rows = [("why", test.reason)]
    if test.learning_rate is None:
        title = "no learning rate found"
        rows.append(("default", f"{rate:g}, from the model's size"))
    else:
        title = f"learning rate {rate:g}"
    rows += [("page", shown(folder.path / PAGE)), ("train", " ".join(command))]
    screen.summary(title, rows)
