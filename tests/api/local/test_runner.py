"""The private names of kfp that the local runner replaces."""

from __future__ import annotations

import inspect
import signal

from kfp_finetune.local.runner import killed


def test_the_names_of_kfp_that_are_replaced_are_still_asked_for() -> None:
    from kfp.local import (
        cache,
        executor_input_utils,
        pipeline_orchestrator,
        subprocess_task_handler,
        task_dispatcher,
    )
    from kfp.local.orchestrator import task_executor

    from kfp_finetune.local.cache import StepCache

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


def test_only_steps_with_these_options_are_advised_to_make_them_smaller() -> None:
    for step, advised in {"finetune": True, "evaluate": True, "load_data": False}.items():
        said = killed(signal.SIGKILL, 10**9, step)
        assert "probably out of memory; it used up to 1.0 GB" in said
        assert ("--batch-size" in said) == advised
