"""That what the small server answers is what KFP 2.17.0 answered; and what is sent to it."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.cluster.conftest import Cli
from tests.cli.cluster.kubeflow import Kubeflow
from tests.cli.cluster.test_schedules import MONDAY

Submit = Callable[..., tuple[int, str, str]]
RECORDED = json.loads((Path(__file__).parent / "recordings" / "created.json").read_text())
# Of a run that has ended, or that a schedule's controller stamps.
_LATER = {"finished_at", "run_details"}
_FIXED = ("storage_state", "service_account", "max_concurrency", "no_catchup", "namespace")


def answered(cli: Cli, path: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{cli.host}/apis/v2beta1/{path}") as answer:  # noqa: S310
        found: dict[str, Any] = json.load(answer)
        return found


def test_the_small_server_answers_as_the_real_one(
    kubeflow: Kubeflow, submit: Submit, cli: Cli
) -> None:
    assert submit("--name", "succeeded")[0] == 0
    assert submit("--name", "uploaded", "--upload")[0] == 0
    assert submit("--name", "every", "--cron", "0 6 * * 1")[0] == 0
    (schedule,) = kubeflow.schedules.values()
    kubeflow.start(schedule, MONDAY)
    runs = {run.display_name: run for run in kubeflow.runs.values()}
    scheduled = next(run for run in kubeflow.runs.values() if run.recurring_run_id)
    answers = {
        "experiment": answered(cli, "experiments")["experiments"][0],
        "pipeline": answered(cli, "pipelines")["pipelines"][0],
        "recurring_run": answered(cli, "recurringruns")["recurringRuns"][0],
        "succeeded": answered(cli, f"runs/{runs['succeeded'].run_id}"),
        "uploaded": answered(cli, f"runs/{runs['uploaded'].run_id}"),
        "scheduled": answered(cli, f"runs/{scheduled.run_id}"),
    }
    for name, answer in answers.items():
        recorded = RECORDED[name]
        # A description is only there where one was given, which version 0.1.0 did not.
        assert answer.keys() - _LATER - {"description"} == recorded.keys() - _LATER, name
        for field in _FIXED:
            assert answer.get(field) == recorded.get(field), (name, field)


def test_what_is_registered_has_names_that_people_know(kubeflow: Kubeflow, submit: Submit) -> None:
    assert submit("--upload")[0] == 0
    (pipeline,) = kubeflow.pipelines.values()
    assert (pipeline.name, pipeline.display_name) == (
        "kfp-finetune",
        "Fine-tune a Transformers model",
    )
    assert pipeline.description.startswith("Fine-tune a Transformers model on TensorFlow")
    (version,) = kubeflow.versions.values()
    assert version.description == pipeline.description
    assert version.name == version.display_name
    release, _, digest = version.name.partition("-")
    assert (release, len(digest), int(digest, 16) >= 0) == ("0.2.0", 7, True)
    (experiment,) = kubeflow.experiments.values()
    assert experiment.description == "Runs of kfp-finetune"


def test_a_pipeline_of_an_earlier_version_is_the_same_pipeline(
    kubeflow: Kubeflow, submit: Submit
) -> None:
    """0.1.0 gave it its plain name for display."""
    from kfp_server_api import V2beta1Pipeline

    fields = {k: v for k, v in RECORDED["pipeline"].items() if k != "created_at"}
    kubeflow.pipelines["old"] = V2beta1Pipeline(**fields)
    assert submit("--upload")[0] == 0
    (version,) = kubeflow.versions.values()
    assert version.pipeline_id == RECORDED["pipeline"]["pipeline_id"]
    assert list(kubeflow.pipelines) == ["old"]


@pytest.mark.parametrize(
    ("arguments", "found", "where"),
    [
        (["--name", "a" * 300], "the name has 300 characters: aaaa", "--name"),
        (["--name", ""], "the name is empty", "--name"),
        (["--name", "two\nlines"], "the name contains control characters", "--name"),
        (["--name", "{{workflow.name}}"], "name contains {{", "--name"),
        (["--experiment", "b" * 128], "the name has 128 bytes in UTF-8", "--experiment"),
        (["--experiment", "ü" * 64], "the name has 128 bytes in UTF-8", "--experiment"),
        (["--text-column", "{{workflow.name}}"], "text_column contains {{", "--text-column"),
        (["--label-names", "a,{{$.x}}"], "label_names contains {{", "--label-names"),
        (["--stage-uri", "/a/stage"], "'/a/stage' is not a folder in an", "--stage-uri"),
        (["--stage-uri", "https://host/a"], "'https://host/a' is not a folder", "--stage-uri"),
        (["--stage-uri", "s3://"], "'s3://' is not a folder in an object", "--stage-uri"),
        (["--cron", "60 * * * *"], "'60 * * * *' is not a valid cron expression", "--cron"),
        (["--cron", "0 0 30 2 *"], "'0 0 30 2 *' never matches a date", "--cron"),
    ],
)
def test_what_a_cluster_chokes_on_is_refused_before_anything_is_sent(
    kubeflow: Kubeflow, submit: Submit, arguments: list[str], found: str, where: str
) -> None:
    code, out, err = submit(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {found}"), err
    assert f"where:    {where}" in err
    assert not [request for request in kubeflow.asked if request.startswith("POST")]
    assert not any(request.endswith(("runs", "experiments")) for request in kubeflow.asked)


@pytest.mark.parametrize(
    "name",
    ['it\'s "quoted"', "a/b\\c", "Übung – größer", "学習 実行", "a+b 100% %20 #?&=;", "x" * 255],
)
def test_names_that_work(kubeflow: Kubeflow, submit: Submit, cli: Cli, name: str) -> None:
    assert submit("--name", name, "--experiment", name[:120])[0] == 0
    (run,) = kubeflow.runs.values()
    assert run.display_name == name
    assert submit("--name", "another", "--experiment", name[:120])[0] == 0
    (experiment,) = kubeflow.experiments.values()  # found again
    assert experiment.display_name == name[:120]
    assert submit("--cron", "0 6 * * 1", "--name", name)[0] == 0
    assert cli("schedules", "delete", name)[0] == 0
    code, out, err = cli("status", name)
    assert (code, err) == (0, "")
    assert f"run {name} ({run.run_id})" in out
    row = next(line for line in cli("runs")[1].splitlines() if line.endswith(run.run_id))
    assert row.startswith(name if len(name) <= 40 else name[:39] + "…  ")
    assert len(row) <= 80
