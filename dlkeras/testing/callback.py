"""The conformance suite for a callback."""

import copy
import tempfile
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

from dlkeras.testing.findings import brief, expect, run_checks
from dlkeras.testing.subject import difference

EXAMPLES, FEATURES, BATCH = 22, 4, 8  # the last batch is a smaller one


def small_model() -> keras.Model:
    """Return the classifier that callbacks are tried on unless they need another."""
    return keras.Sequential(
        [
            keras.Input((FEATURES,)),
            keras.layers.Dense(6, name="hidden"),
            keras.layers.BatchNormalization(name="normalization"),
            keras.layers.Activation("tanh", name="activation"),
            keras.layers.Dense(3, name="output"),
        ]
    )


def check_callback(
    callback: Callable[..., keras.callbacks.Callback],
    init: dict[str, Any] | None = None,
    *,
    model: Callable[[], Any] = small_model,
    changes_training: bool = False,
    skip: Collection[str] = (),
    only: Collection[str] = (),
) -> tuple[str, ...]:
    """Check that a callback keeps what a Keras callback promises.

    The checks, by name:

    - `arguments`: the constructor leaves its arguments as they were.
    - `fit`: it works through `fit` with validation, `evaluate` and `predict`.
    - `no_validation`, `no_logs`, `unknown_length`, `steps_per_execution`: it works
      without validation data, when hooks are called without logs, on a stream whose
      length nobody knows, and when several steps run as one (not on PyTorch).
    - `training`: training comes out the same with and without it, to the last bit.
    - `logs`: what it adds to the logs are numbers, in every epoch; what was there
      stays.
    - `reuse`: in a second `fit` it works as a new one does.
    - `restore`: after `fit` nothing of it is left on the model, its layers or its
      optimizer, and the model can be saved and loaded.

    Args:
        callback: The callback's class.
        init: Arguments of the class.
        model: Function that makes a model of `(batch, 4)` to `(batch, 3)`.
        changes_training: Whether the callback is there to change the training, such as
            a schedule; `training` is then left out.
        skip: Names of checks that do not apply.
        only: Names of the checks to run; all if there is none.

    Returns:
        The names of the checks that passed.

    Raises:
        AssertionError: If a check fails; the message has a line for each finding.

    Example:
        >>> import keras
        >>> from dlkeras.testing import check_callback
        >>> class Shout(keras.callbacks.Callback):
        ...     def on_epoch_end(self, epoch, logs=None):
        ...         logs["loud"] = "LOSS!"
        >>> try:
        ...     check_callback(Shout)
        ... except AssertionError as error:
        ...     print([line.split(":")[0] for line in str(error).splitlines()[1:]])
        ['- no_logs', '- logs']
    """
    trial = _Trial(callback, dict(init or {}), model)
    checks = {
        "arguments": trial.check_arguments,
        "fit": trial.check_fit,
        "no_validation": lambda: trial.fit(trial.make(), validate=False) and None,
        "no_logs": trial.check_no_logs,
        "unknown_length": lambda: trial.fit(trial.make(), stream=True) and None,
        "steps_per_execution": trial.check_steps,
        "training": lambda: False if changes_training else trial.check_training(),
        "logs": trial.check_logs,
        "reuse": trial.check_reuse,
        "restore": trial.check_restore,
    }
    return run_checks(getattr(callback, "__name__", repr(callback)), checks, skip, only)


class _Logs(keras.callbacks.Callback):
    """Copies the logs of each epoch at its place in the list of callbacks."""

    def __init__(self) -> None:
        super().__init__()
        self.epochs: list[dict] = []

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self.epochs.append(dict(logs or {}))


