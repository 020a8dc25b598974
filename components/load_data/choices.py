"""Parameters of load_data that are one of a few words."""

from __future__ import annotations

QUOTING = ("auto", "minimal", "none")
