"""The weights of a model by PyTorch's names, with PyTorch's layout of each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import keras

from kfp_finetune.components.models.classifier import Classifier

_NUMBER = re.compile(r"(?<=\.)\d+(?=\.|$)")


class Weight(NamedTuple):
    """A weight, with its name and layout in PyTorch.

    Attributes:
        variable: Our variable.
        name: PyTorch's name.
        axes: The permutation of our axes to PyTorch's layout; None if they are the same.
        in_encoder: True if it belongs to the encoder, False if to the head.
    """

    variable: Any
    name: str
    axes: tuple[int, ...] | None
    in_encoder: bool

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape in PyTorch's layout."""
        shape = tuple(self.variable.shape)
        return shape if self.axes is None else tuple(shape[axis] for axis in self.axes)


def weights_of(model: Classifier) -> list[Weight]:
    """All weights of a model, in the order in which its layers were created."""
    family = model.family
    head_names = family.token_head_names if model.per_token else family.pooled_head_names
    prefix = f"{family.prefix}."
    encoder = _named(model.encoder, family.encoder_names, prefix)
    return [
        *(Weight(*part, in_encoder=True) for part in encoder),
        *(Weight(*part, in_encoder=False) for part in _named(model.head, head_names, "")),
    ]


def _named(
    part: keras.layers.Layer, names: Mapping[str, str], prefix: str
) -> Iterator[tuple[Any, str, tuple[int, ...] | None]]:
    """Each variable below a layer, with PyTorch's name and axes."""
    for path, layer in _leaves(part, ""):
        numbers = _NUMBER.findall(path)
        name = names[_NUMBER.sub("{}", path)].format(*numbers)
        for attribute, (leaf, axes) in layer.TORCH.items():
            variable = getattr(layer, attribute)
            if variable is not None:
                yield variable, prefix + ".".join(filter(None, (name, leaf))), axes


def _leaves(layer: keras.layers.Layer, path: str) -> Iterator[tuple[str, Any]]:
    """The layers that have weights, by their paths of attributes."""
    if hasattr(layer, "TORCH"):
        yield path, layer
    for name, value in vars(layer).items():
        if name.startswith("_"):
            continue
        below = f"{path}.{name}" if path else name
        if isinstance(value, keras.layers.Layer):
            yield from _leaves(value, below)
        elif isinstance(value, list | tuple):
            for number, item in enumerate(value):
                if isinstance(item, keras.layers.Layer):
                    yield from _leaves(item, f"{below}.{number}")
