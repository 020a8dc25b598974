"""Names that Transformers 4 gave to the weights of its TensorFlow models.

Such files say `"format": "tf"` in their metadata. A name was the path of Keras'
layers; dense kernels lie as they do here, so there is nothing to transpose.
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
        name: TensorFlow's without the model's own name, such as
            "bert/encoder/layer_._0/attention/self/query/kernel:0".
    """
    name = name.removesuffix(":0")
    # `_._` stands before a number, and `___` for what a layer's name cannot have.
    name = re.sub(r"/[^/]*___([^/]*)/", r"/\1/", name.replace("_._", "/"))
    *path, leaf = name.split("/")
    return ".".join((*path, _LEAVES.get(leaf, leaf)))
