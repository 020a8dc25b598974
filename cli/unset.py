"""Leaving unset parameters out of a compiled pipeline.

KFP 2.17's local runner can neither be given None for a parameter ("Constant argument inputs must
be one of type ...") nor do without a value for one that has no default ("Unknown value type";
"int() argument must be ... not 'NoneType'"). The cluster's driver drops such an argument, and the
component sees None. So does this: the input and what refers to it is taken out of the pipeline.
"""

from __future__ import annotations

import copy
from collections.abc import Set
from typing import Any


def without(spec: dict[str, Any], unset: Set[str]) -> dict[str, Any]:
    """The pipeline without some of its parameters.

    Args:
        spec: A compiled pipeline.
        unset: Names of optional parameters that have no value.

    Returns:
        A changed copy.
    """
    spec = copy.deepcopy(spec)
    components = spec.get("components", {})
    given: dict[str, set[str]] = {name: set() for name in components}
    _remove_arguments(spec["root"], unset, components, given)
    for name, component in components.items():
        inputs = _inputs(component)
        for parameter in list(inputs):
            if parameter not in given[name] and "defaultValue" not in inputs[parameter]:
                del inputs[parameter]
    return spec


def _remove_arguments(
    dag: dict[str, Any],
    unset: Set[str],
    components: dict[str, Any],
    given: dict[str, set[str]],
) -> None:
    """Remove a graph's inputs and the arguments made from them; note what is still given."""
    for name in unset:
        _inputs(dag).pop(name, None)
    for task in dag["dag"]["tasks"].values():
        arguments = task.get("inputs", {}).get("parameters", {})
        gone = {n for n, a in arguments.items() if a.get("componentInputParameter") in unset}
        for name in gone:
            del arguments[name]
        component = task["componentRef"]["name"]
        given[component] |= set(arguments)
        if "dag" in components[component]:
            _remove_arguments(components[component], gone, components, given)


def _inputs(component: dict[str, Any]) -> dict[str, Any]:
    inputs: dict[str, Any] = component.get("inputDefinitions", {}).get("parameters", {})
    return inputs
