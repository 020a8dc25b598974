"""Write docs/reference.md from the program: commands, parameters, components, metrics, exit codes.

    make reference

tests/test_documents.py fails when the page and the program differ.
"""

from __future__ import annotations

import inspect
import signal
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import typer
from typer.main import get_command

from kfp_finetune.cli import main
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.tasks.text_classification.measure import measure
from kfp_finetune.components.tasks.text_classification.problem_types import (
    MULTI_LABEL,
    REGRESSION,
    SINGLE_LABEL,
)
from kfp_finetune.components.tasks.token_classification.entity_scores import measure_entities
from kfp_finetune.components.tasks.token_classification.problem_types import ENTITIES, TAGS
from kfp_finetune.components.tasks.token_classification.sentences import Sentence
from kfp_finetune.pipelines import parameters
from kfp_finetune.pipelines.catalog import PIPELINES

PAGE = Path(__file__).with_suffix(".md")
_INTRODUCTION = """\
# Reference

Generated from the program by `make reference`; do not edit it by hand. The [guide](guide.md)
explains how to use what is listed here.

- [Commands](#commands)
- [Pipeline parameters](#pipeline-parameters)
- [Components and their outputs](#components-and-their-outputs)
- [Metrics](#metrics)
- [Exit codes](#exit-codes)
"""
# Enough for every top_k_accuracy.
_LABELS = 40
_METRICS = {
    "accuracy": "Share of correct answers.",
    "average_precision": "Area under the precision-recall curve: of the positive one of two labels"
    " (by default the second), or the mean over labels.",
    "balanced_accuracy": "Mean recall over the labels.",
    "calibrated_ece": "ECE of the probabilities after temperature scaling.",
    "constant_baseline_micro_f1": "Best micro-F1 of giving every text the same labels.",
    "ece": "Expected calibration error: mean gap between confidence and accuracy.",
    "f1": "Harmonic mean of precision and recall.",
    "hamming_loss": "Share of wrong decisions over all texts and labels.",
    "loss": "Mean loss: cross-entropy, binary cross-entropy or squared error.",
    "macro_f1": "Mean F1 over the labels or entity types that occur or are predicted.",
    "macro_precision": "Mean precision over the labels.",
    "macro_recall": "Mean recall over the labels.",
    "mae": "Mean absolute error, in the unit of the labels.",
    "majority_baseline_accuracy": "Accuracy of always answering the most frequent label.",
    "matthews_correlation": "Matthews correlation coefficient.",
    "mean_baseline_mae": "Mean absolute error of always predicting the mean.",
    "mean_error": "Mean of prediction minus label: positive if predictions are too high.",
    "micro_f1": "F1 over all decisions together; equals accuracy where each text has one label.",
    "micro_precision": "Precision over all decisions together.",
    "micro_recall": "Recall over all decisions together.",
    "outside_baseline_accuracy": "Accuracy of tagging every word O.",
    "pearson": "Pearson correlation of predictions and labels.",
    "precision": "Share of predicted entities that are correct: exact span and type. With"
    " `positive_label`: share of the texts predicted to have it that have it.",
    "prediction_spread": "Standard deviation of the predictions, divided by that of the labels.",
    "r2": "Coefficient of determination.",
    "recall": "Share of true entities that are found: exact span and type. With `positive_label`:"
    " share of the texts that have it that are predicted to have it.",
    "rmse": "Root mean squared error, in the unit of the labels.",
    "roc_auc": "Area under the ROC curve: of the positive one of two labels (by default the second)"
    ", or the mean over labels.",
    "samples_f1": "Mean F1 over texts.",
    "seen_recall": "Recall of entities that occur in the training data.",
    "spearman": "Spearman rank correlation of predictions and labels.",
    "subset_accuracy": "Share of texts whose labels are all correct.",
    "top_3_accuracy": "Share of texts whose label is among the three most probable.",
    "top_5_accuracy": "Share of texts whose label is among the five most probable.",
    "unseen_recall": "Recall of entities that do not occur in the training data.",
    "untuned_macro_f1": "Macro-F1 with a threshold of 0.5 for every label.",
    "untuned_micro_f1": "Micro-F1 with a threshold of 0.5 for every label.",
    "weighted_f1": "Mean F1 over labels, weighted by their frequency.",
}
_VALUES = {"NUMBER_DOUBLE": "float", "NUMBER_INTEGER": "int", "STRUCT": "dict"}
_EXIT_CODES = (
    ("0", "Success."),
    ("1", "Any other failure; the message names the log."),
    (
        str(InputError.exit_code),
        "Wrong input: the message says what was found, where, what was expected, and the fix.",
    ),
    ("128 + signal", "Stopped by a signal:"),
)


