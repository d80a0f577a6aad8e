"""The conformance suite for a layer."""

from collections.abc import Callable, Collection
from typing import Any

from dlkeras.testing import layer_behaviour, layer_config, layer_shapes
from dlkeras.testing.findings import brief, run_checks
from dlkeras.testing.gradients import check_gradients
from dlkeras.testing.subject import LayerSubject


def check_layer(
    layer: Any,
    init: dict[str, Any] | None = None,
    input_shape: Any = None,
    *,
    input_dtype: str = "float32",
    inputs: Callable[..., Any] | None = None,
    dynamic_axes: tuple[int, ...] = (),
    dynamic_batch: bool = True,
    skip: Collection[str] = (),
    only: Collection[str] = (),
) -> tuple[str, ...]:
    """Check that a layer keeps what a Keras layer promises, on the backend in use.

    The checks, by name:

    - `arguments`: the constructor leaves its arguments and their defaults as they were.
    - `config`: `get_config` has every argument, can be JSON, is the same before and
      after `build`, and gives a layer with the same start, outputs and losses.
    - `weights`: made in `build`, none in `call`, but those of parts that Keras builds;
      held by the layer; named; not shared by two layers.
    - `save`, `clone`: a `.keras` file and `clone_model` give the same outputs.
    - `shapes`: symbolic call, real call and `compute_output_shape` agree.
    - `batch`, `empty_batch`: any number of examples, each treated on its own.
    - `size`: the `dynamic_axes` may be unknown and may change.
    - `data_format`: if it is an argument, channels first is channels last transposed.
    - `mixed_precision`: under mixed_bfloat16 and mixed_float16 the weights are float32,
      the outputs of the narrow type, and close to float32's.
    - `jit_compile`: XLA computes the same (not on PyTorch).
    - `gradients`: reach every weight, and equal finite differences there and for the
      inputs.
    - `determinism`: one seed, one result.
    - `state`: using the layer changes nothing in it.
    - `masking`: a mask is passed on in the right shape, or taken away; a layer that
      takes it hides what is masked.
    - `rank`, `dtype`: an input that the layer does not take is refused by an error
      that names it. A layer may take any rank, if its outputs have the shape that it
      says, and integers, if they give what the same floats give; then the check does
      not apply.

    Args:
        layer: A layer class, or a layer, whose config is then taken for its
            arguments. Only a class shows a forgotten config key by its outputs.
        init: Arguments of the class. Give each a value other than its default.
        input_shape: Shape of the input with the batch, of two examples or more; a list
            of shapes for a layer called with a list, a dict of shapes by argument for
            a layer called with several tensors.
        input_dtype: Dtype of the inputs.
        inputs: Function of (shape, NumPy random generator) that gives an input, for
            layers that cannot take normal numbers.
        dynamic_axes: Axes of the input, beside the batch, whose size may be unknown.
        dynamic_batch: Whether the batch may be unknown; false for a layer that keeps
            a state for each example from call to call.
            Its check `state` is to be skipped.
        skip: Names of checks that do not apply, such as `"rank"` for a layer that
            takes any.
        only: Names of the checks to run; all if there is none.

    Returns:
        The names of the checks that passed; checks that do not apply are left out.

    Raises:
        AssertionError: If a check fails; the message has a line for each finding.
        ValueError: If the arguments do not fit together.

    Example:
        A layer from elsewhere that forgot a key of its config:

        >>> import keras
        >>> from dlkeras.testing import check_layer
        >>> @keras.saving.register_keras_serializable(package="example")
        ... class Gain(keras.layers.Layer):
        ...     def __init__(self, gain=1.0, **kwargs):
        ...         super().__init__(**kwargs)
        ...         self.gain = gain
        ...         self.input_spec = keras.layers.InputSpec(ndim=2)
        ...
        ...     def call(self, inputs):
        ...         return inputs * self.gain
        ...
        ...     def compute_output_shape(self, input_shape):
        ...         return input_shape
        ...
        ...     def get_config(self):
        ...         return super().get_config()
        >>> try:
        ...     check_layer(Gain, {"gain": 2.0}, (2, 3))
        ... except AssertionError as error:
        ...     print(str(error).splitlines()[1])
        - config: get_config() lacks the constructor's argument `gain`
        >>> Gain.get_config = lambda self: {
        ...     **keras.layers.Layer.get_config(self), "gain": self.gain
        ... }
        >>> "config" in check_layer(Gain, {"gain": 2.0}, (2, 3))
        True
    """
    if input_shape is None:
        raise ValueError("`input_shape` must be given. Received: input_shape=None")
    subject = LayerSubject(layer, init, input_shape, input_dtype, inputs, dynamic_batch)
    try:
        subject.built()
    except Exception as error:
        raise AssertionError(
            f"{subject.name} cannot be made and called on shape {input_shape}: "
            f"{type(error).__name__}: {brief(error)}"
        ) from error
    checks = {
        "arguments": layer_config.check_arguments,
        "config": layer_config.check_config,
        "weights": layer_config.check_weights,
        "save": layer_config.check_save,
        "clone": layer_config.check_clone,
        "shapes": layer_shapes.check_shapes,
        "batch": layer_shapes.check_batch,
        "empty_batch": layer_shapes.check_empty_batch,
        "size": lambda s: layer_shapes.check_size(s, dynamic_axes),
        "data_format": layer_shapes.check_data_format,
        "mixed_precision": layer_shapes.check_mixed_precision,
        "jit_compile": layer_behaviour.check_jit_compile,
        "gradients": check_gradients,
        "determinism": layer_behaviour.check_determinism,
        "state": layer_behaviour.check_state,
        "masking": layer_behaviour.check_masking,
        "rank": layer_behaviour.check_rank,
        "dtype": layer_behaviour.check_dtype,
    }
    return run_checks(
        subject.name,
        {name: (lambda check=check: check(subject)) for name, check in checks.items()},
        skip,
        only,
    )
