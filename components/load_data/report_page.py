"""The data report as a page that people read."""

from __future__ import annotations

from pathlib import Path

from kfp_finetune.components.artifacts.data_report import DataReport
from kfp_finetune.components.counts import counted
from kfp_finetune.components.number_text import count_text, percent_text
from kfp_finetune.components.pages.page import templates
from kfp_finetune.components.tasks.registry import get_problem_type


def render_data_report(report: DataReport) -> str:
    """Write the data report as a self-contained HTML page.

    Args:
        report: What was found.

    Returns:
        The page, without any reference to the network. The same input gives the same bytes.
    """
    kind = get_problem_type(report.problem_type)
    counted = [counts["train"] for name, counts in report.labels.items() if name != kind.background]
    most = max(counted, default=0)
    labels = sorted(report.labels.items(), key=lambda item: (-item[1]["train"], item[0]))
    lengths = report.length_percentiles
    unknown = report.unknown_token_share
    page = templates(Path(__file__).parent).get_template("data_report.html.jinja")
    return page.render(
        title=report.dataset.rstrip("/").rpartition("/")[2] or report.dataset,
        sentence=_sentence(report),
        report=report,
        tiles=[
            ("Training rows", count_text(report.rows_kept["train"]), "after everything dropped"),
            ("Validation rows", count_text(report.rows_kept["validation"]), ""),
            ("Test rows", count_text(report.rows_kept["test"]), ""),
            ("Labels", count_text(len(report.labels)), kind.label_kind),
            ("Cut", percent_text(report.truncated_share), f"at {report.max_length} tokens"),
            ("Unknown tokens", percent_text(unknown), "not in the vocabulary"),
        ],
        labels=[(name, counts, min(1, counts["train"] / max(most, 1))) for name, counts in labels],
        facts_=[
            ("Source", report.dataset),
            *((f"Column of the {use.replace('_', ' ')}", c) for use, c in report.columns.items()),
            ("Tokenizer", report.model),
            ("Median length", f"{lengths['50']} tokens"),
            ("90 % of the texts", f"within {lengths['90']} tokens"),
            ("99 % of the texts", f"within {lengths['99']} tokens"),
            ("Longest", f"{lengths['100']} tokens"),
            ("max_length to cut under 1 %", str(report.max_length_for_1_percent)),
            *([("Step plan", report.step_plan)] if report.step_plan else []),
        ],
    )


def _sentence(report: DataReport) -> str:
    read, kept = sum(report.rows_read.values()), sum(report.rows_kept.values())
    dropped = f", {count_text(read - kept)} dropped" if read != kept else ""
    warnings = len(report.warnings)
    verdict = (
        "nothing remarkable"
        if not warnings
        else f"{warnings} thing{'s' * (warnings > 1)} to look at"
    )
    return f"{counted(read, 'row')} read{dropped}: {verdict}."
