"""Blocks that remember in a file which of their parts were frozen."""

from typing import Any

import keras


class FrozenPartsMixin(keras.layers.Layer):
    """A layer made of layers, whose `.keras` file says which of them were frozen.

    Keras writes whether a whole layer is trainable. Fine-tuning freezes the batch
    normalisations within a block that learns: without a note in the file they would
    be live again in the loaded network, and a few small batches would undo their
    statistics.
    """

    def get_build_config(self) -> dict[str, Any] | None:
        """Return what `build` was given, and the frozen parts of a live block."""
        config: Any = super().get_build_config()
        frozen = [name for name, part in self._named_parts() if not part.trainable]
        if config is None or not self.trainable or not frozen:
            return config
        return {**config, "frozen_parts": frozen}

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Build the layer as it was, and freeze what was frozen."""
        config = dict(config)
        frozen = config.pop("frozen_parts", [])
        super().build_from_config(config)
        for name, part in self._named_parts():
            if name in frozen:
                part.trainable = False

    def _hand_on_trainable(self) -> None:
        """Freeze the parts of a frozen layer: Keras does so only before `build`."""
        # On TensorFlow an attribute that is set to its own value is not set at all.
        if not self.trainable:
            for part in self._flatten_layers(include_self=False):
                part.trainable = False

    def _named_parts(self) -> list[tuple[str, Any]]:
        """Return the parts by names that are the same in every such block."""
        return [
            (part.name, part)
            for part in self._flatten_layers(include_self=False, recursive=False)
            if part.weights
        ]
