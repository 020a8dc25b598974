"""Apply a platform's settings to the tasks of a pipeline, with KFP's own setters."""

from __future__ import annotations

import functools
import json
from typing import Any

from kfp_finetune.cli.cluster.platform import HUB_CACHE, Platform, Secret, Step
from kfp_finetune.components.finetune.ui_metadata import POD_VARIABLE
from kfp_finetune.local.cache import step_name

_TIMES_LONGER = 2.0


def configured(pipeline: Any, platform: Platform) -> Any:
    """Trace a pipeline again, with the settings of a platform.

    Args:
        pipeline: A kfp GraphComponent.
        platform: The settings.

    Returns:
        A new GraphComponent. If the platform sets nothing, it compiles to the same text.
    """
    from kfp import dsl
    from kfp.dsl import pipeline_context

    @functools.wraps(pipeline.pipeline_func)
    def traced(*arguments: Any, **named: Any) -> Any:
        outputs = pipeline.pipeline_func(*arguments, **named)
        for name, task in pipeline_context.Pipeline.get_default_pipeline().tasks.items():
            _configure(task, step_name(name), platform)
        return outputs

    info = pipeline.pipeline_spec.pipeline_info
    ttl = platform.ttl_seconds
    return dsl.pipeline(
        name=info.name,
        display_name=info.display_name or None,
        description=info.description or None,
        # Set all three, because KFP's default of one hour would override a single one.
        pipeline_config=dsl.PipelineConfig(
            ttl_seconds_after_finished=ttl,
            ttl_seconds_after_success=ttl,
            ttl_seconds_after_failure=ttl,
        ),
    )(traced)


def _configure(task: Any, name: str, platform: Platform) -> None:
    from kfp import kubernetes

    if platform.image is not None:
        task.set_container_image(platform.image)
    _give_resources(task, platform.of(name))
    for variable, value in platform.env.items():
        task.set_env_variable(variable, value)
    for secret in platform.secrets:
        keys = {key: variable for variable, key in secret.env.items()}
        kubernetes.use_secret_as_env(task, secret.name, keys, optional=secret.optional)
    mounts = platform.mounts(name)
    for path, claim in mounts.items():
        kubernetes.mount_pvc(task, claim, path)
    if HUB_CACHE in mounts:
        task.set_env_variable("HF_HOME", HUB_CACHE)
    if platform.image_pull_secrets:
        kubernetes.set_image_pull_secrets(task, platform.image_pull_secrets)
    if name == "finetune" and platform.tensorboard is not None:
        # Not an argument, which would be part of the cache key.
        task.set_env_variable(POD_VARIABLE, json.dumps(tensorboard_view(platform)))


def _give_resources(task: Any, step: Step) -> None:
    from kfp import kubernetes

    for setter, value in (
        (task.set_cpu_request, step.cpu_request),
        (task.set_cpu_limit, step.cpu_limit),
        (task.set_memory_request, step.memory_request),
        (task.set_memory_limit, step.memory_limit),
    ):
        if value is not None:
            setter(value)
    if step.accelerator is not None:
        task.set_accelerator_type(step.accelerator).set_accelerator_limit(step.accelerator_count)
    for key, value in step.node_selector.items():
        kubernetes.add_node_selector(task, key, value)
    for toleration in step.tolerations:
        kubernetes.add_toleration(task, **toleration.model_dump())
    if step.shm_size is not None:
        kubernetes.empty_dir_mount(task, "shm", "/dev/shm", "Memory", step.shm_size)  # noqa: S108
    if step.retries:
        task.set_retry(
            step.retries,
            backoff_duration=f"{step.retry_wait_seconds}s",
            backoff_factor=_TIMES_LONGER,
            backoff_max_duration=f"{step.retry_for_seconds}s",
        )
    if step.timeout_seconds is not None:
        kubernetes.set_timeout(task, step.timeout_seconds)
    if not step.cache:
        task.set_caching_options(False)


def tensorboard_view(platform: Platform) -> dict[str, Any]:
    """Return the TensorBoard settings for `ui_metadata`, with secrets by reference only."""
    pod = platform.tensorboard
    if pod is None:
        return {}
    variables: list[dict[str, Any]] = [{"name": n, "value": v} for n, v in pod.env.items()]
    variables += [
        _reference(s, variable, key) for s in pod.secrets for variable, key in s.env.items()
    ]
    return {"image": pod.image, "env": variables}


def _reference(secret: Secret, variable: str, key: str) -> dict[str, Any]:
    return {
        "name": variable,
        "valueFrom": {
            "secretKeyRef": {"name": secret.name, "key": key, "optional": secret.optional}
        },
    }
