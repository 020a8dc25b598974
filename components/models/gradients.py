"""Gradients that are written by hand, because those that TensorFlow derives cost more."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

import tensorflow as tf

_omitted = ContextVar("omitted", default=False)


def custom_gradient(function: Callable[..., tuple[Any, Any]]) -> Callable[..., Any]:
    """`tf.custom_gradient`, except in a `without_gradients` block.

    Args:
        function: From tensors to the result and its gradient, as `tf.custom_gradient` takes it.

    Returns:
        A function from tensors to the result.
    """
    with_gradient = tf.custom_gradient(function)

    @functools.wraps(function)
    def result(*inputs: Any) -> Any:
        return function(*inputs)[0] if _omitted.get() else with_gradient(*inputs)

    return result


@contextlib.contextmanager
def without_gradients() -> Iterator[None]:
    """Build a graph of which no gradient is taken.

    TensorFlow registers the gradient of every `tf.custom_gradient` in a graph for the life of the
    process, and with it the graph and the model's weights.
    """
    token = _omitted.set(True)
    try:
        yield
    finally:
        _omitted.reset(token)
