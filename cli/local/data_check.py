"""Report load_data's findings in a dataset and the planned steps, without a run."""

from __future__ import annotations

import dataclasses
import json
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kfp_finetune.cli.screen.data_report import describe
from kfp_finetune.cli.screen.output import writing
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.steps import check_step_parameters, count_steps
from kfp_finetune.components.storage.files import write_text
from kfp_finetune.components.temporary import temporary_folder
from kfp_finetune.local.in_process import followed
from kfp_finetune.local.processes import Interrupted, interruptible
from kfp_finetune.pipelines.catalog import Pipeline
from kfp_finetune.pipelines.checks import check_installed
from kfp_finetune.pipelines.parameters import complete, load
from kfp_finetune.pipelines.settings import given

if TYPE_CHECKING:
    from kfp_finetune.components.artifacts.data_report import DataReport

_STEP = "load_data"


def check_data(
    pipeline: Pipeline,
    flags: Mapping[str, Any],
    config: Path | None,
    *,
    as_json: bool,
    output: Path | None,
) -> None:
    """Read and tokenize a dataset into a temporary folder, and print the data report.

    Args:
        pipeline: The pipeline, whose parameters of load_data and count_steps are used.
        flags: The options given on the command line.
        config: A YAML file of parameters.
        as_json: Whether to print one JSON object instead of text.
        output: The HTML file to save the report to, or None.

    Raises:
        InputError: If the data, a parameter or the output is wrong.
        Interrupted: If a signal interrupted it.
    """
    check_installed()
    values = _values(pipeline, flags, config)
    check_step_parameters(
        values["batch_size"],
        values["num_train_epochs"],
        values["max_steps"],
        values["gradient_accumulation_steps"],
    )
    if output is not None:
        with writing("the report", output):
            pass
    with interruptible():
        report = _report(values)
        if output is not None:
            from kfp_finetune.components.load_data.report_page import render_data_report

            page = render_data_report(report)
            with writing("the report", output):
                write_text(output, page)
    if as_json:
        # ASCII is safe in every terminal.
        text = json.dumps(report.model_dump(), indent=2)
    else:
        text = "\n".join(describe(report, output))
    try:
        print(text, flush=True)
    except BrokenPipeError:
        raise Interrupted(signal.SIGPIPE) from None


def _values(pipeline: Pipeline, flags: Mapping[str, Any], config: Path | None) -> dict[str, Any]:
    """A value for every parameter of the pipeline."""
    values = given(pipeline, flags, config)
    if "dataset" in values and "model" not in values:
        raise InputError(
            "no model is given",
            where="--model",
            expected="a folder or a Hub id, whose tokenizer measures the lengths of the texts",
            remedy="add --model MODEL",
        )
    return complete(load(pipeline.definition), values)


def _report(values: Mapping[str, Any]) -> DataReport:
    """Return the reports of load_data and count_steps."""
    from kfp_finetune.components.artifacts import data_report
    from kfp_finetune.components.load_data.dataset import load_data
    from kfp_finetune.components.load_data.parameters import Parameters

    names = {field.name for field in dataclasses.fields(Parameters)}
    parameters = Parameters(**{name: values[name] for name in names & values.keys()})
    with temporary_folder() as folder, followed(_STEP):
        tokenized = Path(folder, "tokenized_dataset")
        load_data(parameters, str(tokenized), str(Path(folder, "report.html")))
        report = data_report.read(tokenized)
    plan = count_steps(
        report.rows_kept["train"] + report.divided.get("train", 0),
        values["batch_size"],
        values["num_train_epochs"],
        values["max_steps"],
        values["gradient_accumulation_steps"],
        values["drop_remainder"],
        len(report.labels),
    )
    return report.model_copy(
        update={
            "steps_per_epoch": plan.steps_per_epoch,
            "num_train_steps": plan.num_train_steps,
            "step_plan": str(plan),
        }
    )
