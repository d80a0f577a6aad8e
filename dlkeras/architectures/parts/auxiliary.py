"""Training with auxiliary classifiers: their losses count, their outputs do not."""

from typing import Any

import keras


@keras.saving.register_keras_serializable(package="dlkeras")
class MainOutput(keras.layers.Layer):
    """Hands on the first of its inputs; the rest are auxiliary classifiers' outputs.

    Args:
        loss_weight: Weight of each auxiliary classifier's loss.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Input shape:
        A list of tensors.

    Output shape:
        That of the first.
    """

    def __init__(self, loss_weight: float = 0.3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.loss_weight = float(loss_weight)

    def call(self, inputs: Any) -> Any:
        """Return the main output."""
        return inputs[0]

    def compute_output_shape(self, input_shape: Any) -> tuple:
        """Return the first input's shape."""
        return tuple(input_shape[0])

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), "loss_weight": self.loss_weight}


@keras.saving.register_keras_serializable(package="dlkeras")
class AuxiliaryTraining(keras.Model):
    """A Functional model that also learns from its auxiliary classifiers.

    The output is the main classifier's. Called with `training=True` the model returns
    the auxiliary outputs behind it, and `compile` and `fit` with one loss and one
    target add their losses, weighted as the `MainOutput` layer says. Metrics are the
    main output's.

    Args:
        inputs: Input of the graph.
        outputs: Output of a `MainOutput` layer.
        name: Name of the model.
        **kwargs: Arguments of `keras.Model`.
    """

    def __init__(
        self, inputs: Any, outputs: Any, name: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(inputs=inputs, outputs=outputs, name=name, **kwargs)
        (join,) = [layer for layer in self.layers if isinstance(layer, MainOutput)]
        self.loss_weight = join.loss_weight
        # The bound method is kept, not the model: as an attribute it would appear
        # among the layers and count its weights twice.
        self._all_outputs = keras.Model(inputs, join.input).call

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Return the main output; while training, all of them."""
        if training:
            return self._all_outputs(inputs, training=True, mask=mask)
        return super().call(inputs, training=training, mask=mask)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """Add the auxiliary losses to the main one."""
        if not isinstance(y_pred, list | tuple):
            return super().compute_loss(x, y, y_pred, sample_weight, training)
        main, *auxiliary = y_pred
        total: Any = super().compute_loss(x, y, main, sample_weight, training)
        penalties: Any = sum(self.losses)  # counted with the main loss already
        for output in auxiliary:
            loss: Any = super().compute_loss(x, y, output, sample_weight, training)
            total = total + self.loss_weight * (loss - penalties)
        return total

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None
    ) -> Any:
        """Measure the main output."""
        main = y_pred[0] if isinstance(y_pred, list | tuple) else y_pred
        return super().compute_metrics(x, y, main, sample_weight)
