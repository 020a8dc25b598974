"""The container image of all components, and the version that compiled a component."""

from __future__ import annotations

from typing import Any

from kfp_finetune.components.version import CLIENT, CLIENT_VARIABLE, VERSION

# Built by `make image`; `kfp-finetune compile --image` puts another reference into the YAML.
IMAGE = f"kfp-finetune:{VERSION}"


def versioned(component: Any) -> Any:
    """Record in a component the version that compiled it.

    Args:
        component: The component, as `@dsl.component` returns it.
    """
    component.component_spec.implementation.container.env = {CLIENT_VARIABLE: CLIENT}
    return component
