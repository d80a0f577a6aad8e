"""The one door for `.keras` files: looked into, then built within their weights."""

import contextlib
import io
import json
import math
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from dlkeras.private_names import private
from dlkeras.untrusted.gate import UntrustedFileError, open_regular
from dlkeras.untrusted.model_parts import Own, check_parts, unknown
from dlkeras.untrusted.torch_pickle import printable
from dlkeras.untrusted.zips import open_stored

if TYPE_CHECKING:
    import keras

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
_MEMBERS = frozenset(("metadata.json", CONFIG, WEIGHTS))
# That of EfficientNetV2-L, of 1,031 layers, takes 1 MB.
_LARGEST_CONFIG = 2**23
# What layers make beside what they save: seeds, for example.
_OTHER_NUMBERS = 2**20
_one_at_a_time = threading.Lock()


def load_model(
    path: str | Path, start: Callable[[], object] | None = None
) -> "keras.Model":
    """Load a `.keras` file from anywhere: it runs no code, and takes what it weighs.

    What the file names must be a part of an image network: a layer or an operation of
    Keras, or a class that this process has registered. Its layers cannot make more
    weights than the file has.

    Args:
        path: the file.
        start: imports Keras and what registers classes; it is called once the file has
            been looked into, since that takes seconds.

    Returns:
        The model, not compiled.

    Raises:
        FileNotFoundError: there is no such file.
        UntrustedFileError: it is not a whole `.keras` file, or asks for more than a
            file of weights may; the text is one line.
    """
    path = Path(path)
    with open_regular(path, written=True) as file:
        found = _checked(path, file)
        if start is not None:
            start()
        import keras

        for part in found.own:
            known: Any = keras.saving.get_registered_object(part.registered)
            if known is None or part.name not in (None, known.__name__):
                raise _refused(path, str(unknown(f"{part.name} ({part.registered})")))
        numbers = found.numbers
        with _weights_at_most(numbers) as asked:
            try:
                model = _built(path, file)
            except Exception as error:  # a file from outside may raise anything
                reason = _first_line(error)
                if asked.too_many:
                    reason = (
                        f"its layers have more weights than the {numbers:,} numbers in "
                        f"{WEIGHTS}"
                    )
                raise _refused(path, reason) from error
    if not isinstance(model, keras.Model) or not getattr(model, "inputs", None):
        raise _refused(path, "it is not a network with inputs")
    return model


def _built(path: Path, file: IO[bytes]) -> Any:
    """Let Keras load what was looked into, and no file that took its name since.

    Keras's public function takes paths alone; the one behind it takes an open file.
    """
    import keras

    load_opened = private("keras.src.saving.saving_lib.load_model")
    if load_opened is None:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    file.seek(0)
    return load_opened(file, compile=False, safe_mode=True)


def read_config(path: str | Path) -> dict[str, Any]:
    """Read the configuration in a `.keras` file, which has been looked into.

    Raises:
        FileNotFoundError: there is no such file.
        UntrustedFileError: as for `load_model`.
    """
    path = Path(path)
    with open_regular(path, written=True) as file:
        return _checked(path, file).config


def _refused(path: Path, reason: str) -> UntrustedFileError:
    return UntrustedFileError(f"expected a whole Keras model in {path}; {reason}")


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    kind = "no " if isinstance(error, KeyError) else ""  # its text is the bare key
    return kind + printable(lines[0], 200)


class _Found(NamedTuple):
    """What was found in a file: its configuration, its weights, parts by our names."""

    config: dict[str, Any]
    numbers: int
    own: list[Own]


def _checked(path: Path, file: IO[bytes]) -> _Found:
    try:
        return _look(path, file)
    except UntrustedFileError as error:
        raise _refused(path, str(error)) from error
    except RecursionError as error:
        raise _refused(path, f"its {CONFIG} is nested too deep") from error
    except (zipfile.BadZipFile, OSError, NotImplementedError) as error:
        raise _refused(path, "it is cut short, or of another kind") from error
    except Exception as error:  # whatever a broken file makes a parser stumble over
        raise _refused(path, f"{type(error).__name__}: {_first_line(error)}") from error


