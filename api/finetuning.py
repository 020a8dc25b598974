"""Fine-tuning from Python, with the same code as `kfp-finetune run`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kfp_finetune.calling import call
from kfp_finetune.components.errors import InputError
from kfp_finetune.local.start import start
from kfp_finetune.pipelines import catalog, parameters
from kfp_finetune.pipelines.catalog import Pipeline
from kfp_finetune.progress.display import screen_for
from kfp_finetune.results import Run
from kfp_finetune.runs.folder import RunFolder, Runner, find

RUNS = "runs"


def finetune(
    dataset: str | Path | None = None,
    *,
    preset: str | None = None,
    runs_dir: str | Path = RUNS,
    name: str | None = None,
    config: str | Path | None = None,
    use_cache: bool = True,
    runner: Runner = "subprocess",
    image: str | None = None,
    progress: bool = True,
    **settings: Any,
) -> Run:
    """Fine-tune a model on this machine, and evaluate it.

    The steps load_data, count_steps, build_optimizer, finetune and evaluate run in separate
    processes. Ctrl-C interrupts the run and raises `KeyboardInterrupt`; `load_run(name).resume()`
    continues it after its last checkpoint.

    Args:
        dataset: The training data: a file, a folder, a URI or a Hub id; None for the bundled
            sample.
        preset: Named settings, which arguments override: "course", 5e-5 decaying to 0 over 3
            epochs, 128 tokens, and an initial bias of zeros.
        runs_dir: The folder of runs.
        name: The run's name; None for the dataset's name and the time.
        config: A YAML file of parameters; arguments override it.
        use_cache: Whether to reuse finished steps of earlier runs.
        runner: "subprocess" for processes of this machine, or "docker" for containers.
        image: The image of the containers; None for the one that `make image` builds.
        progress: Whether to show progress.
        **settings: Parameters of the pipeline, by name; `help(finetune)` lists them.
            `learning_rate` may be "auto", and `model` a Run.

    Returns:
        The run.

    Raises:
        InputError: If an argument or the data is wrong.
        LoggedError: If a step failed; the message has the path of the log.
        KeyboardInterrupt: If Ctrl-C interrupted the run.
    """
    with call():
        return Run.of(
            start(
                catalog.PIPELINES["finetune"],
                _given("finetune", "finetune", dataset, settings),
                config=_path(config),
                preset=preset,
                runs_dir=Path(runs_dir),
                name=name,
                use_cache=use_cache,
                runner=runner,
                image=image,
                screen=screen_for(progress),
            )
        )


def compare(
    dataset: str | Path | None = None,
    *,
    preset: str | None = None,
    candidates: Sequence[Mapping[str, Any]] | None = None,
    seeds: Sequence[int] | None = None,
    runs_dir: str | Path = RUNS,
    name: str | None = None,
    config: str | Path | None = None,
    use_cache: bool = True,
    runner: Runner = "subprocess",
    image: str | None = None,
    progress: bool = True,
    **settings: Any,
) -> Run:
    """Train one model with several schedules and rank them: the pipeline compare_schedules.

    Args:
        dataset: See `finetune`.
        preset: A set of candidates: "course", "shapes" or "rates".
        candidates: Your own candidates: dictionaries with a `name` and the settings that differ.
        seeds: Train every candidate with each of these seeds.
        runs_dir: See `finetune`, as for the following arguments.
        name: See `finetune`.
        config: See `finetune`.
        use_cache: See `finetune`.
        runner: See `finetune`.
        image: See `finetune`.
        progress: See `finetune`.
        **settings: Parameters of the pipeline, by name; `help(compare)` lists them.

    Returns:
        The run, whose `candidates` are ranked, the best first.

    Raises:
        InputError: If an argument or the data is wrong.
        LoggedError: If a step failed; the message has the path of the log.
        KeyboardInterrupt: If Ctrl-C interrupted the run.
    """
    with call():
        if candidates is not None:
            settings["candidates"] = [dict(candidate) for candidate in candidates]
        return Run.of(
            start(
                catalog.PIPELINES["compare_schedules"],
                _given("compare", "compare_schedules", dataset, settings),
                config=_path(config),
                preset=preset,
                seeds=_seeds(seeds),
                runs_dir=Path(runs_dir),
                name=name,
                use_cache=use_cache,
                runner=runner,
                image=image,
                screen=screen_for(progress),
            )
        )


def load_run(run: str | Path, *, runs_dir: str | Path = RUNS) -> Run:
    """Load a run on this machine, in any state.

    Args:
        run: The run's name, or its folder.
        runs_dir: The folder of runs.

    Returns:
        The run.

    Raises:
        InputError: If there is no such run.
    """
    with call():
        return Run.of(RunFolder.open(find(str(run), Path(runs_dir))))


def _path(value: str | Path | None) -> Path | None:
    return None if value is None else Path(value)


def _seeds(seeds: Sequence[int] | None) -> str | None:
    """Format seeds for the command line."""
    if seeds is None:
        return None
    if any(type(plain(seed)) is not int for seed in seeds):
        raise InputError(
            f"seeds is {seeds!r}",
            where="seeds",
            expected="a list of whole numbers",
            remedy="seeds=[1, 2, 3]",
        )
    return ",".join(str(plain(seed)) for seed in seeds)


def _given(
    call: str, pipeline: str, dataset: str | Path | None, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Check the names and types of the given parameters."""
    values = {"dataset": dataset, **settings}
    known = parameters.load(catalog.PIPELINES[pipeline].definition)
    given = {name: plain(value) for name, value in values.items() if value is not None}
    # "auto" is replaced by a number before the run: the range test finds it.
    auto = {n: given.pop(n) for n in ("learning_rate",) if given.get(n) == parameters.AUTO}
    return parameters.check(known, given, f"{call}()", f"help({call})") | auto


def plain(value: Any) -> Any:
    """Convert a value for a parameter: paths and runs to text, NumPy numbers to Python numbers."""
    if isinstance(value, Run):
        return str(value.folder)
    if isinstance(value, Path):
        return str(value)
    if type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0:
        return value.item()
    return value


def _document(function: Callable[..., Run], pipeline: Pipeline) -> None:
    """Add the parameters of a pipeline to a function's signature and documentation."""
    own = inspect.signature(function, eval_str=False)
    kept = [p for p in own.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
    names = {p.name for p in kept} | {*parameters.FILLED_IN}
    added = [p for p in parameters.load(pipeline.definition) if p.name not in names]
    function.__signature__ = own.replace(  # type: ignore[attr-defined]
        parameters=[
            *kept,
            *(
                inspect.Parameter(
                    p.name,
                    inspect.Parameter.KEYWORD_ONLY,
                    default=p.default,
                    annotation=p.type.__name__,
                )
                for p in added
            ),
        ]
    )
    lines = [f"    {p.name} ({p.step}): {p.description}" for p in added]
    function.__doc__ = f"{inspect.getdoc(function)}\n\nParameters:\n" + "\n".join(lines)


_document(finetune, catalog.PIPELINES["finetune"])
_document(compare, catalog.PIPELINES["compare_schedules"])