def page() -> str:
    """The page as it should be."""
    parts = [
        _INTRODUCTION,
        "## Commands\n",
        *_commands(),
        "## Pipeline parameters\n",
        *_parameters(),
        "## Components and their outputs\n",
        *_components(),
        "## Metrics\n",
        *_metrics(),
        "## Exit codes\n",
        *_exit_codes(),
    ]
    return "\n".join(parts)


def _commands() -> Iterator[str]:
    known = _all_parameters()
    offered = {p.option: p.step for p in known.values() if _is_option(p)}
    for name, command in get_command(main.app).commands.items():  # type: ignore[attr-defined]
        context = typer.Context(command)
        taken = [p.opts[0] for p in command.params if p.opts[0] in offered]
        own = [p for p in command.params if p.opts[0] not in offered]
        arguments = [_argument(p) for p in own if p.param_type_name != "option"]
        yield f"### {name}\n\n{_one_line(inspect.cleandoc(command.help))}\n"
        yield f"`{' '.join(['kfp-finetune', name, *arguments, '[OPTIONS]'])}`\n"
        yield _table(("option or argument", "description"), [_option(p, context) for p in own])
        if len(taken) == len(offered):
            yield "Also all [pipeline parameters](#pipeline-parameters).\n"
        elif taken:
            yield "Also these [pipeline parameters](#pipeline-parameters):\n"
            yield _table(("step", "options"), _by_step(taken, offered))


def _by_step(taken: Sequence[str], offered: Mapping[str, str]) -> list[tuple[str, str]]:
    rows = []
    for step in dict.fromkeys(offered[option] for option in taken):
        of_step = {option for option, one in offered.items() if one == step}
        mine = [option for option in taken if option in of_step]
        missing = sorted(of_step - set(mine))
        if not missing:
            rows.append((step, "all"))
        elif len(missing) < len(mine):
            rows.append((step, "all except " + _listed(missing)))
        else:
            rows.append((step, _listed(mine)))
    return rows


def _listed(options: Iterable[str]) -> str:
    return ", ".join(f"`{option}`" for option in options)


def _is_option(parameter: parameters.Parameter) -> bool:
    return parameter.name not in parameters.FILLED_IN and parameter.type is not list


def _argument(argument: Any) -> str:
    name = argument.metavar or argument.name.upper()
    many = "…" if argument.nargs == -1 and "..." not in name else ""
    return name if argument.required or name.startswith("[") else f"[{name}{many}]"


def _option(parameter: Any, context: Any) -> tuple[str, str]:
    if parameter.param_type_name != "option":
        return f"`{_argument(parameter)}`", _one_line(parameter.help or "")
    names, described = parameter.get_help_record(context)
    return f"`{names}`", _one_line(described)


def _of(pipeline: Any) -> tuple[parameters.Parameter, ...]:
    return parameters.load(pipeline.definition)


def _all_parameters() -> dict[str, parameters.Parameter]:
    """Those of all pipelines; of two of one name the first pipeline's."""
    found: dict[str, parameters.Parameter] = {}
    for pipeline in PIPELINES.values():
        for parameter in _of(pipeline):
            found.setdefault(parameter.name, parameter)
    return found


def _parameters() -> Iterator[str]:
    yield (
        "Options of `run`, keys of `--config` files (with `_` for `-`) and inputs of the compiled"
        ' pipelines.\nAn empty text, and 0 where a description says so, mean "not given" in a'
        " compiled pipeline.\nA default that is chosen is printed with its reason; 0 also means"
        " chosen.\n"
    )
    both = _all_parameters()
    steps = parameters.steps(PIPELINES["finetune"].definition)
    has = {name: {p.name for p in _of(one)} for name, one in PIPELINES.items()}
    for step in dict.fromkeys(p.step for p in both.values()):
        heading = step if step in steps else "the comparison"
        yield f"### Parameters of {heading}\n"
        rows = []
        for parameter in both.values():
            if parameter.step == step and parameter.name not in parameters.FILLED_IN:
                only = [name for name, known in has.items() if parameter.name in known]
                note = f" Only in `{only[0]}`." if len(only) < len(has) else ""
                rows.append(
                    (
                        f"`{parameter.option}`" if _is_option(parameter) else f"`{parameter.name}`",
                        parameter.type.__name__,
                        _default(parameter),
                        parameter.description + note,
                    )
                )
        yield _table(("option", "type", "default", "description"), rows)


