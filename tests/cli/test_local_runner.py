"""The private names of kfp that the local runner replaces, and parameters that are not set."""

from __future__ import annotations

import inspect

from kfp_finetune.cli.unset import without


def test_the_names_of_kfp_that_are_replaced_are_still_asked_for() -> None:
    from kfp.local import (
        cache,
        executor_input_utils,
        pipeline_orchestrator,
        subprocess_task_handler,
        task_dispatcher,
    )
    from kfp.local.orchestrator import task_executor

    from kfp_finetune.cli.local_cache import StepCache

    for name in ("compute_key", "get", "put"):
        theirs = inspect.signature(getattr(cache.LocalCache, name))
        ours = inspect.signature(getattr(StepCache, name))
        assert list(theirs.parameters) == list(ours.parameters)
    assert "cache_module.get_local_cache()" in inspect.getsource(task_executor)
    assert "executor_input_utils.get_local_pipeline_resource_name(" in inspect.getsource(
        pipeline_orchestrator
    )
    assert "executor_input_utils.get_local_task_resource_name(" in inspect.getsource(
        task_dispatcher
    )
    assert callable(executor_input_utils.get_local_task_resource_name)
    assert " replace_python_executable(" in inspect.getsource(subprocess_task_handler)


def test_an_unset_parameter_is_taken_out_of_nested_graphs_too() -> None:
    def task(component: str, **arguments: str) -> dict[str, object]:
        return {
            "componentRef": {"name": component},
            "inputs": {
                "parameters": {k: {"componentInputParameter": v} for k, v in arguments.items()}
            },
        }

    def declare(*names: str) -> dict[str, object]:
        return {"parameters": {name: {"parameterType": "STRING"} for name in names}}

    spec = {
        "root": {
            "inputDefinitions": declare("set", "unset"),
            "dag": {"tasks": {"loop": task("comp-loop", inner="unset", other="set")}},
        },
        "components": {
            "comp-loop": {
                "inputDefinitions": declare("inner", "other"),
                "dag": {"tasks": {"leaf": task("comp-leaf", x="inner", y="other")}},
            },
            "comp-leaf": {"inputDefinitions": declare("x", "y")},
        },
    }
    found = without(spec, {"unset"})
    assert list(found["root"]["inputDefinitions"]["parameters"]) == ["set"]
    loop = found["components"]["comp-loop"]
    assert list(loop["inputDefinitions"]["parameters"]) == ["other"]
    assert list(loop["dag"]["tasks"]["leaf"]["inputs"]["parameters"]) == ["y"]
    leaf = found["components"]["comp-leaf"]["inputDefinitions"]["parameters"]
    assert list(leaf) == ["y"]
    assert "unset" in spec["root"]["inputDefinitions"]["parameters"]  # a copy was changed
