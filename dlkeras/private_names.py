"""Private and experimental names of other libraries, and what we do without them."""

import functools
import importlib
from typing import Any

#: Every such name that the package uses, and what happens without it.
PRIVATE_NAMES = {
    "jax.experimental.pallas": "a GPU runs the LMS filter as a loop of XLA's, slower",
    "jax.experimental.pallas.triton": "as without `jax.experimental.pallas`",
    "jax.experimental.xla_metadata.set_xla_metadata": (
        "on a processor each operation of an adaptive filter's loop is called by itself"
    ),
    "keras.src.backend.common.global_state.get_global_attribute": (
        "reading a model's graph moves on the numbers in Keras's automatic names, and "
        "a diagnosis does not put back the seed of operations that were given none"
    ),
    "keras.src.backend.common.global_state.set_global_attribute": (
        "a diagnosis does not put back the seed of operations that were given none"
    ),
    "keras.src.backend.jax.distribution_lib.initialize_rng": (
        "processes of a job on JAX wait for each other without a deadline"
    ),
    "keras.src.backend.tensorflow.trainer": (
        "`fit` on several workers is left as Keras has it (keras#20585)"
    ),
    "keras.src.saving.saving_lib.load_model": (
        "a `.keras` file is opened a second time by its path after it was looked into"
    ),
    "tensorflow.python.eager.context.context": (
        "a worker's end is noticed by its missing heartbeats, ten seconds later"
    ),
    "tensorflow.python.eager.record.could_possibly_record": (
        "adaptive filters keep what a gradient needs when nobody asks for one"
    ),
    "tensorflow.python.framework.config.is_op_determinism_enabled": (
        "batch normalisation is Keras's own at inference, a little slower"
    ),
    "torch._C._functorch.is_functorch_wrapped_tensor": (
        "adaptive filters do not run under `torch.func`"
    ),
    "torch._foreach_mul": "the gradient monitor takes one kernel a tensor, slower",
    "torch._foreach_norm": "as without `torch._foreach_mul`",
    "torch._foreach_sub": "as without `torch._foreach_mul`",
}


@functools.cache
def private(name: str) -> Any:
    """Return what a private name stands for; None where this library has it no more.

    Args:
        name: One of `PRIVATE_NAMES`.

    Raises:
        KeyError: It is not one of them.

    Example:
        >>> private("keras.src.saving.saving_lib.load_model").__name__
        'load_model'
    """
    PRIVATE_NAMES[name]
    module, _, last = name.rpartition(".")
    try:
        return importlib.import_module(name)
    except ImportError:
        pass  # it is no module, or it is gone
    try:
        return getattr(importlib.import_module(module), last)
    except (ImportError, AttributeError):
        return None
