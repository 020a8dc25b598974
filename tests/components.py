"""The components' own functions, called as KFP's executor calls them."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from kfp import dsl

from kfp_finetune.components.build_optimizer.component import build_optimizer
from kfp_finetune.components.evaluate.component import evaluate
from kfp_finetune.components.finetune.component import finetune
from kfp_finetune.components.load_data.component import count_steps, load_data
from kfp_finetune.components.rank.component import rank
from kfp_finetune.components.record_artifacts.component import record_artifacts

COMPONENTS = {
    component.python_func.__name__: component
    for component in (
        load_data,
        count_steps,
        build_optimizer,
        finetune,
        evaluate,
        rank,
        record_artifacts,
    )
}


def parameters(component: Any) -> dict[str, inspect.Parameter]:
    """A component's parameters; no artifacts."""
    declared = inspect.signature(component.python_func).parameters
    kinds = {name: i.type for name, i in component.component_spec.inputs.items()}
    return {n: declared[n] for n, kind in kinds.items() if not kind.startswith("system.")}


def outputs(component: Any, folder: Path) -> dict[str, dsl.Artifact]:
    """A new artifact for every output of a component, in a folder."""
    declared = component.component_spec.outputs or {}
    kinds = {
        f"system.{kind.__name__}": kind
        for kind in (
            dsl.Dataset,
            dsl.Model,
            dsl.Metrics,
            dsl.ClassificationMetrics,
            dsl.HTML,
            dsl.Markdown,
        )
    }
    return {
        name: kinds.get(output.type.partition("@")[0], dsl.Artifact)(
            name=name, uri=str(folder / name)
        )
        for name, output in declared.items()
        if output.type.startswith("system.")
    }
