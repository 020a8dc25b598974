"""The pipelines this package brings, by the name that `--pipeline` takes."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from kfp_finetune.components.errors import InputError


@dataclass(frozen=True)
class Pipeline:
    """Where a pipeline is to be found.

    Args:
        name: What `--pipeline` calls it.
        module: The module that defines it; its compiled `pipeline.yaml` lies beside it.
        function: The `@dsl.pipeline` function in that module.
    """

    name: str
    module: str
    function: str

    @property
    def folder(self) -> Path:
        """The folder of its module, found without importing it (which would import kfp)."""
        package = self.module.rpartition(".")[0]
        spec = find_spec(package) if package else find_spec(self.module)
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(f"no module {self.module}")
        return Path(spec.origin).parent

    @property
    def definition(self) -> Path:
        """Its compiled form: names, types, defaults and descriptions of its parameters."""
        return self.folder / "pipeline.yaml"

    @property
    def sample(self) -> Path:
        """The settings of the bundled sample."""
        return self.folder / "sample" / "sample.yaml"

    def load(self) -> Any:
        """Import it: a kfp GraphComponent."""
        return getattr(import_module(self.module), self.function)


PIPELINES = {
    "finetune": Pipeline("finetune", "kfp_finetune.pipelines.finetune.pipeline", "finetune"),
    "compare_schedules": Pipeline(
        "compare_schedules",
        "kfp_finetune.pipelines.compare_schedules.pipeline",
        "compare_schedules",
    ),
}


def called_by(kubeflow: str) -> str:
    """The name of a pipeline for `--pipeline`; an unknown name is returned unchanged.

    Args:
        kubeflow: The pipeline's name in Kubeflow: "kfp-finetune-compare-schedules".
    """
    from kfp_finetune.pipelines.parameters import read_spec

    names = {read_spec(p.definition)["pipelineInfo"]["name"]: n for n, p in PIPELINES.items()}
    return names.get(kubeflow, kubeflow)


def find(name: str) -> Pipeline:
    """The pipeline with this name.

    Raises:
        InputError: If there is none.
    """
    if name in PIPELINES:
        return PIPELINES[name]
    near = difflib.get_close_matches(name, PIPELINES, n=1)
    raise InputError(
        f"unknown pipeline '{name}'",
        where="--pipeline",
        expected="one of: " + ", ".join(PIPELINES),
        remedy=f"--pipeline {near[0]}" if near else "omit --pipeline",
    )
