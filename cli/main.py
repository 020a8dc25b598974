"""The kfp-finetune command: what it is called, what it takes, how it exits.

Every import of weight is inside a function: help answers at once.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from kfp_finetune.cli.cluster import commands
from kfp_finetune.cli.cluster.options import (
    Connection,
    PlatformFlags,
    PresetOption,
    RunsDirOption,
    SeedsOption,
    takes,
)
from kfp_finetune.cli.commands import model_commands
from kfp_finetune.cli.pipeline import options
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.uris import without_secrets
from kfp_finetune.pipelines import catalog, parameters
from kfp_finetune.progress.failures import LoggedError, logged
from kfp_finetune.progress.lines import clean

app = typer.Typer(
    name="kfp-finetune",
    help="Fine-tune Transformers models on TensorFlow as Kubeflow Pipelines steps.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich would cut long options to fit, and doubles the time to help
    context_settings={"help_option_names": ["-h", "--help"]},
)

PipelineOption = Annotated[str, typer.Option("--pipeline", help="Which pipeline.")]
_FINETUNE = catalog.PIPELINES["finetune"]


def _parameters() -> tuple[parameters.Parameter, ...]:
    """The parameters offered as options; none before the pipeline has been compiled at all."""
    with contextlib.suppress(InputError):
        return parameters.load(_FINETUNE.definition)
    return ()


class Runner(StrEnum):
    """What runs the steps."""

    subprocess = "subprocess"
    docker = "docker"


NoCacheOption = Annotated[
    bool, typer.Option("--no-cache", help="Take nothing over from earlier runs.")
]
RunnerOption = Annotated[
    Runner, typer.Option(help="Steps as processes of this machine, or in Docker containers.")
]
ImageOption = Annotated[
    str | None,
    typer.Option(help="The containers' image, instead of the one that make image builds."),
]


@app.command("run", cls=options.GroupedCommand)
@options.as_options(_parameters(), auto=True)
def run(
    flags: dict[str, Any],
    pipeline: PipelineOption = "finetune",
    config: Annotated[
        Path | None,
        typer.Option(help="YAML file of parameters; flags come first. Its paths are its own."),
    ] = None,
    preset: PresetOption = None,
    seeds: SeedsOption = None,
    runs_dir: RunsDirOption = Path("runs"),
    name: Annotated[
        str | None, typer.Option(help="The run's name; the dataset's and the time if not given.")
    ] = None,
    no_cache: NoCacheOption = False,
    runner: RunnerOption = Runner.subprocess,
    image: ImageOption = None,
) -> None:
    """Fine-tune a model here; without a dataset, on the bundled sample."""
    from kfp_finetune.local.start import start

    start(
        catalog.find(pipeline),
        flags,
        config=config,
        preset=preset,
        seeds=seeds,
        runs_dir=runs_dir,
        name=name,
        use_cache=not no_cache,
        runner=runner.value,
        image=image,
    )


@app.command("resume")
@takes(connection=Connection)
def resume(
    connection: Connection,
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help="A local run's name or folder; with --host a cluster run's id or name.",
        ),
    ],
    runs_dir: RunsDirOption = Path("runs"),
    allow_differences: Annotated[
        bool,
        typer.Option(
            "--allow-differences",
            help="Go on also where something differs that determines the result, such as the"
            " number of threads; the result is then not bit-identical.",
        ),
    ] = False,
    uri: Annotated[
        list[str] | None,
        typer.Option(
            "--uri",
            help="A URI of the run with its user, password or token, which are not stored.",
        ),
    ] = None,
) -> None:
    """Continue a killed, interrupted or failed run after its last checkpoint."""
    if connection.host is not None:
        from kfp_finetune.cli.cluster.client import Cluster
        from kfp_finetune.cli.cluster.resume import resume

        if allow_differences:
            raise InputError(
                "--allow-differences is given with --host",
                where="the command line",
                expected="a run of this machine",
                remedy="omit --allow-differences: on a cluster every retry has the same image",
            )
        resume(Cluster(connection), run)
        return
    from kfp_finetune.local import execution

    execution.resume(run, runs_dir, allow_differences=allow_differences, uris=uri or [])


@app.command("find-lr", cls=options.GroupedCommand)
@options.as_options(
    [p for p in _parameters() if p.step in ("load_data", "count_steps", "finetune")]
)
def find_lr(
    flags: dict[str, Any],
    config: Annotated[
        Path | None,
        typer.Option(help="YAML file of parameters, as for run; flags come first."),
    ] = None,
    runs_dir: RunsDirOption = Path("runs"),
    name: Annotated[
        str | None, typer.Option(help="The run's name; find-lr, the dataset's and the time.")
    ] = None,
    no_cache: NoCacheOption = False,
    runner: RunnerOption = Runner.subprocess,
    image: ImageOption = None,
) -> None:
    """Suggest a learning rate: train a little with one that rises, and look at the loss."""
    from kfp_finetune.local.range_test import find_learning_rate
    from kfp_finetune.pipelines.settings import settings
    from kfp_finetune.runs.trained_models import base_model

    values = settings(_FINETUNE, flags, config)
    values["model"] = base_model(values["model"], runs_dir)
    find_learning_rate(
        values,
        parameters.defaults(_FINETUNE.definition),
        runs_dir,
        name,
        use_cache=not no_cache,
        runner=runner.value,
        image=image,
    )


@app.command("check", cls=options.GroupedCommand)
@options.as_options([p for p in _parameters() if p.step in ("load_data", "count_steps")])
def check(
    flags: dict[str, Any],
    source: Annotated[
        str | None,
        typer.Argument(metavar="DATASET", help="What to read; the same as --dataset."),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print the report as one JSON object.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Save the report as this HTML page.")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(help="YAML file of parameters, as for run; flags come first."),
    ] = None,
) -> None:
    """Say what is in a dataset, and how long training on it would be; nothing is trained."""
    from kfp_finetune.cli.local.data_check import check_data

    if source is not None:
        if "dataset" in flags:
            raise InputError(
                "the dataset is given twice",
                where="the command line",
                expected="DATASET or --dataset",
                remedy="leave one of them out",
            )
        flags["dataset"] = source
    check_data(_FINETUNE, flags, config, as_json=json, output=output)


@app.command("runs")
@takes(connection=Connection)
def runs(
    connection: Connection,
    sort: Annotated[
        str | None,
        typer.Option(
            metavar="METRIC",
            help="The best first by this metric, such as accuracy; else the newest.",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON list.")] = False,
    prune: Annotated[
        bool,
        typer.Option(
            "--prune", help="Remove the runs that failed or were interrupted, if you agree."
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    runs_dir: RunsDirOption = Path("runs"),
) -> None:
    """Compare runs: data, model, schedule, steps, metrics; with --host, those of a cluster."""
    from kfp_finetune.cli.runs import table

    if connection.host is not None:
        if prune or sort:
            raise InputError(
                "a cluster's runs are neither sorted by a metric nor removed",
                where="the command line",
                expected="--sort and --prune without --host",
                remedy="kfp-finetune fetch brings runs here, where they can be compared",
            )
        from kfp_finetune.cli.cluster.actions import cluster_runs

        table.list_cluster_runs(cluster_runs(connection), as_json=json)
    elif prune:
        table.prune(runs_dir, yes=yes)
    else:
        table.list_runs(runs_dir, sort=sort, as_json=json)


@app.command("compile")
@takes(flags=PlatformFlags)
def compile_(
    flags: PlatformFlags,
    pipeline: PipelineOption = "finetune",
    output: Annotated[Path, typer.Option("-o", "--output", help="The file to write.")] = Path(
        "pipeline.yaml"
    ),
) -> None:
    """Write a pipeline as YAML for Kubeflow Pipelines."""
    from kfp_finetune.cli.pipeline.compilation import compile_pipeline

    chosen = catalog.find(pipeline)
    compile_pipeline(chosen, output, flags.load(chosen))
    print(f"wrote {output}")


model_commands.register(app, _parameters())
commands.register(app, _parameters())


@app.command("tensorboard")
@takes(connection=Connection)
def tensorboard(
    connection: Connection,
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN]...",
            help="Names or folders of runs; the newest if none. With --host also cluster runs.",
        ),
    ] = None,
    runs_dir: RunsDirOption = Path("runs"),
    port: Annotated[int, typer.Option(help="The first port to try.", min=0, max=65535)] = 6006,
    bind: Annotated[str, typer.Option(help="The address to listen on.")] = "localhost",
    pipeline_root: commands.RootOption = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Keep copying what cluster runs go on writing.")
    ] = False,
) -> None:
    """Open TensorBoard on runs, side by side: the learning rate of every step, the losses."""
    from kfp_finetune.cli.local.tensorboard import serve

    if connection.host is None:
        serve(runs or [], runs_dir, bind, port)
        return
    from kfp_finetune.cli.cluster.live import serve_with_cluster

    serve_with_cluster(runs or [], runs_dir, bind, port, connection, pipeline_root, follow=follow)


def _inert(message: str) -> str:
    """A message, whose words may come from data or a library, safe to show on a terminal."""
    # Not of what begins with a URI: all of that would be taken for it.
    lines = without_secrets(message).split("\n")
    return "\n".join(line[: len(line) - len(line.lstrip(" "))] + clean(line) for line in lines)


def _print_error(text: str) -> None:
    from kfp_finetune.progress.wrapping import message

    print(message(_inert(text), sys.stderr), file=sys.stderr)


def _check_working_folder() -> None:
    try:
        Path.cwd()
    except OSError as error:
        raise InputError(
            f"the working directory cannot be used: {error.strerror}",
            where=os.environ.get("PWD", ""),
            expected="a folder that is there",
            remedy="cd to another; if it has been made anew: cd .",
        ) from None


def main() -> None:
    """The entry point.

    Raises:
        SystemExit: 0 success; 2 wrong input; 128 + signal; 1 anything else.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that knows no ÷
    try:
        _check_working_folder()
        app()
    except InputError as error:
        for problem in error.problems:
            _print_error(f"error: {problem}")
        raise SystemExit(InputError.exit_code) from None
    except Exception as error:
        try:
            said = error if isinstance(error, LoggedError) else logged(error)
        except OSError:  # no place for a log: then here
            raise error from None
        _print_error(f"error: {said}")
        raise SystemExit(1) from None
    except KeyboardInterrupt:  # before a command has taken the signals over
        print("interrupted", file=sys.stderr)
        raise SystemExit(128 + signal.SIGINT) from None
    except BaseException as error:
        code = getattr(error, "exit_code", None)
        if code is None:
            raise
        print(f"interrupted ({error})", file=sys.stderr)
        if code == 128 + signal.SIGPIPE:  # nobody reads what Python would flush at its end
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(code) from None


if __name__ == "__main__":
    main()
