"""What a search may vary: each architecture's dimensions, and the command line's.

A dimension carries the name of the field of the trainer's configuration that it varies,
so that what a search finds is a configuration that can be written down. `--tuner.space`
adds, changes and removes them:

    --tuner.space dropout=0:0.5            a range
    --tuner.space learning_rate=1e-4:1e-2  a range, sampled in the logarithm
    --tuner.space activation=relu,tanh     a choice
    --tuner.space width_multiplier=on      as the architecture declares it
    --tuner.space augmentation_strength=off
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dlkeras.pipeline.configuration.config import TrainerConfig, TunerConfig
from dlkeras.pipeline.store.errors import InputError, reason
from dlkeras.pipeline.training.own.code import code_of
from dlkeras.pipeline.training.own.network import builder_of, parameters, typed

ON, OFF = "on", "off"
LOGARITHMIC = frozenset({"learning_rate"})
# Fields of the trainer that are arguments of the function that builds the network.
BUILDER_OPTIONS = frozenset(
    ("dropout", "width_multiplier", "activation", "kernel_initializer")
)


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included."""

    low: float
    high: float
    logarithmic: bool = False
    whole: bool = False


@dataclass(frozen=True)
class Choice:
    """One of some values."""

    values: tuple[Any, ...]


Dimension = Range | Choice

_EVERY: dict[str, Dimension] = {
    "optimizer": Choice(("adam", "adamw", "sgd", "rmsprop")),
    "learning_rate_schedule": Choice(("cosine", "constant")),
    "dropout": Range(0.0, 0.5),
    "width_multiplier": Choice((0.5, 1.0, 1.5)),
    "frozen_layers": Range(0, 8, whole=True),
}
_RECTIFIED: dict[str, Dimension] = {
    "activation": Choice(("relu", "elu", "gelu", "silu")),
    "kernel_initializer": Choice(("he_normal", "he_uniform", "glorot_uniform")),
}
# Declared by the beginning of an architecture's name; the longest that fits counts.
_DECLARED: dict[str, dict[str, Dimension]] = {
    "": _RECTIFIED,
    "lenet5": {
        "activation": Choice(("tanh", "relu", "gelu")),
        "kernel_initializer": Choice(("glorot_uniform", "he_normal", "lecun_normal")),
        "frozen_layers": Range(0, 3, whole=True),
    },
    "alexnet": _RECTIFIED
    | {"dropout": Range(0.3, 0.7), "frozen_layers": Range(0, 5, whole=True)},
    "googlenet": _RECTIFIED | {"dropout": Range(0.2, 0.6)},
    "resnet": _RECTIFIED
    | {"architecture": Choice(("resnet18", "resnet34", "resnet50", "resnet101"))},
    **{
        name: _RECTIFIED
        | {"architecture": Choice(("resnet20", "resnet32", "resnet44", "resnet56"))}
        for name in ("resnet20", "resnet32", "resnet44", "resnet56", "resnet110")
    },
}


def declared(architecture: str, config: TunerConfig) -> dict[str, Dimension]:
    """Every dimension that an architecture knows.

    Args:
        architecture: its name.
        config: the ranges of the learning rate and of the augmentation.

    Example:
    >>> sorted(declared("lenet5", TunerConfig()))[:3]
    ['activation', 'augmentation_strength', 'dropout']
    """
    fitting = [name for name in _DECLARED if architecture.startswith(name)]
    return {
        "learning_rate": Range(
            config.min_learning_rate, config.max_learning_rate, logarithmic=True
        ),
        "augmentation_strength": Range(
            config.min_augmentation_strength, config.max_augmentation_strength
        ),
        **_EVERY,
        **_DECLARED[max(fitting, key=len)],
    }


def space_of(trainer: TrainerConfig, config: TunerConfig) -> dict[str, Dimension]:
    """The dimensions of a search over a network and the arguments of its function."""
    if trainer.network is None and not code_of(trainer.architecture):
        return search_space(trainer.architecture, config)  # the package's: fields alone
    arguments = parameters(builder_of(trainer))
    return search_space(trainer.architecture, config, arguments)


