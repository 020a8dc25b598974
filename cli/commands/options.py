"""Options that several commands share, each declared once."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from kfp_finetune.components.errors import InputError
from kfp_finetune.pipelines import parameters
from kfp_finetune.pipelines.parameters import MOST_USED_TITLE as MOST_USED

if TYPE_CHECKING:
    from kfp_finetune.cli.cluster.platform import Platform
    from kfp_finetune.cli.cluster.submit import Submission
    from kfp_finetune.pipelines.catalog import Pipeline

_RESOURCES = "Resources per step"
_SUBMISSION = "Submission"


class Runner(StrEnum):
    """Where the pipeline steps run."""

    subprocess = "subprocess"
    docker = "docker"


ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help="YAML file of parameters; options override it, and its paths are relative to the"
        " file.",
        rich_help_panel=MOST_USED,
    ),
]
NameOption = Annotated[
    str | None,
    typer.Option(
        "--name",
        help="Name of the run; by default the dataset's name and the time.",
        rich_help_panel=MOST_USED,
    ),
]
RunsDirOption = Annotated[Path, typer.Option("--runs-dir", help="Folder of the local runs.")]
PipelineOption = Annotated[
    str, typer.Option("--pipeline", help="Pipeline to use: finetune or compare_schedules.")
]
PresetOption = Annotated[
    str | None,
    typer.Option(
        "--preset",
        help="Named settings, which options override: course (5e-5 decaying to 0 over 3 epochs,"
        " 128 tokens, initial bias of zeros). With compare_schedules, the candidates: course,"
        " shapes or rates.",
    ),
]
SeedsOption = Annotated[
    str | None,
    typer.Option(
        "--seeds", metavar="N,N,…", help="Train every candidate once with each of these seeds."
    ),
]
NoCacheOption = Annotated[
    bool, typer.Option("--no-cache", help="Do not reuse results of earlier runs.")
]
RunnerOption = Annotated[
    Runner,
    typer.Option(
        "--runner", help="Run steps as processes on this machine, or in Docker containers."
    ),
]
ImageOption = Annotated[
    str | None,
    typer.Option(
        "--image", help="Image of the Docker containers; by default the one `make image` builds."
    ),
]
ModelArgument = Annotated[
    str,
    typer.Argument(
        metavar="RUN_OR_MODEL", help="Name or folder of a run, or folder of a trained model."
    ),
]
ClusterRunArgument = Annotated[
    str, typer.Argument(metavar="RUN", help="The run's id, or its name if the name is unique.")
]
RootOption = Annotated[
    str | None,
    typer.Option(
        "--pipeline-root",
        help="Location of the run's artifacts, if the run does not record it and they are not in"
        " Kubeflow's own store. Set AWS_ENDPOINT_URL to the address of an S3 store.",
    ),
]


@dataclass(frozen=True)
class PlatformFlags:
    """Options for the resources that the cluster gives to the pipeline steps."""

    image: Annotated[
        str | None,
        typer.Option(
            help="Image for every pipeline step, instead of the built-in one.",
            rich_help_panel=_RESOURCES,
        ),
    ] = None
    platform: Annotated[
        Path | None,
        typer.Option(
            help="YAML file with resources, node selectors, tolerations, volumes, secrets, retries"
            " and caching of the steps; see docs/cluster.md. Options override it.",
            rich_help_panel=_RESOURCES,
        ),
    ] = None
    cpu: Annotated[
        str | None,
        typer.Option(help="CPUs for finetune, such as 4.", rich_help_panel=_RESOURCES),
    ] = None
    memory: Annotated[
        str | None,
        typer.Option(help="Memory for finetune, such as 16Gi.", rich_help_panel=_RESOURCES),
    ] = None
    gpus: Annotated[
        int | None,
        typer.Option(help="NVIDIA GPUs for finetune.", min=1, rich_help_panel=_RESOURCES),
    ] = None
    secret: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME/KEY=VARIABLE",
            help="Pass a key of a Kubernetes secret to every step as an environment variable, such"
            " as hub/token=HF_TOKEN. Can be repeated.",
            rich_help_panel=_RESOURCES,
        ),
    ] = None

    def load(self, pipeline: Pipeline) -> Platform:
        """Read the platform file and apply the options.

        Raises:
            InputError: If the file or an option is wrong.
        """
        from kfp_finetune.cli.cluster import platform

        return platform.load(
            self.platform,
            parameters.steps(pipeline.definition) if pipeline.definition.exists() else [],
            image=self.image,
            cpu=self.cpu,
            memory=self.memory,
            gpus=self.gpus,
            secrets=self.secret or (),
        )


@dataclass(frozen=True)
class SubmissionFlags:
    """Options for starting a pipeline on a cluster."""

    name: NameOption = None
    wait: Annotated[
        bool,
        typer.Option(
            "--wait",
            help="Show progress until the run has ended; exit code 1 if it fails.",
            rich_help_panel=_SUBMISSION,
        ),
    ] = False
    stage_uri: Annotated[
        str | None,
        typer.Option(
            help="s3:// or gs:// folder to upload local files to, named by the hash of their"
            " content; required if the data or the model is local.",
            rich_help_panel=_SUBMISSION,
        ),
    ] = None
    experiment: Annotated[
        str, typer.Option(help="Experiment to list the run under.", rich_help_panel=_SUBMISSION)
    ] = "kfp-finetune"
    service_account: Annotated[
        str | None,
        typer.Option(help="Kubernetes service account of the pods.", rich_help_panel=_SUBMISSION),
    ] = None
    pipeline_root: Annotated[
        str | None,
        typer.Option(
            help="Folder to store the artifacts in; by default the pipeline root of the cluster.",
            rich_help_panel=_SUBMISSION,
        ),
    ] = None
    cron: Annotated[
        str | None,
        typer.Option(
            help='Run on a schedule, in UTC, such as "0 6 * * 1" for Mondays at six.',
            rich_help_panel=_SUBMISSION,
        ),
    ] = None
    upload: Annotated[
        bool,
        typer.Option(
            "--upload",
            help="Register this version of the pipeline first, and run it.",
            rich_help_panel=_SUBMISSION,
        ),
    ] = False
    no_cache: NoCacheOption = False

    def as_submission(self) -> Submission:
        """Return the checked options for the cluster client.

        Raises:
            InputError: If the options contradict each other, or a name or a URI is wrong.
        """
        from kfp_finetune.cli.cluster.checks import check_submission
        from kfp_finetune.cli.cluster.cron import checked
        from kfp_finetune.cli.cluster.submit import Submission

        if self.cron is not None and self.wait:
            raise InputError(
                "--wait is given with --cron, but nothing starts now",
                where="the command line",
                expected="one of them",
                remedy="omit --wait or --cron",
            )
        submission = Submission(
            experiment=self.experiment,
            name=self.name,
            service_account=self.service_account,
            pipeline_root=self.pipeline_root,
            stage_uri=self.stage_uri,
            cron=checked(self.cron) if self.cron is not None else None,
            upload=self.upload,
            use_cache=not self.no_cache,
        )
        check_submission(submission)
        return submission

    def check_local(self) -> None:
        """Check that no option is given that only applies to a cluster.

        Raises:
            InputError: If one is.
        """
        plain = SubmissionFlags(name=self.name, no_cache=self.no_cache)
        given = [f.name for f in fields(self) if getattr(self, f.name) != getattr(plain, f.name)]
        if given:
            options = ", ".join("--" + name.replace("_", "-") for name in given)
            raise InputError(
                f"{options} is given without --host",
                where="the command line",
                expected="a cluster",
                remedy=f"add --host URL, or omit {options} to run here",
            )


def takes(**groups: type) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add the options of dataclasses such as `Connection` to a command.

    Args:
        **groups: The dataclasses, by the names of the command's parameters.
    """
    options = {name: _options(group) for name, group in groups.items()}

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        @wraps(function)
        def command(**given: Any) -> None:
            for name, group in groups.items():
                given[name] = group(**{o.name: given.pop(o.name) for o in options[name]})
            function(**given)

        return with_options(command, function, groups, [o for of in options.values() for o in of])

    return decorate


def with_options(
    command: Callable[..., None],
    function: Callable[..., None],
    replaced: Sequence[str] | dict[str, type],
    options: Sequence[inspect.Parameter],
) -> Callable[..., None]:
    """Set the signature that Typer reads: a function's own, with some parameters replaced.

    Args:
        command: The function that Typer calls.
        function: The original function.
        replaced: Names of its parameters to replace.
        options: The options that replace them.
    """
    own = inspect.signature(function, eval_str=True)
    kept = [
        p.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for p in own.parameters.values()
        if p.name not in replaced
    ]
    everything = [*options, *kept]
    command.__signature__ = own.replace(parameters=everything)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in everything}
    return command


def _options(group: type) -> Sequence[inspect.Parameter]:
    annotations = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=annotations[field.name],
        )
        for field in fields(group)
    ]
