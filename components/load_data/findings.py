"""The data report: statistics of the data and warnings, to read before training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kfp_finetune.components.artifacts.data_report import DataReport, Example
from kfp_finetune.components.artifacts.tokenized_dataset import SPLITS, TokenizedDatasetManifest
from kfp_finetune.components.tasks.registry import get_problem_type, get_task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from kfp_finetune.components.tasks.tokenization import RowTokenizer

_PERCENTILES = (50, 90, 95, 99, 100)
_MUCH_UNKNOWN = 0.05
_MUCH_TRUNCATED = 0.05
# English texts have 1.0 to 1.2 with an English tokenizer; German texts 1.8 to 2.0 with the same.
_MANY_PIECES = 1.6
_IMBALANCE = 20
_FEW_ROWS = 5


def describe_data(
    manifest: TokenizedDatasetManifest,
    counts: dict[str, NDArray[np.int64]],
    tokenize: RowTokenizer,
    examples: list[Example],
) -> DataReport:
    """Build the data report.

    Args:
        manifest: The manifest of the tokenized dataset.
        counts: The number of examples with each label, by split, shape [labels].
        tokenize: The tokenizer of the rows, which counted their tokens.
        examples: Rows to show.
    """
    labels = {
        name: {split: int(counts[split][i]) for split in SPLITS}
        for i, name in enumerate(manifest.label_names)
    }
    columns = {"text": manifest.text_column, "label": manifest.label_column}
    if manifest.text_pair_column:
        columns["text_pair"] = manifest.text_pair_column
    report = DataReport(
        sources={split: counts.source for split, counts in manifest.splits.items()},
        dataset=manifest.dataset,
        model=manifest.model,
        rows_read={split: counts.rows_read for split, counts in manifest.splits.items()},
        rows_kept={
            split: counts.rows - counts.divided for split, counts in manifest.splits.items()
        },
        rows_dropped={split: counts.dropped for split, counts in manifest.splits.items()},
        divided={split: counts.divided for split, counts in manifest.splits.items()},
        unit=get_task(manifest.task).unit,
        problem_type=manifest.problem_type,
        labels=labels,
        columns=columns,
        max_length=manifest.max_length,
        length_percentiles={str(p): tokenize.percentile(p / 100) for p in _PERCENTILES},
        truncated_share=manifest.truncated_share,
        max_length_for_1_percent=tokenize.percentile(0.99),
        unknown_token_share=tokenize.unknown / max(tokenize.kept, 1),
        pieces_per_word=tokenize.pieces_per_word,
        notes=[],
        warnings=[],
        examples=examples,
    )
    report.warnings.extend(_warnings(report))
    return report


def _warnings(report: DataReport) -> list[str]:
    warnings = []
    if report.unknown_token_share > _MUCH_UNKNOWN:
        warnings.append(
            f"{report.unknown_token_share:.0%} of the tokens are unknown to the tokenizer of"
            f" {report.model}; check that it was trained on this language"
        )
    if report.pieces_per_word is not None and report.pieces_per_word > _MANY_PIECES:
        warnings.append(
            f"the tokenizer of {report.model} splits a word into"
            f" {report.pieces_per_word:.1f} pieces on average: is it for this language?"
        )
    if report.truncated_share > _MUCH_TRUNCATED:
        warnings.append(
            f"{report.truncated_share:.0%} of the texts are truncated at {report.max_length}"
            f" tokens; --max-length {report.max_length_for_1_percent} truncates fewer than 1 %"
        )
    if not report.rows_kept["train"]:  # data for evaluation only
        return warnings
    class_of = get_problem_type(report.problem_type).class_of
    train = {label: counts["train"] for label, counts in report.labels.items() if class_of(label)}
    if train and min(train.values()) < _FEW_ROWS:
        few = [label for label, count in train.items() if count < _FEW_ROWS]
        warnings.append(
            f"{len(few)} label{'s have' if len(few) > 1 else ' has'} fewer than {_FEW_ROWS}"
            f" training {report.unit}: {', '.join(map(repr, few[:_FEW_ROWS]))}"
        )
    elif train and max(train.values()) > _IMBALANCE * min(train.values()):
        most, least = max(train, key=train.__getitem__), min(train, key=train.__getitem__)
        warnings.append(
            f"the labels are imbalanced: {train[most]:,} training {report.unit} are {most!r},"
            f" {train[least]:,} are {least!r}"
        )
    for split in ("validation", "test"):
        if not report.rows_kept[split]:
            warnings.append(f"the {split} split is empty")
    return warnings
