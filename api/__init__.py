"""Fine-tune Hub encoders on TensorFlow, from scripts and notebooks.

    from kfp_finetune import finetune, predict

    run = finetune("reviews.csv", model="sentence-transformers/all-MiniLM-L6-v2")
    print(run.metrics)
    predict(run, ["a text"])

docs/api.md describes the functions. Importing this package is cheap, because every step imports it
as the parent of `kfp_finetune.components`: each name is loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kfp_finetune.components.errors import InputError as InputError
    from kfp_finetune.components.evaluate.predictor import Predictor as Predictor
    from kfp_finetune.components.tasks.predictions import Prediction as Prediction
    from kfp_finetune.finetuning import compare as compare
    from kfp_finetune.finetuning import finetune as finetune
    from kfp_finetune.finetuning import load_run as load_run
    from kfp_finetune.progress.failures import LoggedError as LoggedError
    from kfp_finetune.results import Evaluation as Evaluation
    from kfp_finetune.results import Run as Run
    from kfp_finetune.trained import evaluate as evaluate
    from kfp_finetune.trained import predict as predict

    __version__: str

_MODULES = {
    "Evaluation": "kfp_finetune.results",
    "InputError": "kfp_finetune.components.errors",
    "LoggedError": "kfp_finetune.progress.failures",
    "Prediction": "kfp_finetune.components.tasks.predictions",
    "Predictor": "kfp_finetune.components.evaluate.predictor",
    "Run": "kfp_finetune.results",
    "compare": "kfp_finetune.finetuning",
    "evaluate": "kfp_finetune.trained",
    "finetune": "kfp_finetune.finetuning",
    "load_run": "kfp_finetune.finetuning",
    "predict": "kfp_finetune.trained",
}
__all__ = [*sorted(_MODULES), "__version__"]


def __getattr__(name: str) -> Any:
    """Load a name of the API on first use."""
    if name == "__version__":
        from importlib.metadata import version

        return version("kfp-finetune")
    if name not in _MODULES:
        raise AttributeError(f"module 'kfp_finetune' has no attribute '{name}'")
    from kfp_finetune.calling import load

    value = load(_MODULES[name], name)
    globals()[name] = value  # later lookups bypass this function
    return value


def __dir__() -> list[str]:
    """The names of the API."""
    return __all__
