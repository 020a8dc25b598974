"""Train only the part of the vocabulary that occurs in the data.

Often most of a model's weights are embeddings of tokens that do not occur in the data. Their
gradient is always zero, and without weight decay every optimizer here leaves such weights
unchanged. So the model trains only the embeddings of used tokens. The others are restored
afterwards, and the result is bit-identical.
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
    """The tokens that occur in the data, numbered from 0 in the tokenizer's order.

    Args:
        tables: The splits that the training reads.
        data: The dataset's manifest.
        fixed_ids: Number of leading ids that keep their number, see `Config.fixed_ids`.

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
        """The new ids of used tokens, given their ids in the tokenizer."""
        return self._ids[tokens]

    def shrink(self, network: Any) -> None:
        """Keep only the embeddings of the used tokens; the model then expects ids from `ids_of`.

        Args:
            network: A classifier.
        """
        words = network.word_embeddings
        self._table = words.table
        words.replace(tf.gather(tf.convert_to_tensor(self._table), self.tokens))

    def put_back(self, network: Any) -> None:
        """Restore the embeddings of all tokens after `shrink`."""
        words = network.word_embeddings
        value = self._table.numpy()
        value[self.tokens] = words.table.numpy()
        self._table.assign(value)
        words.replace(self._table)
