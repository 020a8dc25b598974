"""The names of weights in Transformers 4's TensorFlow models.

Such files have `"format": "tf"` in their metadata. A name is the path of Keras layers. Dense
kernels have the same layout as ours, so nothing is transposed.
"""

from __future__ import annotations

import re

_LEAVES = {
    "kernel": "weight",
    "depthwise_kernel": "depthwise.weight",
    "pointwise_kernel": "pointwise.weight",
    "gamma": "weight",
    "beta": "bias",
    "embeddings": "weight",
}


def to_torch(name: str) -> str:
    """PyTorch's name of a weight.

    Args:
        name: TensorFlow's name without the model's own name, such as
            "bert/encoder/layer_._0/attention/self/query/kernel:0".
    """
    name = name.removesuffix(":0")
    # `_._` precedes a number, and `___` replaces characters that layer names cannot have.
    name = re.sub(r"/[^/]*___([^/]*)/", r"/\1/", name.replace("_._", "/"))
    *path, leaf = name.split("/")
    return ".".join((*path, _LEAVES.get(leaf, leaf)))
