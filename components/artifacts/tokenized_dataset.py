"""The tokenized dataset: a manifest, the tokenizer's files, and one Arrow file per split.

    tokenized_dataset/
        manifest.json
        tokenizer/            as `PreTrainedTokenizerFast.save_pretrained` writes it
        train.arrow           Arrow IPC files, one row per example
        validation.arrow
        test.arrow

Token ids are not padded: padding belongs to the batch, and the batch to training.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from kfp_finetune.components.artifacts.files import read_manifest, write_manifest
from kfp_finetune.components.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

SPLITS = ("train", "validation", "test")
MANIFEST = "manifest.json"
TOKENIZER = "tokenizer"


class SplitCounts(BaseModel):
    """The rows of one split: `rows_read = rows - divided + sum(dropped)`."""

    model_config = ConfigDict(extra="forbid")

    source: str = Field(default="", description="the file, folder or split that has the rows")
    rows_read: int = Field(ge=0, description="data rows that were read for this split")
    rows: int = Field(ge=0, description="rows in the split's Arrow file")
    divided: int = Field(
        default=0, ge=0, description="additional rows because long ones were divided"
    )
    dropped: dict[str, int] = Field(default_factory=dict, description="rows dropped, by reason")


class TokenizedDatasetManifest(BaseModel):
    """The manifest of a tokenized dataset."""

    model_config = ConfigDict(extra="forbid")

    schema_version: Literal[1] = 1
    task: str
    problem_type: str
    label_names: list[str] = Field(
        description="the label of id i is label_names[i]; empty for regression"
    )
    positive_label: str | None = Field(
        default=None, description="positive one of two labels; None: not given"
    )
    text_column: str
    text_pair_column: str | None = None
    label_column: str
    slice_columns: list[str] = Field(default_factory=list, description="columns for slices")
    max_length: int = Field(gt=0, description="tokens per example, including special tokens")
    hidden_size: int = Field(default=0, ge=0, description="width of the model; 0: not recorded")
    pad_token_id: int
    vocab_size: int = Field(description="larger than every token id")
    has_token_type_ids: bool = Field(description="whether there is a token_type_ids column")
    longest: int | None = Field(
        default=None, description="tokens of the longest row before truncation; None: not recorded"
    )
    truncated_share: float = Field(ge=0, le=1, description="share of rows truncated at max_length")
    dataset: str = Field(description="source of the data")
    model: str = Field(description="model of the tokenizer")
    dataset_fingerprint: str = ""
    model_fingerprint: str = ""
    splits: dict[str, SplitCounts]
    parameters: dict[str, Any] = Field(
        default_factory=dict, description="parameters of load_data that are not at their defaults"
    )


def read(path: str | Path) -> TokenizedDatasetManifest:
    """Read and validate the manifest of a tokenized dataset."""
    return read_manifest(Path(path) / MANIFEST, TokenizedDatasetManifest)


def write(path: str | Path, manifest: TokenizedDatasetManifest) -> None:
    """Write the manifest, last, so that a folder with a manifest is complete."""
    write_manifest(Path(path) / MANIFEST, manifest)


def schema(
    *,
    label: pa.DataType,
    has_token_type_ids: bool,
    text: pa.DataType | None,
    has_text_pair: bool,
    slice_columns: Sequence[str] = (),
) -> pa.Schema:
    """The columns of a split.

    `input_ids` (and `token_type_ids`, if the tokenizer distinguishes two texts) are lists of int32,
    1 to max_length long. `label` is the stored label of the task, e.g. an id. `row` is the number
    of the row in its source, from 0; all examples of a divided row have its number. Splits that are
    evaluated also have the texts as `text`, and the slice columns as texts under their
    `slice_name`. Lists of words are stored for all splits: each example has the words that are
    predicted in it.
    """
    import pyarrow as pa

    fields = [("row", pa.int64()), ("label", label), ("input_ids", pa.list_(pa.int32()))]
    if has_token_type_ids:
        fields.append(("token_type_ids", pa.list_(pa.int32())))
    if text is not None:
        fields.append(("text", text))
        if has_text_pair:
            fields.append(("text_pair", text))
        fields += [(slice_name(column), pa.large_string()) for column in slice_columns]
    return pa.schema(fields)


def slice_name(column: str) -> str:
    """The name of a slice column in a split."""
    return f"slice:{column}"


@contextlib.contextmanager
def split_writers(
    path: str | Path, schemas: dict[str, pa.Schema]
) -> Iterator[dict[str, pa.ipc.RecordBatchFileWriter]]:
    """Open the files of all splits for writing, record batch by record batch.

    Args:
        path: The tokenized dataset.
        schemas: The columns of each split.
    """
    import pyarrow as pa

    with contextlib.ExitStack() as stack:
        writers = {}
        for split, columns in schemas.items():
            sink = stack.enter_context(pa.OSFile(str(Path(path) / f"{split}.arrow"), "wb"))
            writers[split] = stack.enter_context(pa.ipc.new_file(sink, columns))
        yield writers


def open_split(path: str | Path, split: str) -> pa.Table:
    """Open one split as a memory map.

    Raises:
        InputError: If the split is missing or its file is damaged.
    """
    import pyarrow as pa

    file = Path(path) / f"{split}.arrow"
    try:
        return pa.ipc.open_file(pa.memory_map(str(file))).read_all()
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(
            f"the {split} split cannot be read: {error}",
            where=str(file),
            expected="an Arrow file written by load_data",
            remedy="run load_data again",
        ) from None