def _default(parameter: parameters.Parameter) -> str:
    if parameter.required:
        return "required"
    return "preset `course`" if parameter.type is list else parameter.default_text


def _components() -> Iterator[str]:
    seen: set[str] = set()
    for pipeline in PIPELINES.values():
        spec = parameters.read_spec(pipeline.definition)
        for step in parameters.steps(pipeline.definition):
            if step in seen:
                continue
            seen.add(step)
            component = spec["components"]["comp-" + step.replace("_", "-")]
            yield f"### {step}\n"
            yield _table(("output", "type", "description"), _outputs(component))


def _outputs(component: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    declared = component.get("outputDefinitions", {})
    artifacts = [
        (f"`{name}`", one["artifactType"]["schemaTitle"].removeprefix("system."), one)
        for name, one in declared.get("artifacts", {}).items()
    ]
    values = [
        (f"`{name}`", _VALUES[one["parameterType"]], one)
        for name, one in declared.get("parameters", {}).items()
    ]
    return [
        (name, kind, _one_line(one.get("description", "")))
        for name, kind, one in artifacts + values
    ]


def measured() -> dict[str, list[str]]:
    """The names of the metrics of each problem type: those of random answers."""
    random = np.random.default_rng(0)
    labels = [f"label {i}" for i in range(_LABELS)]
    logits = random.normal(size=(80, _LABELS))
    ids = np.arange(80) % _LABELS
    marks = (random.random((80, _LABELS)) < 0.4).astype(float)
    numbers = random.normal(size=(80, 1))
    single = measure(SINGLE_LABEL, ids, logits, labels, "test", temperature=2.0)
    tags = ["O", "B-person", "I-person"]
    sentences = [
        Sentence(0, i, ["Ada", word], tags[1:], [tag, "O"], np.full(2, 0.9), 1.0)
        for i, (word, tag) in enumerate([("Lovelace", "B-person"), ("Byron", "O")])
    ]
    known = {("Ada Lovelace", "person")}
    two = measure(
        SINGLE_LABEL, ids % 2, logits[:, :2], labels[:2], "test", positive_label=labels[1]
    )
    found = {
        SINGLE_LABEL: single.model_copy(update={"metrics": single.metrics | two.metrics}),
        MULTI_LABEL: measure(
            MULTI_LABEL, marks, logits, labels, "test", thresholds=[0.4] * _LABELS
        ),
        REGRESSION: measure(REGRESSION, numbers, numbers + logits[:, :1], [], "test"),
        ENTITIES: measure_entities(sentences, tags, "test", known, with_texts=False),
        TAGS: single,  # of words
    }
    return {name: list(metrics.metrics) for name, metrics in found.items()}


def _metrics() -> Iterator[str]:
    yield (
        "Scalars in `metrics` and `metrics_json`, by problem type. Some are missing where they are"
        " undefined,\nfor example `roc_auc` of a split with one label. `metrics_json` also has"
        " intervals, scores by label,\nslices, calibration and errors.\n"
    )
    for problem_type, names in measured().items():
        yield f"### {problem_type}\n"
        yield _table(("metric", "description"), [(f"`{n}`", _METRICS[n]) for n in names])


def _exit_codes() -> Iterator[str]:
    signals = ", ".join(
        f"{128 + one} {one.name}" for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    )
    rows = [(f"{code}", why) for code, why in _EXIT_CODES]
    rows[-1] = (rows[-1][0], f"{rows[-1][1]} {signals}.")
    yield _table(("code", "meaning"), rows)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    def line(cells: Iterable[str]) -> str:
        return "| " + " | ".join(cells) + " |"

    escaped = [[cell.replace("\\|", "|").replace("|", "\\|") for cell in row] for row in rows]
    return "\n".join([line(head), "|" + "---|" * len(head), *map(line, escaped)]) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
