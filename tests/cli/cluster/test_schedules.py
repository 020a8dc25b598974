"""Schedules: when they start runs, how they are listed and stopped, what their runs are called."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_finetune.cli.cluster.cron import Cron
from kfp_finetune.cli.cluster.recurring_runs import next_start
from tests.cli.cluster.conftest import Cli
from tests.cli.cluster.kubeflow import Kubeflow

COMMAND = Path(sys.executable).with_name("kfp-finetune")
Submit = Callable[..., tuple[int, str, str]]
MONDAY = datetime(2026, 11, 23, 6, tzinfo=UTC)


@pytest.mark.parametrize(
    ("cron", "after", "expected"),
    [
        ("0 6 * * 1", MONDAY - timedelta(seconds=1), MONDAY),
        ("0 6 * * 1", MONDAY, MONDAY + timedelta(days=7)),
        ("0 6 * * MON", MONDAY, MONDAY + timedelta(days=7)),
        ("*/2 * * * *", MONDAY, MONDAY + timedelta(minutes=2)),
        ("30 */2 * * * *", MONDAY, MONDAY + timedelta(seconds=30)),
        ("5/15 * * * *", MONDAY, MONDAY + timedelta(minutes=5)),
        ("0 0 1 jan ?", MONDAY, datetime(2027, 1, 1, tzinfo=UTC)),
        ("0 0 29 2 *", MONDAY, datetime(2028, 2, 29, tzinfo=UTC)),
        # Where a day of the month and one of the week are given, either will do.
        ("0 0 1 * 3", MONDAY, datetime(2026, 11, 25, tzinfo=UTC)),
        ("0 9-17/4 * * mon-fri", MONDAY, MONDAY.replace(hour=9)),
        ("0 0 31 4,6 *", MONDAY, None),
    ],
)
def test_next_start(cron: str, after: datetime, expected: datetime | None) -> None:
    assert Cron.parse(cron).next(after) == expected


@given(
    st.tuples(
        st.integers(0, 59), st.integers(0, 59), st.integers(0, 23), st.sets(st.integers(0, 6))
    ),
    st.datetimes(datetime(2026, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),
)
def test_the_next_start_fits_and_none_before_it_does(
    fields: tuple[int, int, int, set[int]], after: datetime
) -> None:
    second, minute, hour, weekdays = fields
    days = ",".join(map(str, sorted(weekdays))) or "*"
    start = Cron.parse(f"{second} {minute} {hour} * * {days}").next(after)
    assert start is not None
    assert after < start <= after + timedelta(days=8)
    assert (start.second, start.minute, start.hour) == (second, minute, hour)
    fitting = weekdays or set(range(7))
    between = (start - timedelta(days=n) for n in range(9))
    assert [s for s in between if s > after and s.isoweekday() % 7 in fitting] == [start]


@pytest.mark.parametrize(
    "cron", ["sometimes", "* * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *",
             "* * * * 7", "5-1 * * * *", "*/0 * * * *", "* * * * xyz", "1,,2 * * * *", "-1 * * * *"]
)  # fmt: skip
def test_what_is_no_cron_expression(submit: Submit, kubeflow: Kubeflow, cron: str) -> None:
    code, _, err = submit(f"--cron={cron}")
    assert (code, f"error: '{cron}' is not a valid cron expression" in err) == (2, True)
    assert not kubeflow.schedules


def scheduled(kubeflow: Kubeflow, submit: Submit, name: str = "weekly") -> Any:
    assert submit("--cron", "0 6 * * 1", "--name", name)[0] == 0
    return list(kubeflow.schedules.values())[-1]


def test_a_schedule_shows_when_it_starts_and_how_to_stop_it(
    kubeflow: Kubeflow, submit: Submit, cli: Cli
) -> None:
    code, out, _ = submit("--cron", "0 6 * * 1", "--name", "weekly")
    (schedule,) = kubeflow.schedules.values()
    assert code == 0
    assert "schedule weekly starts a run at 0 0 6 * * 1" in out
    assert "next start  " in out
    (stop,) = [line for line in out.splitlines() if "to stop" in line]
    command = stop.split("kfp-finetune ")[1].split()
    assert cli(*command, host=False)[0] == 0
    assert schedule.mode == "DISABLE"


def test_schedules_are_listed_with_their_next_start_and_their_last_runs(
    kubeflow: Kubeflow, submit: Submit, cli: Cli
) -> None:
    assert cli("schedules") == (0, "no schedules\n", "")
    schedule = scheduled(kubeflow, submit)
    schedule.created_at = MONDAY - timedelta(days=1)
    submit("--name", "by hand")
    _, out, _ = cli("schedules")
    assert out.splitlines()[1] == "  no runs yet"
    for week in range(5):
        kubeflow.start(schedule, MONDAY + timedelta(weeks=week))
    _, out, _ = cli("schedules")
    coming = Cron.parse("0 6 * * 1").next(datetime.now(UTC))
    first, *runs = out.splitlines()
    assert first.startswith(f"weekly  0 6 * * 1  next start {coming:%Y-%m-%d} 06:00 UTC  ")
    assert first.endswith(schedule.recurring_run_id)
    assert [line.split()[0] for line in runs] == [
        "weekly-2026-12-21-0600", "weekly-2026-12-14-0600", "weekly-2026-12-07-0600"
    ]  # fmt: skip
    (row,) = json.loads(cli("schedules", "--json")[1])
    assert (row["name"], row["status"], len(row["last_runs"])) == ("weekly", "active", 3)


def test_the_installed_command(served: tuple[str, Kubeflow], submit: Submit, cli: Cli) -> None:
    schedule = scheduled(served[1], submit)
    done = subprocess.run(
        [COMMAND, "schedules", "pause", "weekly", "--host", served[0]],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        f"schedule weekly is paused; kfp-finetune schedules resume {schedule.recurring_run_id}"
        f" --host {served[0]} resumes it\n"
    )
    assert (schedule.mode, schedule.status) == ("DISABLE", "DISABLED")


def test_a_schedule_is_paused_resumed_and_deleted(
    kubeflow: Kubeflow, submit: Submit, cli: Cli
) -> None:
    schedule = scheduled(kubeflow, submit)
    run = kubeflow.start(schedule, MONDAY)
    assert cli("schedules", "pause", "weekly")[0] == 0
    assert "  paused  " in cli("schedules")[1]
    code, out, _ = cli("schedules", "resume", schedule.recurring_run_id)
    assert (code, schedule.mode) == (0, "ENABLE")
    assert out.startswith("schedule weekly is active; next start ")
    code, out, _ = cli("schedules", "delete", "weekly")
    assert (code, kubeflow.schedules) == (0, {})
    assert out.startswith(
        "schedule weekly is deleted\nits runs are kept, under the names that Kubeflow"
    )
    assert list(kubeflow.runs) == [run.run_id]  # also while it trains
    assert cli("status", run.run_id)[0] == 0


def test_schedules_that_are_not_there(kubeflow: Kubeflow, submit: Submit, cli: Cli) -> None:
    for action in ("pause", "resume", "delete"):
        code, _, err = cli("schedules", action, "weekly")
        assert (code, "there is no schedule 'weekly'" in err) == (2, True)
        code, _, err = cli("schedules", action, "0b1e6a3e-0000-4000-8000-000000000000")
        assert (code, "there is no schedule 0b1e6a3e" in err) == (2, True)
    code, _, err = cli("schedules", "pause")
    assert (code, "no schedule is given" in err) == (2, True)
    one, other = scheduled(kubeflow, submit), scheduled(kubeflow, submit)
    code, _, err = cli("schedules", "delete", "weekly")
    assert (code, "2 schedules are named 'weekly'" in err) == (2, True)
    assert one.recurring_run_id in err
    assert other.recurring_run_id in err
    assert len(kubeflow.schedules) == 2


def test_every_scheduled_run_can_be_named(kubeflow: Kubeflow, submit: Submit, cli: Cli) -> None:
    schedule = scheduled(kubeflow, submit, "Wöchentlich 1")
    first = kubeflow.start(schedule, MONDAY)
    kubeflow.start(schedule, MONDAY + timedelta(weeks=1))
    submit("--name", "by hand")
    rows = {row["id"]: row for row in json.loads(cli("runs", "--json")[1])}
    row = rows[first.run_id]
    assert (row["name"], row["started_by"]) == ("Wöchentlich 1-2026-11-23-0600", "Wöchentlich 1")
    assert sorted(r["started_by"] or "" for r in rows.values()) == ["", *["Wöchentlich 1"] * 2]
    assert "schedule Wöchentlich 1" in cli("runs")[1]
    code, out, err = cli("status", row["name"])
    assert (code, err) == (0, "")
    assert out.startswith(f"run {row['name']} ({first.run_id})")
    assert cli("status", first.display_name)[0] == 0  # KFP's own name
    assert cli("status", "Wöchentlich 1-2026-11-24-0600")[0] == 2
    assert cli("terminate", row["name"])[0] == 0
    cli("schedules", "delete", "Wöchentlich 1")
    assert cli("status", first.run_id)[1].startswith(f"run {first.display_name} ")


def test_the_next_start_of_what_others_made() -> None:
    import kfp_server_api as api

    def schedule(**trigger: Any) -> Any:
        return api.V2beta1RecurringRun(
            mode="ENABLE", created_at=MONDAY, trigger=api.V2beta1Trigger(**trigger)
        )

    hourly = api.V2beta1PeriodicSchedule(interval_second="3600")
    now = MONDAY + timedelta(minutes=90)
    assert next_start(schedule(periodic_schedule=hourly), now) == MONDAY + timedelta(hours=2)
    assert next_start(schedule(periodic_schedule=hourly), MONDAY) == MONDAY + timedelta(hours=1)
    cron = api.V2beta1CronSchedule(cron="0 0 6 * * *", end_time=MONDAY + timedelta(days=2))
    assert next_start(schedule(cron_schedule=cron), MONDAY) == MONDAY + timedelta(days=1)
    assert next_start(schedule(cron_schedule=cron), MONDAY + timedelta(days=2)) is None
    cron = api.V2beta1CronSchedule(cron="0 0 6 * * *", start_time=MONDAY + timedelta(days=9))
    assert next_start(schedule(cron_schedule=cron), MONDAY) == MONDAY + timedelta(days=10)
    cron = api.V2beta1CronSchedule(cron="@every 1h")
    assert next_start(schedule(cron_schedule=cron), MONDAY) is None


def test_a_schedule_without_a_name_has_the_datasets(kubeflow: Kubeflow, cli: Cli) -> None:
    assert cli("submit", "--cron", "0 6 * * 1")[0] == 0
    (schedule,) = kubeflow.schedules.values()
    assert schedule.display_name == "messages"


def test_a_checkpoint_directory_is_one_runs(submit: Submit) -> None:
    code, _, err = submit("--cron", "0 6 * * 1", "--checkpoint-dir", "s3://a/b")
    assert (code, "checkpoint_dir is given with --cron" in err) == (2, True)
