"""The commands on a cluster: what they are called and what they take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from kfp_finetune.cli.cluster import schedules
from kfp_finetune.cli.cluster.options import (
    Connection,
    PlatformFlags,
    PresetOption,
    RunsDirOption,
    SeedsOption,
    SubmissionFlags,
    takes,
)
from kfp_finetune.cli.pipeline import options
from kfp_finetune.pipelines import catalog, parameters

RunArgument = Annotated[
    str, typer.Argument(metavar="RUN", help="The run's id, or its name if only one has it.")
]
RootOption = Annotated[
    str | None,
    typer.Option(
        "--pipeline-root",
        help="Where the run's artifacts are, if it was not said when it was submitted and is not"
        " Kubeflow's own store. AWS_ENDPOINT_URL says where an S3 store is.",
    ),
]


def register(app: typer.Typer, offered: tuple[parameters.Parameter, ...]) -> None:
    """Add the commands.

    Args:
        app: The command line.
        offered: The pipeline's parameters.
    """

    @app.command("submit", cls=options.GroupedCommand)
    @options.as_options(offered)
    @takes(connection=Connection, submission=SubmissionFlags, platform=PlatformFlags)
    def submit(
        flags: dict[str, Any],
        connection: Connection,
        submission: SubmissionFlags,
        platform: PlatformFlags,
        pipeline: Annotated[str, typer.Option(help="Which pipeline.")] = "finetune",
        config: Annotated[
            Path | None,
            typer.Option(help="YAML file of parameters; flags come first. Its paths are its own."),
        ] = None,
        preset: PresetOption = None,
        seeds: SeedsOption = None,
        runs_dir: RunsDirOption = Path("runs"),
    ) -> None:
        """Fine-tune a model on a Kubeflow cluster; takes the parameters of run."""
        from kfp_finetune.cli.cluster import actions
        from kfp_finetune.pipelines.settings import settings
        from kfp_finetune.runs.trained_models import base_model

        chosen = catalog.find(pipeline)
        values = settings(chosen, flags, config, preset, seeds)
        values["model"] = base_model(values["model"], runs_dir)
        actions.submit(chosen, values, connection, submission, platform)

    @app.command("rerun", cls=options.GroupedCommand)
    @options.as_options(offered)
    @takes(connection=Connection, submission=SubmissionFlags, platform=PlatformFlags)
    def rerun(
        flags: dict[str, Any],
        connection: Connection,
        submission: SubmissionFlags,
        platform: PlatformFlags,
        run: Annotated[
            str,
            typer.Argument(
                metavar="RUN",
                help="A local run's name or folder; with --host also a cluster run's id or name.",
            ),
        ],
        runs_dir: RunsDirOption = Path("runs"),
    ) -> None:
        """Run again with what is named changed; here, or with --host on a cluster."""
        from kfp_finetune.cli.pipeline.changes import rerun_here
        from kfp_finetune.pipelines.settings import with_paths
        from kfp_finetune.runs.trained_models import base_model

        changes = with_paths(flags, Path())
        if changes.get("model"):
            changes["model"] = base_model(changes["model"], runs_dir)
        if connection.host is None:
            submission.check_local()
            rerun_here(
                run,
                changes,
                runs_dir=runs_dir,
                new_name=submission.name,
                use_cache=not submission.no_cache,
            )
            return
        from kfp_finetune.cli.cluster import reruns

        reruns.rerun(run, changes, runs_dir, connection, submission, platform)

    @app.command("status")
    @takes(connection=Connection)
    def status(connection: Connection, run: RunArgument) -> None:
        """Show how far a cluster run is, why it waits and why it has failed."""
        from kfp_finetune.cli.cluster import status
        from kfp_finetune.cli.cluster.client import Cluster

        status.show(Cluster(connection), run)

    @app.command("logs")
    @takes(connection=Connection)
    def logs(
        connection: Connection,
        run: RunArgument,
        step: Annotated[str, typer.Argument(metavar="STEP", help="Such as finetune.")],
        candidate: Annotated[
            str | None,
            typer.Option(help="Candidate of a comparison: its name, or its number from 1."),
        ] = None,
        attempt: Annotated[
            int | None, typer.Option(help="Attempt of a retried step, from 1; else the last.")
        ] = None,
        follow: Annotated[
            bool, typer.Option("--follow", "-f", help="Go on until the step has ended.")
        ] = False,
        pipeline_root: RootOption = None,
    ) -> None:
        """Print what a step of a cluster run has printed, also after its pod is gone."""
        from kfp_finetune.cli.cluster import logs
        from kfp_finetune.cli.cluster.client import Cluster

        wanted = logs.Wanted(step, candidate, attempt, pipeline_root)
        logs.show(Cluster(connection), run, wanted, follow=follow)

    @app.command("terminate")
    @takes(connection=Connection)
    def terminate(connection: Connection, run: RunArgument) -> None:
        """Terminate a cluster run."""
        from kfp_finetune.cli.cluster import actions

        actions.terminate(run, connection)

    schedules.register(app)

    @app.command("fetch")
    @takes(connection=Connection)
    def fetch(
        connection: Connection,
        run: RunArgument,
        output: Annotated[
            Path | None,
            typer.Option("-o", "--output", help="The run folder to make; runs/NAME if not given."),
        ] = None,
        pipeline_root: RootOption = None,
        everything: Annotated[
            bool, typer.Option("--all", help="Download the tokenized data, too.")
        ] = False,
    ) -> None:
        """Download a cluster run: metrics, report, TensorBoard logs, model; or what is missing."""
        from kfp_finetune.cli.cluster import actions

        actions.fetch(run, connection, output, pipeline_root, everything=everything)
