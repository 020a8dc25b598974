"""The parameters of a pipeline that are those of another pipeline, and their descriptions."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any


def described_by(*components: Any) -> Callable[[Any], Any]:
    """Complete a pipeline's docstring, from which KFP takes the descriptions for YAML and UI.

    Args:
        *components: The pipeline's components; the first one that has a parameter describes it.

    Returns:
        A decorator for the pipeline's function. Its docstring ends with the section Args; the
        descriptions there take precedence.
    """

    def complete(function: Any) -> Any:
        text = inspect.cleandoc(function.__doc__)
        for name in inspect.signature(function).parameters:
            specs = [component.component_spec.inputs or {} for component in components]
            found = [spec[name].description for spec in specs if name in spec]
            if f"\n    {name}: " not in text and found:
                text += f"\n    {name}: {' '.join(found[0].split())}"
        function.__doc__ = text
        return function

    return complete


def with_parameters_of(other: Any, without: Collection[str]) -> Callable[[Any], Any]:
    """Give a pipeline the parameters of another one, so that they are declared once.

    Args:
        other: The other pipeline.
        without: Names of its parameters that are not taken.

    Returns:
        A decorator for the pipeline's function, which gets them as keyword arguments after its own.
    """

    def complete(function: Any) -> Any:
        own = list(inspect.signature(function).parameters.values())[:-1]  # without **
        taken = inspect.signature(other.pipeline_func).parameters
        left = set(taken) - {*without, *(parameter.name for parameter in own)}
        signature = inspect.Signature([*own, *(taken[name] for name in taken if name in left)])

        @functools.wraps(function)
        def pipeline(*arguments: Any, **named: Any) -> Any:
            return function(**signature.bind(*arguments, **named).arguments)

        pipeline.__signature__ = signature  # type: ignore[attr-defined]
        return pipeline

    return complete


def inputs_of(component: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """Select the values that a component takes as inputs of the same name."""
    return {name: values[name] for name in component.component_spec.inputs if name in values}
