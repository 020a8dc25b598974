"""Runs that a cluster starts on a schedule; KFP calls a schedule a recurring run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import kfp_server_api

from kfp_finetune.cli.cluster.answers import place
from kfp_finetune.cli.cluster.calls import TIMEOUT, Calls
from kfp_finetune.cli.cluster.cron import Cron
from kfp_finetune.cli.cluster.registry import equals
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.runtime import is_uuid

_PAGE = 100
_RUN_NAME = re.compile(r"(?P<schedule>.+)-\d{4}-\d\d-\d\d-\d{4}", re.DOTALL)


class Schedules:
    """The schedules of one Kubeflow.

    Args:
        calls: The calls to its API.
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._names: dict[str, str | None] = {}

    def create(self, cron: Cron, **fields: Any) -> str:
        """Create a schedule, and return its id.

        Args:
            cron: The times at which it starts runs.
            **fields: Fields of V2beta1RecurringRun.
        """
        schedule = kfp_server_api.V2beta1RecurringRun(
            mode=kfp_server_api.RecurringRunMode.ENABLE,
            trigger=kfp_server_api.V2beta1Trigger(
                cron_schedule=kfp_server_api.V2beta1CronSchedule(cron=cron.text)
            ),
            max_concurrency="1",
            no_catchup=True,
            **fields,
        )
        created = self._send("create_recurring_run", schedule, "the recurring run")
        return str(created.recurring_run_id)

    def all(self, name: str | None = None) -> Iterator[Any]:
        """The schedules of the namespace, the newest first, page by page."""
        token = ""
        while True:
            options = {"page_token": token} if token else {}
            options |= {"filter": equals("display_name", name)} if name is not None else {}
            page = self._calls.ask(
                lambda options=options: self._service.recurring_run_service_list_recurring_runs(  # type: ignore[misc]
                    namespace=self._calls.namespace or "",
                    page_size=_PAGE,
                    sort_by="created_at desc",
                    _request_timeout=TIMEOUT,
                    **options,
                ),
                "schedules",
            )
            yield from page.recurring_runs or []
            token = page.next_page_token
            if not token:
                return

    def find(self, name: str) -> Any:
        """A schedule by its id, or by its name if only one has it.

        Raises:
            InputError: If no schedule or several schedules have this name.
        """
        if is_uuid(name):
            return self._get(name)
        found = list(self.all(name))
        if len(found) == 1:
            return found[0]
        raise InputError(
            f"{len(found)} schedules are named '{name}'"
            if found
            else f"there is no schedule '{name}'",
            where=place(self._calls.host, self._calls.namespace),
            expected="a schedule's id, or a name that only one schedule has",
            remedy="give one of " + ", ".join(each.recurring_run_id for each in found[:5])
            if found
            else f"kfp-finetune schedules{self._calls.connection.flags} lists them",
        )

    def name_of(self, run: Any) -> str | None:
        """The name of the schedule that started a run; None if there is none, or it was deleted."""
        identity = run.recurring_run_id
        if identity and identity not in self._names:
            try:
                self._names[identity] = self._get(identity).display_name
            except InputError:
                self._names[identity] = None
        return self._names.get(identity)

    def run_name(self, run: Any) -> str:
        """A run's name; for a scheduled run, the schedule's name with the date in UTC.

        KFP names it "f-cronh6vh2-1-3184598476", and a schedule cannot set the names of its runs.
        """
        schedule = self.name_of(run)
        if schedule is None:
            return str(run.display_name)
        return f"{schedule}-{(run.scheduled_at or run.created_at).astimezone(UTC):%Y-%m-%d-%H%M}"

    def might_name(self, run_name: str) -> bool:
        """Return True if a name consists of a schedule's name and a date."""
        found = _RUN_NAME.fullmatch(run_name)
        return found is not None and any(self.all(found["schedule"]))

    def pause(self, schedule: Any) -> None:
        """Start no more runs until it is resumed."""
        self._send("disable_recurring_run", schedule.recurring_run_id, schedule.display_name)

    def resume(self, schedule: Any) -> None:
        """Start runs again, without making up for the time in between."""
        self._send("enable_recurring_run", schedule.recurring_run_id, schedule.display_name)

    def delete(self, schedule: Any) -> None:
        """Delete a schedule; its runs are kept, and running ones continue."""
        self._send(
            "delete_recurring_run",
            schedule.recurring_run_id,
            schedule.display_name,
            # Otherwise Kubernetes deletes the workflows of its runs, even of running ones.
            propagation_policy="ORPHAN",
        )

    @property
    def _service(self) -> Any:
        return self._calls.client.recurring_runs

    def _get(self, identity: str) -> Any:
        return self._calls.ask(
            lambda: self._service.recurring_run_service_get_recurring_run(
                identity, _request_timeout=TIMEOUT
            ),
            f"schedule {identity}",
        )

    def _send(self, method: str, argument: Any, what: str, **options: Any) -> Any:
        call = getattr(self._service, f"recurring_run_service_{method}")
        return self._calls.send(lambda: call(argument, _request_timeout=TIMEOUT, **options), what)


def next_start(schedule: Any, now: datetime) -> datetime | None:
    """The next start of a schedule; None if it is paused, has ended, or the time is unknown."""
    if not is_active(schedule) or schedule.trigger is None:
        return None
    trigger = schedule.trigger.cron_schedule or schedule.trigger.periodic_schedule
    begin, end = trigger.start_time, trigger.end_time
    after = max(now, begin) if begin else now
    if schedule.trigger.cron_schedule is not None:
        try:
            start = Cron.parse(trigger.cron).next(after)
        except ValueError:  # "@every 1h", which only Kubeflow's UI and other clients create
            return None
    else:
        every = timedelta(seconds=int(trigger.interval_second))
        first = begin or schedule.created_at
        start = first + every * max(1, -(-(after - first) // every))
    return start if start is not None and (end is None or start <= end) else None


def when(schedule: Any) -> str:
    """The times at which a schedule starts runs, as they were given."""
    if schedule.trigger is None:
        return ""
    if schedule.trigger.cron_schedule is not None:
        return str(schedule.trigger.cron_schedule.cron).removeprefix("0 ")
    return f"every {schedule.trigger.periodic_schedule.interval_second} s"


def is_active(schedule: Any) -> bool:
    """Return True if the schedule starts runs."""
    return str(schedule.mode) == "ENABLE"


def last_runs(runs: Iterable[Any], schedules: Iterable[Any], count: int) -> dict[str, list[Any]]:
    """The newest runs of each schedule.

    Args:
        runs: All runs, newest first; read only as far as needed.
        schedules: The schedules.
        count: Maximum number of runs per schedule.

    Returns:
        The runs by the schedule's id.
    """
    last: dict[str, list[Any]] = {each.recurring_run_id: [] for each in schedules}
    oldest = min((each.created_at for each in schedules), default=None)
    for run in runs:
        if oldest is None or run.created_at < oldest or all(len(v) == count for v in last.values()):
            break
        of_schedule = last.get(run.recurring_run_id or "")
        if of_schedule is not None and len(of_schedule) < count:
            of_schedule.append(run)
    return last
