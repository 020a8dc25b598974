"""The allowed values of parameters of load_data."""

from __future__ import annotations

QUOTING = ("auto", "minimal", "none")
