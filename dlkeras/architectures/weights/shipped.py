"""The weights that come with the package: their names, and how to load them."""

import difflib
import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import keras

from dlkeras.architectures.weights.files import WeightFileError

_FOLDER = resources.files("dlkeras.architectures") / "pretrained"


def pretrained_names(architecture: str) -> list[str]:
    """List the names of the weights we ship for an architecture.

    Args:
        architecture: Name of the architecture.

    Returns:
        What the builder's argument `weights` takes.

    Example:
        >>> from dlkeras.architectures import pretrained_names
        >>> pretrained_names("lenet5")
        ['digits', 'mnist']
    """
    return sorted(name for owner, name in _known() if owner == architecture)


def pretrained_card(architecture: str, name: str) -> dict[str, Any]:
    """Return the card of weights we ship: data, accuracy, licence.

    Args:
        architecture: Name of the architecture.
        name: Name of its weights.

    Returns:
        `arguments` of the builder, `labels` of the classes, `pixels` (the `scale` and
        `offset` that bring 0 to 255 to the network's input, and its size), `metrics` on
        the test images, `training`, `examples`, `versions` and `sha256`.

    Raises:
        ValueError: There are no such weights; the message lists what there is.

    Example:
        >>> from dlkeras.architectures import pretrained_card
        >>> card = pretrained_card("lenet5", "mnist")
        >>> card["arguments"]
        {'input_shape': [32, 32, 1], 'num_classes': 10}
    """
    if (architecture, name) not in _known():
        known = pretrained_names(architecture)
        near = difflib.get_close_matches(name, known, n=3)
        raise ValueError(
            "weights must be a Keras model, a state dict, the path of a weight file or "
            f"a name of weights that come with the package; for {architecture!r} "
            + (
                f"these are {', '.join(map(repr, known))}"
                if known
                else "there are none"
            )
            + (f"; did you mean {' or '.join(map(repr, near))}?" if near else ".")
            + f" Received: weights={name!r}"
        )
    return json.loads((_FOLDER / f"{architecture}_{name}.json").read_text("utf-8"))


def pretrained(build: Callable[..., keras.Model], name: str) -> keras.Model:
    """Return an architecture with weights we ship.

    Args:
        build: The architecture's builder, whose `__name__` is the architecture's.
        name: Name of the weights.

    Returns:
        The network as it was trained.

    Raises:
        ValueError: There are no such weights.
        WeightFileError: The file is not the one that was shipped.
    """
    architecture = getattr(build, "__name__", "")
    card = pretrained_card(architecture, name)
    file = _FOLDER / f"{architecture}_{name}.weights.h5"
    data = file.read_bytes()
    if hashlib.sha256(data).hexdigest() != card["sha256"]:
        raise WeightFileError(
            f"{str(file)!r} must have the SHA-256 {card['sha256'][:16]}... of its "
            f"card; received {hashlib.sha256(data).hexdigest()[:16]}.... Install the "
            "package again."
        )
    arguments = dict(card["arguments"])
    model = build(**{**arguments, "input_shape": tuple(arguments["input_shape"])})
    with tempfile.TemporaryDirectory() as folder:  # the package may be within a zip
        copy = Path(folder) / "network.weights.h5"
        copy.write_bytes(data)
        model.load_weights(copy)
    return model


def application_of(model: Any, what: str) -> Callable[..., keras.Model]:
    """Return the builder in `keras.applications` of the same network.

    Args:
        model: A ResNet.
        what: What is to be loaded, for the message.

    Raises:
        ValueError: Keras has no such network; the message says what to pass.
    """
    blocks = [x for x in model.layers if x.name.startswith("stage")]
    depth = {16: 50, 33: 101, 50: 152}.get(len(blocks))
    if depth is None or len(getattr(blocks[0], "convolutions", ())) != 3:
        raise ValueError(
            f"{what} is for ResNet-50, 101 and 152, which keras.applications has. "
            f"Received: model {model.name!r}"
        )
    first = blocks[0]
    variant = (first.shortcut, first.groups, first.width_per_group)
    if (*variant, first.reduction_ratio) != ("B", 1, 64, None) or not any(
        layer.name == "stem_convolution" for layer in model.layers
    ):
        raise ValueError(
            f"{what} is for the paper's ResNets: pass shortcut='B', stem='paper', "
            "groups=1, width_per_group=64 and reduction_ratio=None. "
            f"Received: model {model.name!r} with shortcut={first.shortcut!r}, "
            f"groups={first.groups}, width_per_group={first.width_per_group}, "
            f"reduction_ratio={first.reduction_ratio}"
        )
    kind = f"ResNet{depth}"
    if "head_normalization" in [layer.name for layer in model.layers]:
        kind += "V2"
        if model.get_layer("stage2_block1").strides != 1:
            raise ValueError(
                f"keras.applications.{kind} has its strides in the last block of a "
                f"stage: pass layout='keras'. Received: model {model.name!r} with "
                "layout='paper'"
            )
    elif blocks[0].version != "v1":
        raise ValueError(
            f"keras.applications.{kind} has its strides in the first 1x1 convolution: "
            f"pass version='v1'. Received: model {model.name!r} with version='v1.5'"
        )
    return getattr(keras.applications, kind)


def imagenet(model: Any) -> keras.Model:
    """Return the network of `keras.applications` with ImageNet's weights.

    Keras downloads them once into its own folder, `~/.keras/models` or that of
    `KERAS_HOME`, and compares the file with a hash of its own.

    Args:
        model: The network that is to get the weights.

    Raises:
        ValueError: Keras has no such network, or the model's head has not ImageNet's
            1,000 classes.
        OSError: The weights cannot be downloaded, or are not those of Keras's hash;
            nothing of them is left in the folder.
    """
    build = application_of(model, "weights='imagenet'")
    heads = [x.units for x in model.layers if x.name == "classifier"]
    if heads not in ([], [1000]):
        raise ValueError(
            "weights='imagenet' know 1000 classes: pass num_classes=1000, or "
            "num_classes=0 and then transfer.replace_head. "
            f"Received: num_classes={heads[0]}"
        )
    try:
        return build(weights="imagenet", include_top=bool(heads))
    except Exception as error:  # Keras raises plain exceptions
        home = os.environ.get("KERAS_HOME") or Path("~/.keras").expanduser()
        known = build.__name__.lower()
        end = "" if heads else "_notop"
        file = Path(home) / f"models/{known}_weights_tf_dim_ordering_tf_kernels{end}.h5"
        if "hash does not match" in str(error):  # Keras leaves what it has refused
            file.unlink(missing_ok=True)
        raise OSError(
            f"The weights of keras.applications.{build.__name__} must be downloaded "
            f"or be at {str(file)!r}, with Keras's own hash. Received: {error}"
        ) from error


@cache
def _known() -> frozenset[tuple[str, str]]:
    names = (file.name for file in _FOLDER.iterdir())
    pairs = (n.removesuffix(".json").split("_", 1) for n in names if ".json" in n)
    return frozenset((owner, name) for owner, name in pairs)
