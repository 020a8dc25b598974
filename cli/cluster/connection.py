"""The address of Kubeflow Pipelines and the credentials of a command."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

PANEL = "Cluster"


@dataclass(frozen=True)
class Connection:
    """Options for reaching a cluster. Tokens and cookies are never passed as options."""

    host: Annotated[
        str | None,
        typer.Option(
            help="URL of Kubeflow Pipelines, such as http://localhost:8080. A bearer token is read"
            " from KFP_TOKEN, cookies from KFP_COOKIES.",
            rich_help_panel=PANEL,
        ),
    ] = None
    namespace: Annotated[
        str | None,
        typer.Option(
            "-n",
            "--namespace",
            help="Your namespace, on a multi-user installation.",
            rich_help_panel=PANEL,
        ),
    ] = None
    token_file: Annotated[
        Path | None,
        typer.Option(
            help="File with a bearer token; it is read again when the token expires.",
            rich_help_panel=PANEL,
        ),
    ] = None
    cookies_file: Annotated[
        Path | None,
        typer.Option(help="File with cookies: NAME=VALUE; NAME=VALUE.", rich_help_panel=PANEL),
    ] = None

    @property
    def flags(self) -> str:
        """The options as text, to append to a command."""
        given = {
            "--host": self.host,
            "--namespace": self.namespace,
            "--token-file": self.token_file,
            "--cookies-file": self.cookies_file,
        }
        return "".join(f" {name} {value}" for name, value in given.items() if value)
