"""The names of the Python API: cheap to import, typed by the pipeline, wrong input in its terms."""

from __future__ import annotations

import inspect
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import kfp_finetune
from kfp_finetune import InputError, compare, evaluate, finetune, load_run
from kfp_finetune.components.options import as_arguments
from kfp_finetune.finetuning import plain
from kfp_finetune.pipelines import catalog, parameters


def python(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_package_is_cheap_to_import() -> None:
    """Every step imports it on its way to kfp_finetune.components."""
    code = (
        "import sys; import typing; before = set(sys.modules); import kfp_finetune\n"
        "print(*set(sys.modules) - before)"
    )
    assert set(python(code).split()) <= {"kfp_finetune", "__future__"}


def test_every_name_is_there() -> None:
    assert set(dir(kfp_finetune)) >= {
        "compare", "evaluate", "finetune", "load_run", "predict",
        "InputError", "LoggedError", "Predictor", "Run",
    }  # fmt: skip
    assert kfp_finetune.__version__ == parameters_version()
    with pytest.raises(AttributeError, match="has no attribute 'fintune'"):
        kfp_finetune.fintune  # noqa: B018


def parameters_version() -> str:
    from importlib.metadata import version

    return version("kfp-finetune")


def test_names_leave_the_environment_as_it_was() -> None:
    code = (
        "import os; before = dict(os.environ)\n"
        "from kfp_finetune import InputError, Predictor, finetune\n"
        "import keras; assert keras.backend.backend() == 'tensorflow'\n"
        "print({n for n in {**os.environ, **before} if os.environ.get(n) != before.get(n)})"
    )
    # Another backend is chosen here; it is not installed, and Keras would fail with it.
    assert python(code, KERAS_BACKEND="jax").strip() == "set()"


@pytest.mark.parametrize(
    ("function", "pipeline"), [(finetune, "finetune"), (compare, "compare_schedules")]
)
def test_signatures_have_the_parameters_of_the_pipeline(function: object, pipeline: str) -> None:
    signature = inspect.signature(function)  # type: ignore[arg-type]
    known = {p.name: p for p in parameters.load(catalog.PIPELINES[pipeline].definition)}
    offered = known.keys() - set(parameters.FILLED_IN)
    assert offered <= signature.parameters.keys()
    for name in offered - {"dataset", "candidates"}:
        assert signature.parameters[name].default == known[name].default
        assert f"{name} (" in str(function.__doc__)


@pytest.mark.parametrize(
    ("option", "argument"),
    [
        ("--batch-size 8", "batch_size=8"),
        ("--metric-for-best-model accuracy", "metric_for_best_model='accuracy'"),
        ("omit --early-stopping-patience", "omit early_stopping_patience"),
        ("--load-best-model-at-end, or omit --x-y", "load_best_model_at_end, or omit x_y"),
        ("--no-drop-duplicates", "drop_duplicates=False"),
        ("give another with --runs-dir", "give another with runs_dir"),
        ("kfp-finetune resume demo --uri X", "kfp-finetune resume demo --uri X"),
        ("the command line", "the call"),
        ("--model without --dataset", "model without dataset"),
        ("or in a --config file", "or in a config file"),
        (
            "Try --optimizer adamw, or --learning-rate 0.002.",
            "Try optimizer='adamw', or learning_rate=0.002.",
        ),
    ],
)
def test_remedies_are_arguments(option: str, argument: str) -> None:
    assert as_arguments(option) == argument


def test_wrong_input_is_refused_with_all_that_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        finetune(batch_size=0, warmup_ratio=1.5, runs_dir=tmp_path / "runs")
    assert [problem.where for problem in error.value.problems] == ["batch_size", "warmup_ratio"]
    assert all("--" not in problem.remedy for problem in error.value.problems)
    assert not (tmp_path / "runs").exists()


def test_a_misspelled_parameter_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        finetune(learing_rate=1e-3, runs_dir=tmp_path)
    assert error.value.found == "unknown parameter 'learing_rate'"
    assert "learning_rate" in error.value.expected
    assert error.value.remedy == "help(finetune) lists the parameters"


def test_seeds_are_a_list(tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        compare(seeds="1,2", runs_dir=tmp_path)  # type: ignore[arg-type]
    assert error.value.where == "seeds" and error.value.remedy == "seeds=[1, 2, 3]"


def test_candidates_of_a_call_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        compare("d.csv", model="m", candidates=[{"power": "x"}], runs_dir=tmp_path)
    assert error.value.found == "candidate 1 has power: 'x'" and error.value.where == "candidates"


def test_a_run_or_model_that_is_not_there(tmp_path: Path) -> None:
    for call in (
        lambda: load_run("none", runs_dir=tmp_path),
        lambda: evaluate("none", "data.csv", runs_dir=tmp_path),
    ):
        with pytest.raises(InputError) as error:
            call()
        assert error.value.found == "there is no run 'none'"


def test_values_of_other_types() -> None:
    assert plain(Path("a/b.csv")) == "a/b.csv"
    assert type(plain(np.float32(0.5))) is float and type(plain(np.int64(3))) is int


def test_calls_work_in_a_thread(tmp_path: Path) -> None:
    """Signals are the main thread's; a call in another one must not touch them."""
    found: list[str] = []
    before = signal.getsignal(signal.SIGINT)

    def call() -> None:
        try:
            finetune(batch_size=0, runs_dir=tmp_path)
        except InputError as error:
            found.append(error.found)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    assert found == ["batch_size is 0"]
    assert signal.getsignal(signal.SIGINT) is before
