"""What differs between tasks: one module per task, and nothing about any step.

Every module has

- `NAME`, `TEXT_COLUMNS` and `LABEL_COLUMNS` (usual names), `PAIRS` (whether there may be pairs of
  texts), `PER_WORD` (whether every word has a label);
- `check_columns` and `check_training_loss`; `choices` has what can be checked without numpy;
- from rows to examples: `label_values`, `understand_labels`, `tokenize`, `label_type`,
  `text_type` and `label_text`;
- from examples to a model: `targets`, `word_labels`, `loss`, `training_loss` and
  `training_metrics`;
- from logits to metrics, and to what is said of a text: `score`, `columns_of`, `outputs`, `answer`.
"""

from __future__ import annotations

from types import ModuleType


def get_task(name: str) -> ModuleType:
    """The module of a task.

    Raises:
        InputError: If there is no such task.
    """
    from kfp_finetune.components.tasks.choices import check_task

    check_task(name)
    from kfp_finetune.components.tasks import text_classification, token_classification

    return text_classification if name == text_classification.NAME else token_classification
