"""The one exception for wrong input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class InputError(Exception):
    """The user's input is wrong: said once, in one message, with exit code 2.

    Args:
        found: What was found, as a sentence without a full stop ("the file is empty").
        where: The place: file, row, column, or the parameter's name.
        expected: What would have been right.
        remedy: What to do about it, as an instruction.
    """

    exit_code = 2

    def __init__(
        self, found: str, *, where: str = "", expected: str = "", remedy: str = ""
    ) -> None:
        super().__init__(found)
        self.found = found
        self.where = where
        self.expected = expected
        self.remedy = remedy

    def as_dict(self) -> dict[str, str]:
        """The four parts, for the line that crosses containers and for run.json."""
        return {
            "found": self.found,
            "where": self.where,
            "expected": self.expected,
            "remedy": self.remedy,
        }

    @classmethod
    def from_dict(cls, parts: dict[str, Any]) -> InputError:
        """The inverse of `as_dict`."""
        return cls(
            str(parts.get("found", "")),
            where=str(parts.get("where", "")),
            expected=str(parts.get("expected", "")),
            remedy=str(parts.get("remedy", "")),
        )

    @classmethod
    def of_all(cls, problems: Sequence[InputError]) -> InputError:
        """One error that says all of them; at least one."""
        if len(problems) == 1:
            return problems[0]

        def joined(part: str, between: str = "; ") -> str:
            return between.join(text for p in problems if (text := getattr(p, part)))

        return cls(
            joined("found"),
            where=joined("where", ", "),
            expected=joined("expected"),
            remedy=joined("remedy"),
        )

    def __str__(self) -> str:
        """The message as a person reads it, one part a line."""
        parts = [("where", self.where), ("expected", self.expected), ("remedy", self.remedy)]
        lines = [f"  {name + ':':<10}{text}" for name, text in parts if text]
        return "\n".join([self.found, *lines])
