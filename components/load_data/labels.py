"""Labels: from the values of a column to ids in a stable order."""

from __future__ import annotations

from typing import Any

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.sources import Source

MISSING = -1


class LabelIds:
    """Gives every label a number as it is seen, and a final id when all have been.

    Args:
        source: The training data; where it declares the names of integer labels, those and their
            order are kept.
        column: The label column.
    """

    def __init__(self, source: Source, column: str) -> None:
        self._declared = source.label_names.get(column)
        self._seen: dict[str, int] = {name: i for i, name in enumerate(self._declared or [])}

    def number(self, value: Any) -> int:
        """The number of a label, `MISSING` for an empty one.

        Raises:
            InputError: If the value cannot be a label.
        """
        name = self._name(value)
        return MISSING if name is None else self._seen.setdefault(name, len(self._seen))

    def _name(self, value: Any) -> str | None:
        if value is None or value == "" or value != value:  # NaN is not itself
            return None
        if isinstance(value, str):
            return value if value.strip() else None
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int):
            raise InputError(
                f"{value!r} cannot be a label",
                where="label_column",
                expected="a text or a whole number per row",
                remedy="name another --label-column",
            )
        if self._declared is None:
            return str(value)
        return self._declared[value] if 0 <= value < len(self._declared) else None

    def names(self) -> list[str]:
        """All labels in their final order: as declared, else by number, else by name."""
        if self._declared is not None:
            return list(self._seen)
        return sorted(self._seen, key=_by_number_then_name)

    def final_ids(self) -> list[int]:
        """The final id of every number that `number` gave."""
        position = {name: i for i, name in enumerate(self.names())}
        return [position[name] for name in self._seen]


def _by_number_then_name(name: str) -> tuple[int, int, str]:
    try:
        return 0, int(name), name
    except ValueError:
        return 1, 0, name


def check_labels(names: list[str], rows: int, column: str, source: str) -> None:
    """Check that a column can be learned from.

    Raises:
        InputError: If there is one label only, or about one per row.
    """
    if len(names) < 2:
        raise InputError(
            f"every row has the same label: {names[0]!r}",
            where=f"{source}, column '{column}'",
            expected="at least two different labels",
            remedy="name another --label-column, or data with more labels",
        )
    if len(names) > rows / 2:
        raise InputError(
            f"{len(names):,} different labels in {rows:,} rows",
            where=f"{source}, column '{column}'",
            expected="labels that repeat; this looks like an id or a text",
            remedy="name another --label-column",
        )
