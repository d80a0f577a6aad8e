"""TensorFlow, Keras and TFDS, imported without the start-up messages of their C++ code.

Every module of the pipeline takes the three from here, inside the function that needs
them: `from dlkeras.pipeline.tensorflow_import import keras, tf`.
"""

import atexit
import contextlib
import gc
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any


@contextlib.contextmanager
def _held_back_stderr() -> Iterator[None]:
    """Keep what is written to file descriptor 2; show it only if the import fails."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            sys.stderr.flush()
            os.dup2(kept, 2)
            held.seek(0)
            os.write(2, held.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)


@contextlib.contextmanager
def _paused_garbage_collection(keep: bool = False) -> Iterator[None]:
    """Do not look for garbage while half a million objects are made that all stay.

    Args:
        keep: whether they are never looked at again, with all others that there are:
            each look takes a third of a second, and a search has dozens of them.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
        if keep:
            gc.freeze()
    finally:
        if was_on:
            gc.enable()


@contextlib.contextmanager
def _no_jax() -> Iterator[None]:
    """Let TensorFlow find no JAX, which it imports for a converter: half a second."""
    hidden = "jax" not in sys.modules
    if hidden:
        sys.modules["jax"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if hidden:
            del sys.modules["jax"]


# 3: errors only, once TensorFlow's logger is up; what it says before is held back.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# What of the pipeline needs Keras needs it on TensorFlow, whatever keras.json says;
# `run` has refused another KERAS_BACKEND by now.
_first = "keras" not in sys.modules  # anyone who had it before may have models to free
if _first:
    os.environ["KERAS_BACKEND"] = "tensorflow"
with _held_back_stderr(), _paused_garbage_collection(keep=_first):
    with _no_jax() if _first else contextlib.nullcontext():  # Keras runs without, too
        import tensorflow

    # isort: split
    import keras as _keras

    # Their public modules are built when they are imported: no type checker sees them.
    tf: Any = tensorflow
    keras: Any = _keras

    tf.config.list_physical_devices()  # looks for a GPU, and says so, only once

# A saved network is made of them: without them Keras cannot read it back.
import dlkeras.layers  # noqa: E402, F401

tf.get_logger().setLevel(logging.ERROR)
logging.getLogger("absl").setLevel(logging.ERROR)
# At its end the interpreter would walk all of their objects once more.
atexit.register(gc.freeze)

if TYPE_CHECKING:
    tfds: Any

__all__ = ["keras", "tf", "tfds"]


def __getattr__(name: str) -> Any:
    """Import TFDS when it is first asked for: a pushed model is served without it."""
    if name != "tfds":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with _held_back_stderr(), _paused_garbage_collection():
        import tensorflow_datasets
    tensorflow_datasets.disable_progress_bar()
    return tensorflow_datasets
