"""Layers made of layers, whose files say what was done to their parts."""

from typing import Any

import keras


class CompositeLayer(keras.layers.Layer):
    """A layer made of layers: a file says which were frozen, and which quantised.

    Keras writes whether a whole layer is trainable, and in which policy it computes.
    Fine-tuning freezes the batch normalisations within a block that learns: without a
    note in the file they would be live again in the loaded network, and a few small
    batches would undo their statistics. `model.quantize` quantises the parts alone:
    made again with the block's policy, they could not take their weights.
    """

    def get_config(self) -> dict[str, Any]:
        """Return the layer's arguments, and how its parts are quantised."""
        config: Any = super().get_config()
        quantized = {
            name: {
                "mode": part.quantization_mode,
                "config": keras.saving.serialize_keras_object(
                    getattr(part, "quantization_config", None)
                ),
            }
            for name, part in self._named_parts()
            if part.quantization_mode is not None and self.quantization_mode is None
        }
        return {**config, "quantized_parts": quantized} if quantized else config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Make the layer; its parts are quantised as soon as they are built."""
        config = dict(config)
        quantized = config.pop("quantized_parts", {})
        layer: Any = super().from_config(config)
        layer._quantized_parts = quantized
        return layer

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

    def _finish_build(self) -> None:
        """Freeze the parts of a frozen layer; quantise what was quantised before."""
        # Keras freezes only before `build`. On TensorFlow an attribute that is set to
        # its own value is not set at all.
        if not self.trainable:
            for part in self._flatten_layers(include_self=False):
                part.trainable = False
        quantized = getattr(self, "_quantized_parts", {})
        for name, part in self._named_parts():
            if name in quantized:
                how = quantized[name]
                settings = keras.saving.deserialize_keras_object(how["config"])
                part.quantize(how["mode"], config=settings)

    def _named_parts(self) -> list[tuple[str, Any]]:
        """Return the parts by names that are the same in every such block."""
        named = []
        for part in self._flatten_layers(include_self=False, recursive=False):
            if isinstance(part, CompositeLayer):  # its parts are frozen one by one, too
                inner = part._named_parts()
                named += [(f"{part.name}/{name}", one) for name, one in inner]
            elif part.weights:
                named.append((part.name, part))
        return named