def search_space(
    architecture: str, config: TunerConfig, arguments: Mapping[str, Any] | None = None
) -> dict[str, Dimension]:
    """The dimensions of a search, in a fixed order.

    Args:
        architecture: name of the network to try.
        config: its `space` says which dimensions, and may say how far.
        arguments: what the function that builds it takes beside, and the defaults.

    Returns:
        The dimensions by the name of the field of `TrainerConfig` that they vary.

    Raises:
        InputError: a name is no such dimension, or a value cannot be read.

    Example:
    >>> config = TunerConfig(space={"learning_rate": "1e-4:1e-2", "dropout": "on"})
    >>> search_space("lenet5", config)["dropout"]
    Range(low=0.0, high=0.5, logarithmic=False, whole=False)
    """
    known = declared(architecture, config)
    if arguments is not None:
        missing = (BUILDER_OPTIONS | {"architecture"}) - arguments.keys()
        known = {n: d for n, d in known.items() if n not in missing}
    arguments = {n: v for n, v in (arguments or {}).items() if n not in known}
    space = {}
    for name, text in config.space.items():
        name = name.replace("-", "_")
        if name not in known and name not in arguments:
            names = sorted({*known, *arguments})
            near = difflib.get_close_matches(name, names, n=2)
            hint = f"; did you mean {' or '.join(near)}?" if near else ""
            raise InputError(
                f"--tuner.space: expected a dimension of {architecture}, one of "
                f"{', '.join(names)}; received {name!r}{hint}"
            )
        if name in arguments and text != OFF:
            space[name] = _read(name, text, arguments[name])
        elif text != OFF:
            space[name] = known[name] if text == ON else _read(name, text, known[name])
    if not space:
        raise InputError("--tuner.space: expected at least one dimension; all are off")
    return dict(sorted(space.items()))


def _read(name: str, text: str, declared: Any) -> Dimension:
    """Read a dimension; beside a declared one there is the default of an argument."""
    try:
        if text == ON:
            raise ValueError("an argument of the network has no range of its own")
        if ":" in text:
            low, high = (float(part) for part in text.split(":"))
            whole = type(declared) is int
            if isinstance(declared, Range | Choice):
                whole = isinstance(declared, Range) and declared.whole
                _check(name, low, int(low) if whole else low)
                _check(name, high, int(high) if whole else high)
            if low > high:
                raise ValueError(f"{low:g} is above {high:g}")
            return Range(low, high, name in LOGARITHMIC, whole)
        if isinstance(declared, Range | Choice):
            return Choice(tuple(_value(name, part) for part in text.split(",")))
        parts = (part.strip() for part in text.split(","))
        return Choice(tuple(typed(name, part, declared) for part in parts))
    except ValueError as error:
        raise InputError(
            f"--tuner.space: expected {name}=LOW:HIGH, {name}=VALUE,VALUE, {name}=on "
            f"or {name}=off; received {text!r}: {reason(error)}"
        ) from error


def _value(name: str, text: str) -> Any:
    for kind in (int, float):
        try:
            value = kind(text)
            break
        except ValueError:
            value = text.strip()
    return _check(name, text, value)


def _check(name: str, given: Any, value: Any) -> Any:
    """Have the trainer's configuration judge a value."""
    try:
        config = TrainerConfig.model_validate({name: value}, strict=False)
    except ValueError as error:
        raise ValueError(f"{name} cannot be {given}") from error
    return getattr(config, name)


def draw(parameters: Any, space: Mapping[str, Dimension]) -> dict[str, Any]:
    """Ask keras-tuner for a value of every dimension.

    Args:
        parameters: keras-tuner's `HyperParameters` of a trial.
        space: the dimensions.

    Returns:
        The values by name, as the trainer's configuration takes them.
    """
    values: dict[str, Any] = {}
    for name, dimension in space.items():
        if isinstance(dimension, Choice):
            values[name] = parameters.Choice(name, list(dimension.values))
        elif dimension.whole:
            low, high = int(dimension.low), int(dimension.high)
            values[name] = parameters.Int(name, low, high)
        else:
            sampling = "log" if dimension.logarithmic else "linear"
            values[name] = parameters.Float(
                name, dimension.low, dimension.high, sampling=sampling
            )
    return values


def chosen(trainer: TrainerConfig, values: Mapping[str, Any]) -> TrainerConfig:
    """The trainer's configuration with the values of a trial in it."""
    fields = {k: v for k, v in values.items() if k in TrainerConfig.model_fields}
    others = {k: v for k, v in values.items() if k not in fields and "/" not in k}
    if others:  # arguments of the network; tuner/epochs and the like are keras-tuner's
        fields["network_args"] = {**trainer.network_args, **others}
    return trainer.model_copy(update=fields)
