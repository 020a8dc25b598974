"""The container image that every component runs in, and the version that a step is compiled by."""

from __future__ import annotations

from typing import Any

from kfp_finetune.components.version import CLIENT, CLIENT_VARIABLE, VERSION

# Built by `make image`; `kfp-finetune compile --image` puts another reference into the YAML.
IMAGE = f"kfp-finetune:{VERSION}"


def versioned(component: Any) -> Any:
    """Let a component carry the version that compiled it.

    Args:
        component: What `@dsl.component` returns.
    """
    component.component_spec.implementation.container.env = {CLIENT_VARIABLE: CLIENT}
    return component
