"""The parameters of a pipeline: name, type, default, choices, description and group of each.

They are read from the compiled pipeline's YAML. The command line, config files, the Python API and
the reference get them from here, so that none of them can differ from the pipeline.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from kfp_finetune.components.chosen import CHOSEN
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.not_given import is_given

# A learning rate that find-lr determines before the run.
AUTO = "auto"
MOST_USED_TITLE = "Most used"
# Shown first in help, in this order.
MOST_USED = (
    "dataset",
    "model",
    "text_column",
    "label_column",
    "task",
    "max_length",
    "batch_size",
    "num_train_epochs",
    "learning_rate",
    "lr_scheduler_type",
    "warmup_ratio",
    "seed",
)
# Titles of the other parameters in help, by the first step that uses them.
GROUPS = {
    "load_data": "Data (load_data)",
    "count_steps": "Length of training (count_steps)",
    "build_optimizer": "Optimizer and schedule (build_optimizer)",
    "finetune": "Training (finetune)",
    "evaluate": "Evaluation (evaluate)",
}
# Filled in at the start of a run, from the content of the data and the model.
FINGERPRINTS = ("dataset_fingerprint", "model_fingerprint")
# Verdicts on the runs that this run repeats with changes.
EARLIER_RUNS = "earlier_runs"
# The parameters that users never give.
FILLED_IN = (*FINGERPRINTS, EARLIER_RUNS)
_TYPES: dict[str, type] = {
    "STRING": str,
    "NUMBER_INTEGER": int,
    "NUMBER_DOUBLE": float,
    "BOOLEAN": bool,
    "LIST": list,  # in --config files only
}
_TYPE_NAMES = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
}
# The part of a description about 0 if it means "not given", and if the step then chooses a value.
_ZERO = re.compile(r"[;.] 0: [^.;]*\.$")
_CHOSEN = re.compile(r"[;.] 0: (chosen from [^.;]*)\.$")
# KFP passes every number as a double.
_LARGEST_INTEGER = 2**53


@dataclass(frozen=True)
class Parameter:
    """One parameter of a pipeline.

    Args:
        name: The name in `--config` files.
        type: str, int, float, bool or list.
        default: The default; None if it is unset or required.
        required: Whether it must be given.
        description: One or more sentences.
        step: The first step that uses it.
        choices: The allowed values; empty if any value of the type is allowed.
        chosen: The basis of the step's choice, as "chosen from ..."; "" if it has a fixed default.
    """

    name: str
    type: type
    default: Any
    required: bool
    description: str
    step: str
    choices: tuple[str, ...] = ()
    chosen: str = ""

    @property
    def default_text(self) -> str:
        """The default as help shows it; "" if there is none."""
        if self.default in (None, ""):
            return self.chosen
        return str(self.default).lower() if self.type is bool else f"{self.default}"

    @property
    def group(self) -> str:
        """The title of its group in help."""
        return MOST_USED_TITLE if self.name in MOST_USED else GROUPS.get(self.step, self.step)

    @property
    def option(self) -> str:
        """The option on the command line."""
        return "--" + self.name.replace("_", "-")


@cache
def read_spec(definition: Path) -> dict[str, Any]:
    """Read a compiled pipeline, without the document of the platform.

    Raises:
        InputError: If the pipeline has not been compiled.
    """
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        with definition.open(encoding="utf-8") as file:
            spec: dict[str, Any] = next(iter(yaml.load_all(file, loader)))
            return spec
    except FileNotFoundError:
        raise InputError(
            "the pipeline has not been compiled",
            where=str(definition),
            expected="the compiled pipeline beside its pipeline.py",
            remedy=f"kfp-finetune compile -o {definition}",
        ) from None


@cache
def load(definition: Path) -> tuple[Parameter, ...]:
    """Read the parameters of a compiled pipeline.

    KFP sorts them by name. They are returned by the first step that uses them, in the order in
    which the steps run; within a step, required ones come first, then by name.

    Raises:
        InputError: If the pipeline has not been compiled.
    """
    root = read_spec(definition)["root"]
    steps = _steps_of_parameters(root["dag"]["tasks"])
    order = list(dict.fromkeys(steps.values()))
    found = [
        _parameter(name, declared, steps.get(name, ""))
        for name, declared in root.get("inputDefinitions", {}).get("parameters", {}).items()
    ]
    return tuple(
        sorted(
            found,
            key=lambda p: (
                order.index(p.step) if p.step in order else len(order),
                not p.required,
                p.name,
            ),
        )
    )


def defaults(definition: Path) -> dict[str, Any]:
    """The defaults of a compiled pipeline's parameters."""
    return {parameter.name: parameter.default for parameter in load(definition)}


def steps(definition: Path) -> list[str]:
    """The steps of a compiled pipeline in execution order; those of a loop once."""
    spec = read_spec(definition)

    def of(graph: Mapping[str, Any]) -> Iterator[str]:
        tasks = graph["dag"]["tasks"]
        for task in in_order(tasks):
            inner = spec["components"][tasks[task]["componentRef"]["name"]]
            yield from of(inner) if "dag" in inner else [task.replace("-", "_")]

    return list(of(spec["root"]))


