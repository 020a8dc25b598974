"""The data report as a page that people read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from kfp_finetune.components.artifacts.data_report import DataReport
from kfp_finetune.components.counts import counted
from kfp_finetune.components.number_text import amount_text, count_text, edge_text, percent_text
from kfp_finetune.components.pages.page import templates
from kfp_finetune.components.tasks.problem_type import ProblemType
from kfp_finetune.components.tasks.registry import get_problem_type


def render_data_report(report: DataReport) -> str:
    """Write the data report as a self-contained HTML page.

    Args:
        report: What was found.

    Returns:
        The page, without any reference to the network. The same input gives the same bytes.
    """
    kind = get_problem_type(report.problem_type)
    page = templates(Path(__file__).parent).get_template("data_report.html.jinja")
    return page.render(
        title=_short(report.dataset),
        sentence=_sentence(report),
        report=report,
        tiles=[
            ("Training rows", count_text(report.rows_kept["train"]), "without dropped rows"),
            ("Validation rows", count_text(report.rows_kept["validation"]), ""),
            ("Test rows", count_text(report.rows_kept["test"]), ""),
            _labels_tile(report, kind),
            ("Truncated", percent_text(report.truncated_share), f"at {report.max_length} tokens"),
            (
                "Unknown tokens",
                percent_text(report.unknown_token_share),
                "not in the vocabulary",
            ),
        ],
        sources={split: _short(source) for split, source in report.sources.items()},
        overlaps=[
            (
                pair.replace(", ", " and "),
                f"{count_text(rows)} of the {pair.partition(',')[0]} rows",
            )
            for pair, rows in report.overlaps.items()
        ],
        labels=_bars({n: c for n, c in report.labels.items() if n != kind.background}),
        background=report.labels.get(kind.background),
        background_name=kind.background,
        numbers=_number_bars(report),
        facts_=_facts(report),
    )


def _labels_tile(report: DataReport, kind: ProblemType) -> tuple[str, str, str]:
    if (numbers := report.numbers) is None:
        return "Labels", count_text(len(report.labels)), kind.label_kind
    mean, deviation = amount_text(numbers.mean), amount_text(numbers.standard_deviation)
    low, high = edge_text(numbers.lowest), edge_text(numbers.highest)
    return "Numbers", f"{low} to {high}", f"mean {mean}, standard deviation {deviation}"


def _bars(labels: Mapping[str, Mapping[str, int]]) -> list[tuple[str, Mapping[str, int], float]]:
    """Labels with their counts and the length of a bar, the most frequent in training first."""
    ordered = sorted(labels.items(), key=lambda item: (-item[1].get("train", 0), item[0]))
    most = max((counts.get("train", 0) for counts in labels.values()), default=0)
    return [(name, counts, counts.get("train", 0) / max(most, 1)) for name, counts in ordered]


def _number_bars(report: DataReport) -> list[tuple[str, Mapping[str, int], float]]:
    """The same for ranges of numbers, ascending."""
    bins = report.numbers.bins if report.numbers else []
    most = max((part.rows.get("train", 0) for part in bins), default=0)
    return [
        (
            f"{edge_text(part.low)} to {edge_text(part.high)}",
            part.rows,
            part.rows.get("train", 0) / max(most, 1),
        )
        for part in bins
    ]


def _facts(report: DataReport) -> list[tuple[str, str]]:
    lengths, pieces = report.length_percentiles, report.pieces_per_word
    return [
        ("Source", report.dataset),
        *((f"Column of the {use.replace('_', ' ')}", c) for use, c in report.columns.items()),
        ("Tokenizer", report.model),
        *([("Pieces per word", f"{pieces:.2f}")] if pieces is not None else []),
        ("Median length", f"{lengths['50']} tokens"),
        ("90% of the texts", f"within {lengths['90']} tokens"),
        ("99% of the texts", f"within {lengths['99']} tokens"),
        ("Longest", f"{lengths['100']} tokens"),
        ("max_length that truncates under 1%", str(report.max_length_for_1_percent)),
        *([("Step plan", report.step_plan)] if report.step_plan else []),
    ]


def _short(place: str) -> str:
    """The last part of a path or a URI."""
    return place.rstrip("/").rpartition("/")[2] or place


def _sentence(report: DataReport) -> str:
    read, kept = sum(report.rows_read.values()), sum(report.rows_kept.values())
    dropped = f", {count_text(read - kept)} dropped" if read != kept else ""
    warnings = len(report.warnings)
    verdict = "no problems found" if not warnings else counted(warnings, "warning")
    return f"{counted(read, 'row')} read{dropped}: {verdict}."
