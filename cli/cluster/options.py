"""Options that several commands share, declared once each."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from kfp_finetune.cli import parameters

if TYPE_CHECKING:
    from kfp_finetune.cli.catalog import Pipeline
    from kfp_finetune.cli.cluster.platform import Platform


@dataclass(frozen=True)
class Connection:
    """Which Kubeflow, and as whom. Tokens and cookies are never options: everybody sees those."""

    host: Annotated[
        str | None,
        typer.Option(
            envvar="KF_PIPELINES_ENDPOINT",
            help="Address of Kubeflow Pipelines, such as http://localhost:8080; in a pod of the"
            " cluster it is found. A bearer token or cookies may be in KFP_TOKEN or KFP_COOKIES.",
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
        parts = [("--host", self.host), ("--namespace", self.namespace)]
        parts += [("--token-file", self.token_file), ("--cookies-file", self.cookies_file)]
        return "".join(f" {name} {value}" for name, value in parts if value)


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
            parameters.steps(pipeline.definition),
            image=self.image,
            cpu=self.cpu,
            memory=self.memory,
            gpus=self.gpus,
            secrets=self.secret or (),
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