class _Trial:
    """Trains a small model with a callback under a fixed seed."""

    def __init__(self, callback: Any, init: dict, model: Callable[[], Any]) -> None:
        self.callback, self.init, self.model = callback, init, model
        rng = np.random.default_rng(0)
        self.x = rng.normal(size=(EXAMPLES, FEATURES)).astype("float32")
        self.y = rng.integers(0, 3, EXAMPLES)
        self._plain: Any = None
        self._watched: Any = None

    def make(self) -> keras.callbacks.Callback:
        return self.callback(**copy.deepcopy(self.init))

    def compiled(self, steps: int = 1) -> Any:
        keras.utils.set_random_seed(1)
        model: Any = self.model()
        options: dict[str, Any] = {
            "jit_compile": False
        }  # XLA takes longer than it saves
        model.compile(
            optimizer=keras.optimizers.SGD(0.05, momentum=0.9),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
            steps_per_execution=steps,
            **options,
        )
        return model

    def fit(
        self,
        *callbacks: keras.callbacks.Callback,
        validate: bool = True,
        stream: bool = False,
        steps: int = 1,
    ) -> Any:
        """Return a model trained for two epochs with the callbacks."""
        model = self.compiled(steps)
        options: dict[str, Any] = {"epochs": 2, "verbose": 0}
        if validate:
            options["validation_data"] = (self.x[:BATCH], self.y[:BATCH])
        keras.utils.set_random_seed(2)
        if stream:
            # A generator has no length, and is at its end after one epoch.
            options["epochs"] = 1
            model.fit(self._batches(), callbacks=list(callbacks), **options)
        else:
            options["batch_size"] = BATCH
            model.fit(self.x, self.y, callbacks=list(callbacks), **options)
        return model

    def _batches(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for start in range(0, EXAMPLES, BATCH):
            yield self.x[start : start + BATCH], self.y[start : start + BATCH]

    def plain(self) -> Any:
        """Return a model trained, tested and used without the callback."""
        if self._plain is None:
            self._plain = self.fit()
            self._plain.evaluate(self.x, self.y, verbose=0)
            self._plain.predict(self.x, verbose=0)
        return self._plain

    def watched(self) -> tuple[Any, Any, _Logs, _Logs]:
        """Return the callback, its model, and the logs before and after it."""
        if self._watched is None:
            callback, before, after = self.make(), _Logs(), _Logs()
            model = self.fit(before, callback, after)
            self._watched = callback, model, before, after
        return self._watched

    def check_arguments(self) -> None:
        given = copy.deepcopy(self.init)
        self.callback(**given)
        for name, value in self.init.items():
            if isinstance(value, list | dict | set):
                expect(
                    given[name] == value,
                    f"the callback changes its argument `{name}` in place: {value!r} "
                    f"became {given[name]!r}",
                )

    def check_fit(self) -> None:
        callback, model, *_ = self.watched()
        model.evaluate(self.x, self.y, callbacks=[callback], verbose=0)
        model.predict(self.x, callbacks=[callback], verbose=0)

    def check_steps(self) -> bool | None:
        if keras.backend.backend() == "torch":
            return False  # Keras runs every PyTorch step on its own
        self.fit(self.make(), steps=2)
        return None

    def check_no_logs(self) -> None:
        callback = self.make()
        callback.set_params({"epochs": 1, "steps": 1, "verbose": 0})
        model = self.compiled()
        model.train_on_batch(self.x[:BATCH], self.y[:BATCH])
        callback.set_model(model)
        hooks: list[tuple[str, tuple]] = [
            ("on_train_begin", ()),
            ("on_epoch_begin", (0,)),
            ("on_train_batch_begin", (0,)),
            ("on_train_batch_end", (0,)),
            ("on_test_begin", ()),
            ("on_test_batch_begin", (0,)),
            ("on_test_batch_end", (0,)),
            ("on_test_end", ()),
            ("on_epoch_end", (0,)),
            ("on_train_end", ()),
            ("on_predict_begin", ()),
            ("on_predict_batch_begin", (0,)),
            ("on_predict_batch_end", (0,)),
            ("on_predict_end", ()),
        ]
        for hook, arguments in hooks:
            try:
                getattr(callback, hook)(*arguments)
            except Exception as error:
                raise AssertionError(
                    f"{hook}() fails without logs, which Keras declares optional: "
                    f"{type(error).__name__}: {brief(error)}"
                ) from error

    def check_training(self) -> None:
        plain, watched = self.plain(), self.watched()[1]
        for before, after in zip(plain.variables, watched.variables, strict=True):
            expect(
                difference(
                    [keras.ops.convert_to_numpy(before)],
                    [keras.ops.convert_to_numpy(after)],
                )
                == 0,
                f"training with the callback ends with another `{before.path}`; say "
                "changes_training=True if it is there for that",
            )

    def check_logs(self) -> None:
        _, _, before, after = self.watched()
        for old, new in zip(before.epochs, after.epochs, strict=True):
            lost = sorted(set(old) - set(new))
            expect(not lost, f"on_epoch_end removes {lost} from the logs")
            changed = sorted(k for k in old if old[k] != new[k])
            expect(not changed, f"on_epoch_end changes {changed} in the logs")
            for key in set(new) - set(old):
                value = new[key]
                number = isinstance(value, int | float | np.number)
                expect(
                    number or (hasattr(value, "ndim") and value.ndim == 0),
                    f"on_epoch_end adds {key!r} to the logs, which is no number but "
                    f"{value!r}",
                )
        keys = [set(epoch) for epoch in after.epochs]
        odd = sorted(set.union(*keys) - set.intersection(*keys)) if keys else []
        expect(
            not odd,
            f"{odd} are in the logs of some epochs only; writers such as CSVLogger "
            "fix their columns in the first",
        )

    def check_reuse(self) -> None:
        used, _, _, first = self.watched()
        logs = _Logs()
        self.fit(used, logs)
        again, fresh = logs.epochs, first.epochs
        expect(
            len(again) == len(fresh),
            f"in a second fit the callback stops after {len(again)} epochs, a new one "
            f"after {len(fresh)}",
        )
        for one, two in zip(again, fresh, strict=True):
            expect(
                set(one) == set(two),
                f"in a second fit the logs have {sorted(set(one) ^ set(two))} and "
                "with a new callback not, or the reverse",
            )
            for key in one:
                expect(
                    _same(one[key], two[key]),
                    f"in a second fit the callback gives {key}={one[key]!r}, a new one "
                    f"{two[key]!r}: it keeps a state",
                )

    def check_restore(self) -> None:
        plain, watched = self.plain(), self.watched()[1]
        for name, one, two in _parts(plain, watched):
            left = sorted(set(vars(two)) - set(vars(one)))
            expect(not left, f"after fit the callback's {left} are left on {name}")
            replaced = sorted(
                key
                for key, value in vars(two).items()
                if _is_foreign(value, vars(one).get(key))
            )
            expect(not replaced, f"after fit {replaced} of {name} are still replaced")
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "model.keras"
            watched.save(file)
            loaded: Any = keras.saving.load_model(file)
        gap = difference(
            [watched.predict(self.x, verbose=0)], [loaded.predict(self.x, verbose=0)]
        )
        expect(gap < 1e-6, "after fit the saved and loaded model predicts differently")


def _parts(one: Any, two: Any) -> list[tuple[str, Any, Any]]:
    layers = [
        (f"the layer {a.name!r}", a, b)
        for a, b in zip(one.layers, two.layers, strict=True)
    ]
    optimizers = ("the optimizer", one.optimizer, two.optimizer)
    return [("the model", one, two), optimizers, *layers]


def _same(one: Any, two: Any) -> bool:
    """Compare log values; NaN is the same as NaN."""
    return bool(one == two) or bool(one != one and two != two)


def _is_foreign(value: Any, reference: Any) -> bool:
    """A function where the untouched object has none, or one from another place."""
    code = getattr(value, "__code__", None)
    if code is None:
        return False
    return code is not getattr(reference, "__code__", None)
