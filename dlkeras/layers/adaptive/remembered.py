"""A variable whose value is remembered for as long as nobody can have changed it."""

from typing import Any

import keras
import numpy as np

from dlkeras.layers.adaptive.backend import from_host, is_slow_to_read, value_of


class RememberedVariable(keras.Variable):
    """A variable that eager TensorFlow does not read at every call of a layer.

    There a reading takes longer than to filter a short signal. `assign`, through which
    Keras writes, forgets the value; and once a graph or anybody else has had the tensor
    behind it, which has an `assign` of its own, every call reads again.
    """

    _kept = None
    # Elsewhere it is read at every call; between steps on JAX there is nothing to read.
    _handed_out = keras.backend.backend() != "tensorflow"

    @property
    def value(self):
        """The tensor, or TensorFlow's variable."""
        self._handed_out = True
        return super().value

    def assign(self, value):
        """Assign a new value."""
        self._kept = None
        if not self._handed_out:
            self._handed_out = not is_slow_to_read(super().value)
        return super().assign(value)

    def remembered(self) -> Any:
        """The value, as a NumPy array where it is remembered."""
        value = super().value
        if self._handed_out or not is_slow_to_read(value):
            self._handed_out = True
            return value
        if self._kept is None:
            self._kept = np.array(value_of(value))
        return self._kept

    def remember(self, value):
        """Assign a tensor, or a NumPy array that nobody changes any more."""
        if isinstance(value, np.ndarray):
            self.assign(from_host(value))
            self._kept = value
        else:
            self.assign(value)