def in_order(tasks: Mapping[str, Any]) -> Iterator[str]:
    """The names of a compiled pipeline's tasks, in execution order."""
    waiting = dict(tasks)
    while waiting:
        ready = [
            n for n, t in waiting.items() if not waiting.keys() & set(t.get("dependentTasks", []))
        ]
        for task_name in ready or list(waiting):
            del waiting[task_name]
            yield task_name


def _parameter(name: str, declared: Mapping[str, Any], step: str) -> Parameter:
    kind = _TYPES[declared["parameterType"]]
    default = declared.get("defaultValue")
    description = " ".join(str(declared.get("description", "")).split())
    found = _CHOSEN.search(description)
    if default is not None and not is_given(name, default):
        default = None  # parameters that are not given are omitted
        description = _ZERO.sub(".", description)
    return Parameter(
        name=name,
        type=kind,
        default=default if default is None else kind(default),  # KFP writes 32.0 for 32
        required="defaultValue" not in declared,
        description=description,
        step=step,
        choices=tuple(declared.get("literals", ())),
        chosen=found[1] if found else "",
    )


def _steps_of_parameters(tasks: Mapping[str, Any]) -> dict[str, str]:
    """The first step that uses each parameter, in execution order."""
    steps: dict[str, str] = {}
    for task in in_order(tasks):
        for source in tasks[task].get("inputs", {}).get("parameters", {}).values():
            parameter = source.get("componentInputParameter")
            if parameter:
                steps.setdefault(parameter, task.replace("-", "_"))
    return steps


def ascii_number(value: Any) -> Any:
    """Format a value; quote text that Python but no other program would read as a number."""
    if isinstance(value, str) and not (value.isascii() and "_" not in value):
        return f"{value!r}"
    return value


def check(
    parameters: Sequence[Parameter],
    values: Mapping[str, Any],
    where: str,
    listed: str = "kfp-finetune run --help",
) -> dict[str, Any]:
    """Check names and types of values from a config file, or from a call.

    Args:
        parameters: The known parameters.
        values: Values by name, as read from YAML.
        where: The file or the call, for messages.
        listed: The command or call that lists the parameters.

    Returns:
        The values in the types of the parameters, without null values.

    Raises:
        InputError: For an unknown name or a wrong type.
    """
    known = {p.name: p for p in parameters if p.name not in FILLED_IN}
    checked = {}
    for name, value in values.items():
        if name not in known:
            near = difflib.get_close_matches(str(name).replace("-", "_"), known, n=1)
            raise InputError(
                f"unknown parameter '{name}'",
                where=where,
                expected=f"a known parameter, such as '{near[0]}'"
                if near
                else "one of: " + ", ".join(known),
                remedy=f"{listed} lists the parameters",
            )
        if value is not None:
            checked[name] = _check_value(known[name], value, where)
    return checked


def _check_value(parameter: Parameter, value: Any, where: str) -> Any:
    kind = parameter.type
    if kind is float and type(value) in (int, str):
        # YAML 1.1 reads 5e-5 as text, but 5.0e-5 as a number.
        try:
            return float(ascii_number(value))
        except (ValueError, OverflowError):
            pass
    if type(value) is kind:
        return value
    remedy = "change its value"
    if kind is str and isinstance(value, dict):
        text = json.dumps(value, ensure_ascii=False, default=str)
        remedy = f"write it as text: {parameter.name}: '{text}'"
    elif kind is str and not isinstance(value, list):
        remedy = f'put it in quotes: {parameter.name}: "{value}"'
    raise InputError(
        f"{parameter.name} is {value!r}",
        where=f"{where}, {parameter.name}",
        expected=_TYPE_NAMES[kind],
        remedy=remedy,
    )


def _phrase(description: str) -> str:
    """A description within a sentence."""
    return description[:1].lower() + description[1:].rstrip(".")


def complete(parameters: Sequence[Parameter], values: Mapping[str, Any]) -> dict[str, Any]:
    """Add the defaults.

    Returns:
        A value for every parameter that is not filled in; None if it is unset.

    Raises:
        InputError: If a required parameter is missing, or a number is too large for KFP.
    """
    missing = [p for p in parameters if p.required and p.name not in values]
    if missing:
        raise InputError(
            ", ".join(p.option for p in missing)
            + (" are" if len(missing) > 1 else " is")
            + " missing",
            where="the command line",
            expected="; ".join(
                f"{p.option}: {_phrase(p.description) or _TYPE_NAMES[p.type]}" for p in missing
            ),
            remedy="add " + " ".join(f"{p.option} {p.name.upper()}" for p in missing),
        )
    full = {p.name: values.get(p.name, p.default) for p in parameters if p.name not in FILLED_IN}
    full |= {name: full[name] or None for name in CHOSEN if name in full}
    for name, value in full.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise InputError(
                f"{name} is {value}",
                where="--" + name.replace("_", "-"),
                expected="a finite number",
                remedy="change its value",
            )
        if type(value) is int and abs(value) > _LARGEST_INTEGER:
            raise InputError(
                f"{name} is {value}",
                where="--" + name.replace("_", "-"),
                expected=f"at most 2^53 = {_LARGEST_INTEGER}: KFP passes numbers as doubles",
                remedy="use a smaller number",
            )
    return full
