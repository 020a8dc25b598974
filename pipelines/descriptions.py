"""The descriptions of a pipeline's parameters, which are those of its components' parameters."""

from __future__ import annotations

import inspect
from collections.abc import Callable
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
