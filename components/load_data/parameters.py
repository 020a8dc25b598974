"""The parameters of load_data: one dataclass, checked once, before anything is opened."""

from __future__ import annotations

from dataclasses import dataclass

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.checks import check_parameters, read_options
from kfp_finetune.components.load_data.readers.source import ReadOptions
from kfp_finetune.components.load_data.splitting import Splitting
from kfp_finetune.components.storage.uris import hide


@dataclass(frozen=True)
class Parameters:
    """The parameters of load_data, as `component.py` describes them.

    Raises:
        InputError: Listing every problem.
    """

    dataset: str
    model: str
    validation_dataset: str | None = None
    test_dataset: str | None = None
    dataset_config: str | None = None
    dataset_revision: str | None = None
    train_split: str = "train"
    validation_split: str | None = None
    test_split: str | None = None
    split_column: str | None = None
    group_column: str | None = None
    validation_fraction: float = 0.1
    test_fraction: float = 0.1
    task: str = "text-classification"
    problem_type: str = "auto"
    text_column: str | None = None
    text_pair_column: str | None = None
    label_column: str | None = None
    label_names: str | None = None
    positive_label: str | None = None
    slice_columns: str | None = None
    column_names: str | None = None
    delimiter: str | None = None
    quoting: str = "auto"
    encoding: str | None = None
    on_bad_row: str = "error"
    drop_duplicates: bool = False
    drop_overlap: bool = False
    max_train_samples: int | None = None
    model_revision: str | None = None
    max_length: int | None = None
    seed: int = 42
    dataset_fingerprint: str = ""
    model_fingerprint: str = ""

    def __post_init__(self) -> None:
        for name in ("dataset", "validation_dataset", "test_dataset", "label_names", "model"):
            if value := getattr(self, name):
                object.__setattr__(self, name, hide(value))
        if problems := check_parameters(vars(self)):
            raise InputError.of_all(problems)
        if self.on_bad_row == "mend":  # its name in 0.1.0
            object.__setattr__(self, "on_bad_row", "repair")

    @property
    def repair(self) -> bool:
        """True to repair rows where the task can, and to drop those that it cannot repair."""
        return self.on_bad_row == "repair"

    @property
    def read_options(self) -> ReadOptions:
        """The options for reading files."""
        return read_options(vars(self))

    @property
    def splitting(self) -> Splitting:
        """The options for making splits and dropping rows."""
        return Splitting(
            fractions={"validation": self.validation_fraction, "test": self.test_fraction},
            seed=self.seed,
            on_bad_row=self.on_bad_row,
            drop_duplicates=self.drop_duplicates,
            drop_overlap=self.drop_overlap,
            max_train_samples=self.max_train_samples,
        )
