"""Allocate a model's variables only after their shapes have been checked.

Keras defers the initialisation of variables that are created in a `StatelessScope` until the scope
ends. After an error the pending variables must be forgotten, or the next scope to end would
allocate them; Keras has no public function for this.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import keras
from keras.src.backend.common import global_state


@contextlib.contextmanager
def deferred_variables() -> Iterator[None]:
    """Allocate the variables created in this block at its end, or none of them after an error."""
    with keras.StatelessScope() as scope:
        try:
            yield
        except BaseException:
            scope.initialize_variables = False
            global_state.set_global_attribute("uninitialized_variables", [])
            raise
