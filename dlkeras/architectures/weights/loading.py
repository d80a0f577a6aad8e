"""Weights from elsewhere: keras.applications, PyTorch's networks, weight files."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from dlkeras.architectures.weights.h5 import Found, Left, read_keras_weights
from dlkeras.architectures.weights.matching import (
    HEADS,
    Arrays,
    array_of,
    check_nothing_left,
    check_shapes,
    in_width_of,
    is_head,
    matched,
    warn_of_padding,
)
from dlkeras.architectures.weights.names import (
    family,
    in_keras_applications,
    parts,
)
from dlkeras.architectures.weights.shipped import (
    application_of,
    imagenet,
    pretrained,
)
from dlkeras.architectures.weights.state_dicts import from_torch, is_module
from dlkeras.untrusted.gate import UntrustedFileError
from dlkeras.untrusted.models import load_model
from dlkeras.untrusted.torch_pickle import printable
from dlkeras.untrusted.weights import (
    WeightFileError,
    read_weight_file,
)

_TORCH_FILES = (".pth", ".pt", ".bin", ".ckpt", ".tar")


def load_weights_from(model: Any, source: Any, *, head: bool = True) -> None:
    """Load the weights of another implementation of the same network.

    Known are the ResNets of `keras.applications` (its v2 with
    `version="v2", layout="keras"`) and their files; the state dicts of PyTorch's
    ResNets (`version="v1.5"`, torchvision and timm), of torchvision's GoogLeNet
    (`normalization="batch", kernel_size_5x5=3, stem_padding="symmetric",
    pool4_size=2`; the images of its ImageNet weights want
    `include_preprocessing="symmetric"`) and of its AlexNet (`version="2014"`); and any
    model that this package built with the same arguments. torchvision's auxiliary
    classifiers load, but pool adaptively: their outputs differ.

    Kernels are turned from (out, in, height, width) to (height, width, in, out),
    dense layers behind a flattening are permuted, biases of convolutions that have
    none here go into the normalisation that follows, and so does the difference of
    two epsilons. A first kernel of three channels is summed for images of one. The
    model changes only if everything fits.

    A state dict does not say where the strides lie, how the images are padded, what
    epsilon is (PyTorch's own is assumed), nor whether convolutions are dilated or
    blur before a stride: the weights of timm's `resnetblur50`, `resnetaa50` and
    networks with an `output_stride` load and compute something else here. Pass the
    module itself, and strides, dilation, epsilon and the kinds of its modules are
    compared. Where the strides or the padding of the model are not those of PyTorch's
    networks, a warning says so.

    Args:
        model: The model that gets the weights.
        source: A Keras model; a module of PyTorch, its state dict, of tensors or
            arrays, or a checkpoint that has it under `"state_dict"`,
            `"model_state_dict"` or `"model"`, whatever comes before the names of the
            network (`module.`, `_orig_mod.`, `model.`, ...); or a file: `.pth`,
            `.pt`, `.bin`, `.ckpt`, `.tar` (as in `.pth.tar`) of PyTorch,
            `.safetensors`, the index of several (`.safetensors.index.json`), `.keras`,
            `.weights.h5`, or the `.h5` of Keras 2 and keras.applications. A pickle in
            a file cannot run code. Where a checkpoint has an average of the weights,
            too, a warning says how to take that.
        head: Whether the weights of the classifier, and of GoogLeNet's two at its
            sides, are loaded, too. A model without a classifier takes none in any case.

    Raises:
        ValueError: The source does not fit; the message names the first layer that
            differs, both shapes, and what to pass. Or the file is corrupt or hostile.
        FileNotFoundError: There is no such file.

    Example:
        >>> import keras
        >>> from dlkeras.architectures import load_weights_from, resnet50
        >>> theirs = keras.applications.ResNet50(weights=None, classes=10)
        >>> ours = resnet50(num_classes=10, version="v1")
        >>> load_weights_from(ours, theirs)
    """
    if isinstance(source, str | Path) and str(source).endswith(".h5"):
        found, left = read_keras_weights(model, source)
        if family(model) == "resnet" and {"layers/conv2d_1", "conv1_conv"} & set(left):
            source = _application_in(model, source, found.get("classifier"), left)
        else:
            places = list(left)
            values = _from_own(model, found, places, f"file {str(source)!r}", head)
            source = None
    elif isinstance(source, str | Path):
        source = _opened(source)
    if source is None:
        pass
    elif isinstance(source, keras.Model):
        if "conv1_conv" in {layer.name for layer in source.layers}:
            values = _from_keras_applications(model, source, head)
        else:
            values = _from_our_model(model, source, head)
    elif isinstance(source, Mapping) or is_module(source):
        values = from_torch(model, source, head)
    else:
        raise ValueError(
            "source must be a Keras model, a module of PyTorch, a state dict or the "
            f"path of a weight file. Received: source={printable(repr(source))}"
        )
    for variable, value in values:
        variable.assign(value)


def with_weights(model: Any, weights: Any, build: Callable[..., Any]) -> Any:
    """Return the model, with the weights of a source if one is given.

    Args:
        model: What a builder made.
        weights: A source as for `load_weights_from`, a name of weights that come with
            the package, `"imagenet"`, or `None`.
        build: The builder.
    """
    if isinstance(weights, str) and weights == "imagenet":
        weights = imagenet(model)
    elif isinstance(weights, str) and not Path(weights).suffix:
        weights = pretrained(build, weights)
    if weights is not None:
        load_weights_from(model, weights)
    return model


def _opened(file: str | Path) -> Any:
    name = str(file)
    if name.endswith(".keras"):
        try:
            return load_model(file)
        except FileNotFoundError:
            raise FileNotFoundError(f"There is no weight file {name!r}.") from None
        except UntrustedFileError as error:
            raise WeightFileError(str(error)) from error
    ends = (*_TORCH_FILES, ".safetensors", ".safetensors.index.json", ".bin.index.json")
    if name.endswith(ends):
        return read_weight_file(file)
    if Path(file).is_dir():
        found = sorted(x.name for x in Path(file).iterdir() if x.name.endswith(ends))
        raise ValueError(
            f"{name!r} is a folder: pass the path of the weight file in it"
            + (f", such as {found[0]!r}." if found else ".")
        )
    raise ValueError(
        f"A weight file must end in {', '.join(_TORCH_FILES)}, .safetensors, .keras, "
        f".weights.h5 or .h5. Received: source={name!r}"
    )


def _application_in(model: Any, file: Any, dense: Any, left: Left) -> keras.Model:
    """Return the network of keras.applications whose weights a file holds."""
    build = application_of(model, f"{str(file)!r}, a file of keras.applications,")
    shape = dense[0].shape if dense else None
    if "classifier" in parts(model):  # a `.h5` file has it under their name
        shape = next((x for x in left.get("predictions", ()) if len(x) == 2), shape)
    if shape is None:
        theirs = build(weights=None, include_top=False)
    else:
        width = next(x.kernel.shape[0] for x in model.layers if x.name == "classifier")
        if len(shape) != 2 or shape[0] != width or not shape[1]:
            raise ValueError(
                f"The classifier in {str(file)!r} has a kernel of shape {shape}, where "
                f"({width}, classes) is expected."
            )
        theirs = build(weights=None, classes=shape[1])
    found, _ = read_keras_weights(theirs, file)
    for layer in theirs.layers:
        arrays = found.get(layer.name, [])
        shapes = [tuple(weight.shape) for weight in layer.weights]
        if shapes != [array.shape for array in arrays]:
            raise ValueError(
                f"Layer {layer.name!r} of keras.applications.{build.__name__} has "
                f"weights of the shapes {shapes}, the file {str(file)!r} "
                f"{[array.shape for array in arrays]}. Is it of another depth?"
            )
        layer.set_weights(arrays)
    return theirs


def _from_our_model(model: Any, source: Any, head: bool) -> list:
    theirs = parts(source)
    if not set(theirs) & {path for path in parts(model) if path not in HEADS}:
        raise ValueError(
            "The layers of the source are neither this model's nor those of a ResNet "
            f"of keras.applications. Received: model {model.name!r}, source "
            f"{source.name!r}, whose first layers with weights are {list(theirs)[:3]}"
        )
    found = {p: [array_of(w) for w in layer.weights] for p, layer in theirs.items()}
    left = [path for path in theirs if path not in parts(model)]
    return _from_own(model, found, left, f"source {source.name!r}", head)


def _from_own(
    model: Any, found: Found, left: list[str], source: str, head: bool
) -> list[tuple[Any, np.ndarray]]:
    """Match arrays that have the names of the model's own parts."""
    last = "head_normalization"  # of v2, whose layers have the names of v1's
    if (last in parts(model)) != (last in found or last in left):
        which = "v2" if last in left else "v1"
        raise ValueError(
            f"Only one of model {model.name!r} and the {source} has a layer {last!r}: "
            f"pass version={which!r}."
        )
    values = []
    for path, layer in parts(model).items():
        if is_head(path) and not head:
            continue
        arrays = found.get(path, [])
        if len(layer.weights) != len(arrays):
            what = "other weights in" if arrays else "no counterpart in"
            hint = "Is the source of another depth, version or normalisation?"
            if is_head(path):
                hint = "Pass head=False to keep the model's own head."
            elif path in ("S2", "S4"):
                hint = "Pass version='table': the source's S2 and S4 only average."
            raise ValueError(
                f"Layer {path!r} of model {model.name!r}, of shape "
                f"{tuple(layer.weights[0].shape)}, has {what} the {source}. {hint}"
            )
        for variable, array in zip(layer.weights, arrays, strict=True):
            array = in_width_of(variable, path, array)
            check_shapes(model, path, variable, array, path)
            values.append((variable, array))
    has_head = bool(set(HEADS) & set(parts(model)))
    heads = ("layers/dense", "layers/rbf_output")  # as a file of Keras names them
    check_nothing_left(
        model,
        [x for x in left if x not in HEADS and (has_head or not x.startswith(heads))],
    )
    return values


def _from_keras_applications(model: Any, source: Any, head: bool) -> list:
    theirs = {layer.name: layer for layer in source.layers if layer.weights}
    if family(model) != "resnet":
        raise ValueError(
            "The layers of the source are neither this model's nor those of a ResNet "
            f"of keras.applications. Received: model {model.name!r}, source "
            f"{source.name!r}, whose first layers with weights are "
            f"{list(theirs)[:3]}"
        )
    version = "v2" if "post_bn" in theirs else "v1"
    ours = "v2" if "head_normalization" in parts(model) else "v1"
    if version != ours:
        layout = ", layout='keras'" if version == "v2" else ""
        first = "stem_normalization" if ours == "v1" else "head_normalization"
        raise ValueError(
            f"The source is a ResNet {version}: pass version={version!r}{layout}. "
            f"Received: model {model.name!r}, whose layer {first!r} the source does "
            "not have"
        )
    warn_of_padding(model)
    left = dict(theirs)
    name_of = in_keras_applications(version)

    def find(name: str, layer: Any) -> tuple[Arrays, float] | None:
        other = left.pop(name, None)
        if other is None:
            return None
        strides = getattr(layer, "strides", None)
        if strides is not None and strides != other.strides:
            path = next(p for p, part in parts(model).items() if part is layer)
            what = (
                "layout='keras'"
                if version == "v2"
                else "version='v1', whose stride is in the first 1x1 convolution"
            )
            raise ValueError(
                f"Layer {path!r} of model {model.name!r} has strides {strides}, the "
                f"source's {name!r} has {other.strides}: pass {what}."
            )
        if isinstance(layer, keras.layers.BatchNormalization):
            keys = ("gamma", "beta", "moving_mean", "moving_variance")
        else:
            keys = ("kernel", "bias")
        found = {
            key.removeprefix("moving_"): array_of(getattr(other, key))
            for key in keys
            if getattr(other, key, None) is not None
        }
        return found, getattr(other, "epsilon", 0.0)

    values = matched(model, find, name_of, theirs, head)
    if not head or "classifier" not in parts(model):
        left.pop("predictions", None)
    check_nothing_left(model, list(left))
    return values
