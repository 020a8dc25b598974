"""The private parts of KFP that we use or replace: where each is, and what it takes.

A failure here means that KFP has changed: adapt the file that is named, then this list.
"""

from __future__ import annotations

import inspect
from importlib import import_module
from importlib.metadata import version

import pytest

# File that uses it, module of KFP, name in it, parameters that we rely on.
USED = [
    ("api/local/runner.py", "kfp.local.cache", "get_local_cache", ()),
    (
        "api/local/runner.py",
        "kfp.local.executor_input_utils",
        "get_local_pipeline_resource_name",
        ("pipeline_name",),
    ),
    (
        "api/local/runner.py",
        "kfp.local.executor_input_utils",
        "get_local_task_resource_name",
        ("component_name",),
    ),
    ("api/local/runner.py", "kfp.local.subprocess_task_handler", "replace_python_executable", ()),
    ("api/local/runner.py", "kfp.local.subprocess_task_handler", "run_local_subprocess", ()),
    ("api/local/runner.py", "kfp.local.docker_task_handler", "run_docker_container", ("client",)),
    (
        "api/local/runner.py",
        "kfp.local.orchestrator.task_executor",
        "execute_single_task",
        ("pipeline_resource_name", "task_spec"),
    ),
    (
        "api/local/runner.py",
        "kfp.local.orchestrator.task_spec_utils",
        "create_parameter_loop_iteration_task_spec",
        (),
    ),
    (
        "api/local/runner.py",
        "kfp.local.orchestrator.task_spec_utils",
        "get_nested_pipeline_resource_name",
        ("task_name", "pipeline_resource_name"),
    ),
    ("api/local/runner.py", "kfp.local.pipeline_orchestrator", "run_local_pipeline", ()),
    ("cli/cluster/configure.py", "kfp.dsl.pipeline_context", "Pipeline.get_default_pipeline", ()),
    ("cli/cluster/login.py", "kfp", "Client.get_kfp_healthz", ("sleep_duration",)),
    (
        "cli/cluster/login.py",
        "kfp.client.set_volume_credentials",
        "ServiceAccountTokenVolumeCredentials",
        (),
    ),
]


@pytest.mark.parametrize(("file", "module", "name", "taken"), USED, ids=[u[2] for u in USED])
def test_kfp_has_the_names_we_use(
    file: str, module: str, name: str, taken: tuple[str, ...]
) -> None:
    kfp = f"KFP {version('kfp')}"
    try:
        found = import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError):
        pytest.fail(f"{kfp} has no {module}.{name}: adapt {file}", pytrace=False)
    missing = set(taken) - inspect.signature(found).parameters.keys()
    if missing:
        pytest.fail(
            f"{module}.{name} of {kfp} takes no {', '.join(missing)}: adapt {file}", pytrace=False
        )
