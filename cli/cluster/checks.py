"""Reject names and URIs that a cluster would change or fail on, before anything is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.storage.uris import without_secrets
from kfp_finetune.pipelines.checks import check_templates

if TYPE_CHECKING:
    from kfp_finetune.cli.cluster.submit import Submission

# Sizes of columns in KFP's database. If a run's name is too long, the server returns HTTP 500 but
# starts the run, which is then invisible.
_RUN_CHARACTERS = 255
# KFP counts these in bytes. We choose the names of pipelines and versions, which are short.
_EXPERIMENT_BYTES = 127
_STAGES = ("s3://", "gs://")


def check_submission(submission: Submission) -> None:
    """Check names and locations.

    Raises:
        InputError: Listing every problem.
    """
    problems: list[InputError] = []
    if submission.name is not None:
        problems += _name("--name", submission.name, len(submission.name), _RUN_CHARACTERS)
    size = len(submission.experiment.encode())
    problems += _name("--experiment", submission.experiment, size, _EXPERIMENT_BYTES)
    problems += _stage(submission.stage_uri)
    if problems:
        raise InputError.of_all(problems)
    check_templates(
        {
            "name": submission.name,
            "experiment": submission.experiment,
            "pipeline_root": submission.pipeline_root,
            "service_account": submission.service_account,
        }
    )


def _name(option: str, name: str, size: int, longest: int) -> list[InputError]:
    unit = "characters" if longest == _RUN_CHARACTERS else "bytes in UTF-8"
    if not name.strip():
        found = "the name is empty"
    elif size > longest:
        found = f"the name has {size} {unit}: {name[:40]}…"
    elif not name.isprintable():
        found = f"the name contains control characters: {name!r}"
    else:
        return []
    return [
        InputError(
            found,
            where=option,
            expected=f"at most {longest} {unit}, on one line",
            remedy="choose a shorter name" if size > longest else "choose another name",
        )
    ]


def _stage(uri: str | None) -> list[InputError]:
    if uri is None:
        return []
    scheme = next((s for s in _STAGES if uri.lower().startswith(s)), None)
    if scheme is not None and uri[len(scheme) :].partition("?")[0].strip("/"):
        return []
    return [
        InputError(
            f"'{without_secrets(uri)}' is not a folder in an object store",
            where="--stage-uri",
            expected="s3://BUCKET/FOLDER or gs://BUCKET/FOLDER, which the steps can read",
            remedy="for example --stage-uri s3://mlpipeline/data, which is Kubeflow's own bucket",
        )
    ]
