"""Schedules side by side on the same data, and the best of them by evidence."""
