"""The part of the vocabulary that a training can change.

Often most of a model's weights are embeddings of tokens that are in none of the training's texts.
An update finds a gradient of zero for them, and every optimizer here leaves a weight that never had
another gradient as it is, unless it decays weights. So while it trains the model has the embeddings
of the used tokens only; the others are put back beside them, and no bit of the result differs.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from kfp_finetune.components.artifacts.tokenized_dataset import TokenizedDatasetManifest


class UsedVocabulary:
    """The tokens that occur, each with an id of its own from 0 on, in the tokenizer's order.

    Args:
        tables: The splits that the model will see while it trains.
        data: The dataset's manifest.
        fixed_ids: How many of the first ids stay what they are, as `Config.fixed_ids` has it.

    Attributes:
        tokens: The tokenizer's ids of these tokens, ascending, shape [used].
    """

    def __init__(
        self, tables: Iterable[pa.Table], data: TokenizedDatasetManifest, fixed_ids: int = 0
    ) -> None:
        used = np.zeros(data.vocab_size, bool)
        used[:fixed_ids] = True
        used[data.pad_token_id] = True
        for table in tables:
            for chunk in table["input_ids"].chunks:
                used[chunk.flatten().to_numpy()] = True
        self.tokens: NDArray[np.int64] = np.flatnonzero(used)
        self._ids = np.cumsum(used, dtype=np.int32) - 1
        self._table: Any = None

    def ids_of(self, tokens: NDArray[np.int32]) -> NDArray[np.int32]:
        """The ids of used tokens, given by the tokenizer's."""
        return self._ids[tokens]

    def shrink(self, network: Any) -> None:
        """Leave a model the embeddings of the used tokens only; it then takes ids of `ids_of`.

        Args:
            network: A classifier.
        """
        words = network.word_embeddings
        self._table = words.table
        words.replace(tf.gather(tf.convert_to_tensor(self._table), self.tokens))

    def put_back(self, network: Any) -> None:
        """Give the model of `shrink` all of its embeddings again."""
        words = network.word_embeddings
        value = self._table.numpy()
        value[self.tokens] = words.table.numpy()
        self._table.assign(value)
        words.replace(self._table)