def _look(path: Path, file: IO[bytes]) -> _Found:
    with open_stored(path, file) as archive:
        for name in archive.sizes:
            parts = PurePosixPath(name)
            if parts.is_absolute() or ".." in parts.parts:
                raise UntrustedFileError(
                    f"its member {printable(name)!r} leads out of it"
                )
            if name not in _MEMBERS:
                raise UntrustedFileError(
                    f"its member {printable(name)!r} is not one of "
                    f"{', '.join(sorted(_MEMBERS))}"
                )
        missing = {CONFIG, WEIGHTS} - set(archive.sizes)
        if missing:
            raise UntrustedFileError(f"it has no {' and no '.join(sorted(missing))}")
        for name in archive.sizes.keys() - {WEIGHTS}:
            if archive.sizes[name] > _LARGEST_CONFIG:
                raise UntrustedFileError(
                    f"its {name} is larger than {_LARGEST_CONFIG:,} bytes"
                )
        config = json.loads(archive.read(CONFIG).getvalue())
        if not isinstance(config, dict):
            raise UntrustedFileError(f"its {CONFIG} describes no network")
        # How it was trained is not read.
        own = check_parts({**config, "compile_config": None})
        return _Found(config, _numbers_in(archive.read(WEIGHTS)), own)


def _numbers_in(content: io.BytesIO) -> int:
    """Count the numbers of all arrays in an HDF5 file."""
    import h5py

    from dlkeras.untrusted.hdf5 import datasets

    try:
        with h5py.File(content, "r") as file:
            return sum(array.size for _, array in datasets(file))
    except UntrustedFileError:
        raise
    except Exception as error:  # h5py raises much
        raise UntrustedFileError("its weights cannot be read") from error


class _Asked:
    """How many weights layers have asked for."""

    def __init__(self) -> None:
        self.numbers = 0
        self.too_many = False


@contextlib.contextmanager
def _weights_at_most(numbers: int) -> Iterator[_Asked]:
    """Let this thread's layers make so many weights, those of the file, and no more.

    Keras builds a network before it looks for its weights. Only Keras knows what a
    layer will make, so each weight is counted where it is asked for.
    """
    import keras

    asked, thread = _Asked(), threading.get_ident()
    layer, metric = keras.Layer.add_weight, keras.Metric.add_variable
    normalization: Any = keras.layers.Normalization
    build = normalization.build

    def count(shape: Any) -> None:
        if threading.get_ident() != thread:
            return
        shape = (shape,) if isinstance(shape, int) else shape or ()
        asked.numbers += math.prod(int(size) for size in shape)
        if asked.too_many or asked.numbers > numbers + _OTHER_NUMBERS:
            asked.too_many = True
            raise UntrustedFileError("it has more weights than its file")

    def add_weight(self: Any, *args: Any, **options: Any) -> Any:
        count(args[0] if args else options.get("shape"))
        return layer(self, *args, **options)

    def add_variable(self: Any, shape: Any, *args: Any, **options: Any) -> Any:
        count(shape)
        return metric(self, shape, *args, **options)

    def build_normalization(self: Any, input_shape: Any) -> None:
        if self.input_mean is not None and input_shape:
            # Its mean and variance, which are no weights, get the input's shape.
            shape = [input_shape[axis] or 1 for axis in self.axis]
            count([2, *shape])
        build(self, input_shape)

    with _one_at_a_time:
        normalization.build = build_normalization
        keras.Layer.add_weight = add_weight
        keras.Metric.add_variable = add_variable
        try:
            yield asked
        finally:
            keras.Layer.add_weight, keras.Metric.add_variable = layer, metric
            normalization.build = build
