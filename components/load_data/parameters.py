"""What load_data is told: one dataclass, checked once, before anything is opened."""

from __future__ import annotations

from dataclasses import dataclass

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.choices import ON_BAD_ROW
from kfp_finetune.components.load_data.sources import ReadOptions
from kfp_finetune.components.load_data.splitting import Splitting
from kfp_finetune.components.tasks import get_task
from kfp_finetune.components.uris import hide


@dataclass(frozen=True)
class Parameters:
    """The parameters of load_data, as `component.py` describes them.

    Raises:
        InputError: For the first that is wrong.
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
    max_length: int = 128
    seed: int = 42
    dataset_fingerprint: str = ""
    model_fingerprint: str = ""

    def __post_init__(self) -> None:
        for name in ("dataset", "validation_dataset", "test_dataset", "label_names", "model"):
            if value := getattr(self, name):
                object.__setattr__(self, name, hide(value))
        task = get_task(self.task)
        task.check_problem_type(self.problem_type)
        self._check_fractions()
        if self.on_bad_row not in ON_BAD_ROW or (self.mend and not task.PER_WORD):
            raise InputError(
                f"on_bad_row is '{self.on_bad_row}'",
                where="on_bad_row",
                expected="error, drop or mend" if task.PER_WORD else "error or drop",
                remedy="--on-bad-row drop",
            )
        if not 0 <= self.seed < 2**32:
            raise InputError(
                f"seed is {self.seed}",
                where="seed",
                expected="a whole number from 0 to 4294967295, which is what numpy takes",
                remedy="--seed 42",
            )
        for name, value in (
            ("max_train_samples", self.max_train_samples),
            ("max_length", self.max_length),
        ):
            if value is not None and value < 1:
                raise InputError(
                    f"{name} is {value}",
                    where=name,
                    expected="a whole number of at least 1",
                    remedy=f"--{name.replace('_', '-')} 128",
                )

    def _check_fractions(self) -> None:
        shares = {
            "validation_fraction": self.validation_fraction,
            "test_fraction": self.test_fraction,
        }
        for name, share in shares.items():
            if not 0 <= share < 1:
                raise InputError(
                    f"{name} is {share:g}",
                    where=name,
                    expected="a share of the rows, at least 0 and below 1",
                    remedy=f"--{name.replace('_', '-')} 0.1",
                )
        if sum(shares.values()) >= 1:
            raise InputError(
                f"validation and test would take {sum(shares.values()):.0%} of the rows",
                where=", ".join(shares),
                expected="shares that leave rows to train on",
                remedy="smaller fractions",
            )

    @property
    def mend(self) -> bool:
        """Whether rows are mended where the task can; those that it cannot mend are left out."""
        return self.on_bad_row == "mend"

    @property
    def read_options(self) -> ReadOptions:
        """How files are read."""
        names = self.column_names
        plain_text = get_task(self.task).PLAIN_TEXT
        if plain_text == "lines" and self.delimiter is not None:
            plain_text = "table"
        return ReadOptions(
            dataset_config=self.dataset_config,
            dataset_revision=self.dataset_revision,
            delimiter=self.delimiter,
            quoting=self.quoting,
            encoding=self.encoding,
            plain_text=plain_text,
            column_names=tuple(n.strip() for n in names.split(",")) if names else None,
        )

    @property
    def splitting(self) -> Splitting:
        """How splits are made, and which rows stay out."""
        return Splitting(
            fractions={"validation": self.validation_fraction, "test": self.test_fraction},
            seed=self.seed,
            on_bad_row=self.on_bad_row,
            drop_duplicates=self.drop_duplicates,
            drop_overlap=self.drop_overlap,
            max_train_samples=self.max_train_samples,
        )
