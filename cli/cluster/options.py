"""Options that several commands share, declared once each."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from kfp_finetune.components.errors import InputError
from kfp_finetune.pipelines import parameters

if TYPE_CHECKING:
    from kfp_finetune.cli.cluster.platform import Platform
    from kfp_finetune.cli.cluster.submit import Submission
    from kfp_finetune.pipelines.catalog import Pipeline


RunsDirOption = Annotated[Path, typer.Option("--runs-dir", help="The folder of runs.")]
PresetOption = Annotated[
    str | None,
    typer.Option(help="What compare_schedules compares: course, shapes or rates."),
]
SeedsOption = Annotated[
    str | None,
    typer.Option(metavar="N,N,…", help="Seeds with which it trains every candidate."),
]


@dataclass(frozen=True)
class Connection:
    """Which Kubeflow, and as whom. Tokens and cookies are never options: everybody sees those."""

    host: Annotated[
        str | None,
        typer.Option(
            help="Address of Kubeflow Pipelines, such as http://localhost:8080. A bearer token or"
            " cookies may be in KFP_TOKEN or KFP_COOKIES.",
        ),
    ] = None
    namespace: Annotated[
        str | None,
        typer.Option("-n", "--namespace", help="Your namespace, where Kubeflow has several users."),
    ] = None
    token_file: Annotated[
        Path | None,
        typer.Option(help="A bearer token's file; it is read again when the token has expired."),
    ] = None
    cookies_file: Annotated[
        Path | None, typer.Option(help="A file with cookies: NAME=VALUE; NAME=VALUE.")
    ] = None

    @property
    def flags(self) -> str:
        """As they are to be typed again."""
        given = {
            "--host": self.host,
            "--namespace": self.namespace,
            "--token-file": self.token_file,
            "--cookies-file": self.cookies_file,
        }
        return "".join(f" {name} {value}" for name, value in given.items() if value)


@dataclass(frozen=True)
class PlatformFlags:
    """What the cluster gives the steps."""

    image: Annotated[
        str | None, typer.Option(help="The image of every step, instead of the built-in one.")
    ] = None
    platform: Annotated[
        Path | None,
        typer.Option(
            help="YAML file: resources, node selectors, tolerations, volumes, secrets, retries and"
            " caching of the steps; docs/cluster.md has an example. Flags come first."
        ),
    ] = None
    cpu: Annotated[str | None, typer.Option(help="CPUs of finetune, such as 4.")] = None
    memory: Annotated[str | None, typer.Option(help="Memory of finetune, such as 16Gi.")] = None
    gpus: Annotated[int | None, typer.Option(help="NVIDIA GPUs of finetune.", min=1)] = None
    secret: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME/KEY=VARIABLE",
            help="A key of a Kubernetes secret as an environment variable of every step, such as"
            " hub/token=HF_TOKEN; several times.",
        ),
    ] = None

    def load(self, pipeline: Pipeline) -> Platform:
        """The platform that file and flags describe.

        Raises:
            InputError: If something in them is wrong.
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
    """How a pipeline is started on a cluster."""

    name: Annotated[
        str | None, typer.Option(help="The run's name; the dataset's and the time if not given.")
    ] = None
    wait: Annotated[
        bool, typer.Option("--wait", help="Show the steps until the run has ended; 1 if it fails.")
    ] = False
    stage_uri: Annotated[
        str | None,
        typer.Option(
            help="s3:// or gs:// folder to which local files are uploaded, under the hash of their"
            " content; without it they are refused."
        ),
    ] = None
    experiment: Annotated[str, typer.Option(help="Under which the run is shown.")] = "kfp-finetune"
    service_account: Annotated[
        str | None, typer.Option(help="Kubernetes service account of the pods.")
    ] = None
    pipeline_root: Annotated[
        str | None, typer.Option(help="Where the artifacts go; the cluster's default if not given.")
    ] = None
    cron: Annotated[
        str | None,
        typer.Option(help='Run on a schedule, in UTC, such as "0 6 * * 1": Mondays at six.'),
    ] = None
    upload: Annotated[
        bool, typer.Option("--upload", help="Register this version of the pipeline, and run that.")
    ] = False
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Take nothing over from earlier runs.")
    ] = False

    def as_submission(self) -> Submission:
        """What `submit` needs of it.

        Raises:
            InputError: If the options contradict each other, or a name or a place is wrong.
        """
        from kfp_finetune.cli.cluster.checks import check_submission
        from kfp_finetune.cli.cluster.cron import checked
        from kfp_finetune.cli.cluster.submit import Submission

        if self.cron is not None and self.wait:
            raise InputError(
                "--wait is given with --cron, and nothing is started now",
                where="the command line",
                expected="one of them",
                remedy="leave one of them out",
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
        """Check that nothing is given that only a cluster knows.

        Raises:
            InputError: If something is.
        """
        plain = SubmissionFlags(name=self.name, no_cache=self.no_cache)
        given = [f.name for f in fields(self) if getattr(self, f.name) != getattr(plain, f.name)]
        if given:
            options = ", ".join("--" + name.replace("_", "-") for name in given)
            raise InputError(
                f"{options} is given without --host",
                where="the command line",
                expected="a cluster",
                remedy="add --host URL, or leave it out to run here",
            )


def takes(**groups: type) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of some of these classes.

    Args:
        **groups: Names of the command's parameters to the classes that they are instances of.
    """
    options = {name: _options(group) for name, group in groups.items()}

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        @wraps(function)
        def command(**given: Any) -> None:
            for name, group in groups.items():
                given[name] = group(**{o.name: given.pop(o.name) for o in options[name]})
            function(**given)

        own = inspect.signature(function, eval_str=True)
        kept = [
            p.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            for p in own.parameters.values()
            if p.name not in groups
        ]
        everything = kept + [option for name in groups for option in options[name]]
        command.__signature__ = own.replace(parameters=everything)  # type: ignore[attr-defined]
        command.__annotations__ = {p.name: p.annotation for p in everything}
        return command

    return decorate


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
