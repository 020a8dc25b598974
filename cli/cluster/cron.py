"""Cron expressions in the syntax of KFP's controller: robfig/cron 1.2, with seconds first."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from kfp_finetune.components.errors import InputError

_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_WEEKDAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
# Names, lowest and highest value of seconds, minutes, hours, days, months and weekdays.
_FIELDS: tuple[tuple[list[str], int, int], ...] = (
    ([], 0, 59), ([], 0, 59), ([], 0, 23), ([], 1, 31), (_MONTHS, 1, 12), (_WEEKDAYS, 0, 6)
)  # fmt: skip
_PART = re.compile(r"(\*|\?|(?P<low>\w+)(-(?P<high>\w+))?)(/(?P<step>\d+))?", re.ASCII)
_DAYS = 5 * 366  # after which the controller gives up


@dataclass(frozen=True)
class Cron:
    """A parsed cron expression, in UTC.

    Attributes:
        text: The expression with its seconds.
        values: The values that each field allows.
        both_days: Whether a day must match both the day of the month and the weekday; False if both
            are given.
    """

    text: str
    values: tuple[frozenset[int], ...]
    both_days: bool

    @classmethod
    def parse(cls, text: str) -> Cron:
        """Parse an expression of five fields, or of six with the seconds first.

        Raises:
            ValueError: If it is not valid.
        """
        parts = text.split()
        if len(parts) == 5:
            parts = ["0", *parts]
        if len(parts) != 6:
            raise ValueError(f"{len(parts)} fields")
        values = tuple(
            frozenset().union(*(_values(part, *field) for part in given.split(",")))
            for given, field in zip(parts, _FIELDS, strict=True)
        )
        return cls(" ".join(parts), values, any(p[0] in "*?" for p in (parts[3], parts[5])))

    def next(self, after: datetime) -> datetime | None:
        """The first start after a time; None if there is none within five years."""
        seconds, minutes, hours, *_ = map(sorted, self.values)
        after = after.astimezone(UTC)
        midnight = after.replace(hour=0, minute=0, second=0, microsecond=0)
        for day in (midnight + timedelta(days=n) for n in range(_DAYS)):
            if not self._starts_on(day):
                continue
            for hour in hours:
                for minute in minutes:
                    for second in seconds:
                        start = day.replace(hour=hour, minute=minute, second=second)
                        if start > after:
                            return start
        return None

    def _starts_on(self, day: datetime) -> bool:
        of_month = day.day in self.values[3]
        of_week = day.isoweekday() % 7 in self.values[5]
        fits = of_month and of_week if self.both_days else of_month or of_week
        return fits and day.month in self.values[4]


def _values(part: str, names: list[str], least: int, greatest: int) -> range:
    """The values of one part of a field, such as "mon-fri" or "*/15"."""
    found = _PART.fullmatch(part)
    if found is None:
        raise ValueError(f"'{part}'")

    def number(text: str) -> int:
        if text.lower() in names:
            return names.index(text.lower()) + least
        if not (text.isascii() and text.isdecimal()):
            raise ValueError(f"'{part}'")
        return int(text)

    step = int(found["step"] or 1)
    low = number(found["low"]) if found["low"] else least
    # "5/15" means 5, 20, 35, 50.
    last = greatest if found["low"] is None or found["step"] else low
    high = number(found["high"]) if found["high"] else last
    if not least <= low <= high <= greatest or not step:
        raise ValueError(f"'{part}', which is not within {least} and {greatest}")
    return range(low, high + 1, step)


def checked(text: str, now: datetime | None = None) -> Cron:
    """Parse the value of `--cron`.

    Raises:
        InputError: If it is not a valid expression, or never matches a date.
    """
    try:
        cron = Cron.parse(text)
        found = "" if cron.next(now or datetime.now(UTC)) else f"'{text}' never matches a date"
    except ValueError as error:
        found = f"'{text}' is not a valid cron expression: {error}"
    if found:
        raise InputError(
            found,
            where="--cron",
            expected="minute, hour, day, month and weekday, optionally preceded by seconds",
            remedy='for example --cron "0 6 * * 1" for Mondays at six',
        )
    return cron
