"""The one exception for wrong input."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any


class InputError(Exception):
    """The user's input is wrong: one message, exit code 2.

    Args:
        found: The problem, as a sentence without a full stop ("the file is empty").
        where: The place: file, row, column, or the parameter's name.
        expected: A description of correct input.
        remedy: How to fix it: an instruction, an option or a command that works when pasted.
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
        self._problems: tuple[InputError, ...] = ()

    @property
    def problems(self) -> tuple[InputError, ...]:
        """The problems that this error reports, in the order shown; usually only itself."""
        return self._problems or (self,)

    def as_dict(self) -> dict[str, Any]:
        """The four parts as JSON, and the parts of every problem if there are several."""
        parts: dict[str, Any] = {
            "found": self.found,
            "where": self.where,
            "expected": self.expected,
            "remedy": self.remedy,
        }
        if self._problems:
            parts["problems"] = [problem.as_dict() for problem in self._problems]
        return parts

    @classmethod
    def from_dict(cls, parts: dict[str, Any]) -> InputError:
        """The inverse of `as_dict`."""
        if problems := parts.get("problems"):
            return cls.of_all([cls.from_dict(problem) for problem in problems])
        return cls(
            str(parts.get("found", "")),
            where=str(parts.get("where", "")),
            expected=str(parts.get("expected", "")),
            remedy=str(parts.get("remedy", "")),
        )

    @classmethod
    def of_all(cls, problems: Sequence[InputError]) -> InputError:
        """Combine problems into one error that reports each of them once.

        Args:
            problems: At least one.
        """
        single = [problem for each in problems for problem in each.problems]
        problems = list({str(problem): problem for problem in single}.values())
        if len(problems) == 1:
            return problems[0]

        def joined(part: str, between: str = "; ") -> str:
            return between.join(text for p in problems if (text := getattr(p, part)))

        error = cls(
            joined("found"),
            where=joined("where", ", "),
            expected=joined("expected"),
            remedy=joined("remedy"),
        )
        error._problems = tuple(problems)
        return error

    @classmethod
    def found_by(cls, check: Callable[[], Any]) -> list[InputError]:
        """The problems that a check raises; none if it passes."""
        try:
            check()
        except cls as error:
            return list(error.problems)
        return []

    def __str__(self) -> str:
        """The message for people: problem by problem, one part per line."""
        if self._problems:
            return "\n".join(map(str, self._problems))
        parts = [("where", self.where), ("expected", self.expected), ("remedy", self.remedy)]
        lines = [f"  {name + ':':<10}{text}" for name, text in parts if text]
        return "\n".join([self.found, *lines])
