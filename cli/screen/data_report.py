"""The data report as lines of text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from kfp_finetune.components.artifacts.data_report import DataReport
from kfp_finetune.progress.lines import clean

_MOST_LABELS = 12  # with more labels, only both ends are shown
_LABELS_PER_END = 5
_EXAMPLES_PER_SPLIT = 2
_EXAMPLE_WIDTH = 100


def describe(report: DataReport, page: Path | None) -> Iterator[str]:
    """The lines of the report, with control characters removed from the data.

    Args:
        report: The data report.
        page: The HTML page that it was saved to, or None.
    """
    yield from _facts(report)
    yield from _rows(report)
    yield from _labels(report)
    yield from _lengths(report)
    yield from _listed("warnings", report.warnings)
    yield from _listed("detected and assumed", report.notes)
    yield from _examples(report)
    yield ""
    yield f"plan: {report.step_plan}"
    saved = (
        f"report: {page}" if page else "save this report as a page, with every label: -o FILE.html"
    )
    yield clean(saved)


def _facts(report: DataReport) -> Iterator[str]:
    yield clean(report.dataset)
    facts = [
        *((f"{use.replace('_', ' ')} column", name) for use, name in report.columns.items()),
        ("problem type", report.problem_type),
        ("tokenizer", report.model),
    ]
    width = max(len(name) for name, _ in facts)
    for name, value in facts:
        yield f"  {name:<{width}}  {clean(value)}"


def _rows(report: DataReport) -> Iterator[str]:
    yield ""
    yield f"{'rows':<12}{'read':>12}{'kept':>12}{'dropped':>12}"
    for split, kept in report.rows_kept.items():
        read = report.rows_read[split]
        yield f"  {split:<10}{read:>12,}{kept:>12,}{read - kept:>12,}"
        for reason, count in report.rows_dropped[split].items():
            yield f"    {count:,} dropped: {clean(reason)}"


def _labels(report: DataReport) -> Iterator[str]:
    if not report.labels:
        return
    words = sum(counts["train"] for counts in report.labels.values())
    kept = max(words if report.unit == "words" else report.rows_kept["train"], 1)
    ordered = sorted(report.labels.items(), key=lambda item: (-item[1]["train"], item[0]))
    most, least = ordered[0][1]["train"], ordered[-1][1]["train"]
    yield ""
    of_words = " of words" if report.unit == "words" else ""
    ratio = f"; the most frequent is {most / least:,.1f} times the rarest" if least else ""
    yield f"{len(ordered):,} labels{of_words}{ratio}"
    yield f"  {'train':>10}{'share':>8}{'validation':>12}{'test':>10}  label"
    many = len(ordered) > _MOST_LABELS
    for i, (name, counts) in enumerate(ordered):
        if many and _LABELS_PER_END <= i < len(ordered) - _LABELS_PER_END:
            if i == _LABELS_PER_END:
                yield f"  {'...':>10}{'':>30}  {len(ordered) - 2 * _LABELS_PER_END:,} more labels"
            continue
        yield (
            f"  {counts['train']:>10,}{counts['train'] / kept:>8.1%}{counts['validation']:>12,}"
            f"{counts['test']:>10,}  {clean(name)}"
        )


def _lengths(report: DataReport) -> Iterator[str]:
    of = report.length_percentiles
    yield ""
    yield "tokens per row"
    yield "  " + ", ".join(
        f"{tokens:,} {'the longest' if share == '100' else f'at {share} %'}"
        for share, tokens in of.items()
    )
    yield (
        f"  {report.truncated_share:.1%} truncated at max_length {report.max_length};"
        f" --max-length {report.max_length_for_1_percent} truncates fewer than 1 % of them"
    )
    yield f"  {report.unknown_token_share:.1%} of the tokens unknown to the tokenizer"


def _listed(title: str, texts: Sequence[str]) -> Iterator[str]:
    if texts:
        yield ""
        yield title
        for text in texts:
            yield f"  - {clean(text)}"


def _examples(report: DataReport) -> Iterator[str]:
    yield ""
    yield "examples"
    for split in report.rows_kept:
        of_split = [example for example in report.examples if example.split == split]
        for example in of_split[:_EXAMPLES_PER_SPLIT]:
            yield f"  {split} row {example.row:,}: {clean(example.label)}"
            for text in (example.text, example.text_pair):
                if text is not None:
                    yield f"    {_short(clean(text))}"


def _short(text: str) -> str:
    return text if len(text) <= _EXAMPLE_WIDTH else text[:_EXAMPLE_WIDTH].rstrip() + "…"
