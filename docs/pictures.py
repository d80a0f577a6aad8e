"""Draws the pictures of the documentation into docs/images, from real training runs.

    python docs/pictures.py [NAME ...]

LeNet-5 learns scikit-learn's copy of the UCI digits for some epochs (about a minute);
the rest is drawn from models as they are built. Names choose single pictures.
"""

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import drawings
import keras
import numpy as np
from layer_picture import damped
from matplotlib import rc_context
from sklearn.datasets import load_digits
from transfer_picture import transfer, transfer_photos

from dlkeras import visualization as show
from dlkeras.architectures import create, lenet5, names, summary_table
from dlkeras.callbacks import ActivationMonitor, GradientNormMonitor, LearningRateFinder
from dlkeras.layers import (
    AffineProjectionFilter,
    BlindEqualizer,
    LMSFilter,
    RLSFilter,
    digit_bitmaps,
)
from dlkeras.optimization import QuadraticSurface, lms_theory, newton, steepest_descent
from dlkeras.visualization.figure import new_figure
from dlkeras.visualization.look.colours import CYCLE, DASHES

IMAGES = Path(__file__).parent / "images"
LABELS = [str(digit) for digit in range(10)]
EPOCHS = 12


@functools.cache
def digits() -> tuple[Any, ...]:
    """Training and test digits at 32 by 32 pixels, in LeCun's range."""
    images, labels = load_digits().images / 16 * 1.275 - 0.1, load_digits().target
    large = np.repeat(np.repeat(images, 3, 1), 3, 2)
    large = np.pad(large, [(0, 0), (4, 4), (4, 4)], constant_values=-0.1)
    large = large[..., None].astype("float32")
    order = np.random.default_rng(0).permutation(len(large))
    train, test = order[:1400], order[1400:]
    return large[train], labels[train], large[test], labels[test]


class Snapshots(keras.callbacks.Callback):
    """Keeps the trainable weights of every epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[list[np.ndarray]] = []

    def keep(self) -> None:
        """Keep the weights as they are now."""
        model: Any = self.model
        arrays = [keras.ops.convert_to_numpy(v) for v in model.trainable_variables]
        self.kept.append([np.array(array) for array in arrays])

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Keep the initial weights."""
        self.keep()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Keep the epoch's weights."""
        self.keep()


@functools.cache
def trained() -> tuple[Any, ...]:
    """LeNet-5 after its training, with all that was seen of it."""
    keras.utils.set_random_seed(1)
    x, y, x_test, y_test = digits()
    model = lenet5()
    model.compile(keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy",
                  metrics=["accuracy"])  # fmt: skip
    gradients = GradientNormMonitor(frequency=5, on_finding=None)
    activations = ActivationMonitor(x[:256], on_finding=None)
    snapshots = Snapshots()
    history = model.fit(
        x, y, 64, EPOCHS, validation_data=(x_test, y_test), verbose=0,
        callbacks=[gradients, activations, snapshots],
    )  # fmt: skip
    answers = keras.ops.convert_to_numpy(model(x_test, training=False))
    return model, history.history, gradients, activations, snapshots.kept, answers


def _kernels() -> tuple[Any, list[str]]:
    found = trained()[2].history
    table = found.gradient_norm
    columns = [i for i, n in enumerate(found.variable_names) if n.endswith("kernel")]
    layers = [found.variable_names[i].rsplit("/", 1)[0] for i in columns]
    return np.asarray(table)[:, columns], layers


def _sample() -> np.ndarray:
    x, y = digits()[2:]
    return np.stack([x[np.flatnonzero(y == digit)[0]] for digit in (3, 5, 8)])


def _maps() -> Any:
    model = trained()[0]
    image = _sample()[:1]
    chosen = ("C1", "C3")
    outputs = [model.get_layer(name).output for name in chosen]
    arrays = keras.Model(model.inputs[0], outputs)(image)
    arrays = [keras.ops.convert_to_numpy(a)[0] for a in arrays]
    return show.feature_maps(image[0], dict(zip(chosen, arrays, strict=True)))


def _landscape() -> Any:
    model, _, _, _, kept, _ = trained()
    x, y = digits()[:2]
    # The plane through the beginning, the middle and the end of the training.
    last = kept[-1]
    plane = [[a - b for a, b in zip(kept[i], last, strict=True)] for i in (0, 2)]
    found = show.loss_along(
        model, x[:256], y[:256], directions=plane, span=1.25, points=17
    )
    return show.loss_landscape(found, found.project(kept))


def _distributions() -> Any:
    model = trained()[0]
    chosen = ["C1", "C3", "C5", "F6"]
    outputs = [model.get_layer(name).output for name in chosen]
    arrays = keras.Model(model.inputs[0], outputs)(digits()[2][:200])
    return show.activation_distributions(dict(zip(chosen, arrays, strict=True)))


def _augmented() -> Any:
    x = _sample()
    layers = {
        "shift": keras.layers.RandomTranslation(0.12, 0.12, fill_mode="constant",
                                                fill_value=-0.1, seed=1),
        "rotation": keras.layers.RandomRotation(0.06, fill_mode="constant",
                                                fill_value=-0.1, seed=2),
        "zoom": keras.layers.RandomZoom(0.2, fill_mode="constant", fill_value=-0.1,
                                        seed=3),
        "white noise": keras.layers.GaussianNoise(0.25, seed=4),
    }  # fmt: skip
    drawn = [
        keras.ops.convert_to_numpy(layer(x, training=True)) for layer in layers.values()
    ]
    return show.augmentation_grid(x, np.stack(drawn, 1), captions=list(layers))


def _vanishing() -> Any:
    keras.utils.set_random_seed(0)
    hidden = [keras.layers.Dense(20, "sigmoid", name=f"h{i}") for i in range(1, 20)]
    deep = keras.Sequential([keras.Input((20,)), *hidden, keras.layers.Dense(1)])
    deep.compile("sgd", "mse")
    monitor = GradientNormMonitor(frequency=1, on_finding=None)
    x = np.random.default_rng(0).normal(size=(256, 20)).astype("float32")
    deep.fit(x, x[:, :1], callbacks=[monitor], verbose=0)
    found = monitor.history
    chosen = [name.startswith("h") and name.endswith("kernel")
              for name in found.variable_names]  # fmt: skip
    return show.gradient_flow(
        np.asarray(found.gradient_norm)[:, chosen], [f"h{i}" for i in range(1, 20)]
    )


def _updates() -> Any:
    found = trained()[2].history
    columns = [i for i, n in enumerate(found.variable_names) if n.endswith("kernel")]
    layers = [found.variable_names[i].rsplit("/", 1)[0] for i in columns]
    return show.update_ratios(np.asarray(found.update_ratio)[:, columns], layers)


def _reliability() -> Any:
    truth, answers = digits()[3], trained()[5]
    confidence, right = answers.max(1), answers.argmax(1) == truth
    edges = np.linspace(0, 1, 11)
    bins = np.digitize(confidence, edges[1:-1])
    count = np.bincount(bins, minlength=10)
    mean, share = (np.bincount(bins, v, 10) / np.maximum(count, 1)
                   for v in (confidence, right))  # fmt: skip
    ece = float((count * np.abs(mean - share)).sum() / count.sum())
    return show.reliability_diagram(mean, share, count, ece)


def _by_split(draw: Callable, measure: Callable) -> Any:
    x, y, x_test, y_test = digits()
    pixels = [(images + 0.1) / 1.275 * 255 for images in (x, x_test)]
    splits = zip(("train", "test"), pixels, (y, y_test), strict=True)
    return draw({name: measure(images, labels) for name, images, labels in splits})


def _pixels(images: np.ndarray, _: Any) -> list[list[int]]:
    return [np.histogram(images, 17, (0, 256))[0].tolist()]


def _brightness(images: np.ndarray, _: Any) -> np.ndarray:
    return np.stack([images.mean((1, 2, 3)), images.std((1, 2, 3))], 1)


def _descents() -> Any:
    bowl = QuadraticSurface.bowl((5, 3), [[1.0, 0.3], [0.3, 3.0]])
    start = [-4, 8]
    ways = {
        "steepest descent, eta 0.1": steepest_descent(bowl, 0.1, start, steps=60),
        "steepest descent, eta 0.55": steepest_descent(bowl, 0.55, start, steps=60),
        "Newton": newton(bowl, start),
    }
    return show.cost_surface(bowl, ways, gradients=True)


def _bowl() -> Any:
    bowl = QuadraticSurface.bowl((5, 3))
    way = steepest_descent(bowl, 0.3, [0, 0])
    return show.cost_surface(bowl, {"eta 0.3": way}, view="bowl", w1=(-1, 11),
                             w2=(-3, 9))  # fmt: skip


@functools.cache
def _channel() -> tuple[np.ndarray, np.ndarray]:
    """200 runs of 600 samples: an input, and what a channel of 4 taps makes of it."""
    draw = np.random.default_rng(0)
    x = draw.normal(size=(200, 600))
    system = [0.8, -0.4, 0.2, 0.1]
    d = sum(w * np.pad(x, [(0, 0), (i, 0)])[:, :600] for i, w in enumerate(system))
    d += 0.1 * draw.normal(size=d.shape)
    return x.astype("float32"), d.astype("float32")


def _lms() -> Any:
    x, d = _channel()
    _, error = LMSFilter(4, 0.02)(x, d)
    system = np.array([0.8, -0.4, 0.2, 0.1])
    power = float(system @ system + 0.1**2)
    theory = lms_theory(np.eye(4), system, 0.02, desired_power=power)
    return show.lms_learning_curve(keras.ops.convert_to_numpy(error), theory)


def _rates() -> Any:
    """LeNet-5 on the digits while its learning rate grows."""
    keras.utils.set_random_seed(0)
    model = lenet5()
    model.compile(keras.optimizers.SGD(momentum=0.9), "sparse_categorical_crossentropy")
    finder = LearningRateFinder(1e-5, 10.0, steps=200)
    model.fit(*digits()[:2], batch_size=32, epochs=5, verbose=0, callbacks=[finder])
    return show.learning_rate_range(
        finder.rates, finder.losses, finder.smoothed, finder.suggested
    )


def _weights() -> Any:
    x, d = _channel()
    weights = LMSFilter(4, 0.02, return_weights=True)(x[:1], d[:1])[2]
    return show.weights_over_time(weights[0], [0.8, -0.4, 0.2, 0.1])


def _engine() -> Any:
    """A scale of eight notes in an engine's noise, and what is left of both."""
    draw, rate = np.random.default_rng(0), 8000
    t = np.arange(rate // 2) / rate
    notes = [np.sin(2 * np.pi * 262 * 2 ** (s / 12) * t) for s in (0, 2, 4, 5, 7, 9)]
    voice = 0.3 * np.concatenate([np.exp(-4 * t) * note for note in notes])
    engine = draw.normal(size=len(voice))
    cabin = draw.normal(size=24) * np.exp(-np.arange(24) / 6)
    heard = voice + 0.2 * np.convolve(engine, cabin)[: len(voice)]
    left = LMSFilter(24, 0.002)(engine, heard)[1]
    return show.spectrogram(heard, left, rate=rate)


def _equalised() -> Any:
    draw = np.random.default_rng(0)
    qpsk = np.array([1 + 1j, 1 - 1j, -1 + 1j, -1 - 1j]) / 2**0.5
    heard = np.convolve(draw.choice(qpsk, 6000), [0.1, 1.0, 0.4j, 0.2])[:6000]
    noise = 0.03 * (draw.normal(size=6000) + 1j * draw.normal(size=6000))
    heard = (heard + noise).astype("complex64")
    output = BlindEqualizer(15, 0.01, symbols=qpsk)(heard)[0]
    return show.constellation(heard[-1500:], output[-1500:], symbols=qpsk)


def _filters_compared() -> Any:
    x, d = _channel()
    draw = np.random.default_rng(1)
    coloured = np.zeros_like(x)
    for n in range(1, x.shape[1]):
        coloured[:, n] = 0.9 * coloured[:, n - 1] + 0.44 * x[:, n]
    system = [0.8, -0.4, 0.2, 0.1]
    d = sum(w * np.pad(coloured, [(0, 0), (i, 0)])[:, :600]
            for i, w in enumerate(system))  # fmt: skip
    d = (d + 0.03 * draw.normal(size=d.shape)).astype("float32")
    layers = {
        "LMS, mu 0.05": LMSFilter(4, 0.05),
        "NLMS, mu 0.5": LMSFilter(4, 0.5, algorithm="nlms"),
        "affine projection, order 4, mu 0.5": AffineProjectionFilter(4, 0.5, order=4),
        "RLS, lambda 0.999": RLSFilter(4, 0.999),
    }
    figure, axis = new_figure(6.4, 4, "Adaptive filters on a coloured signal")
    for index, (name, layer) in enumerate(layers.items()):
        error = keras.ops.convert_to_numpy(layer(coloured, d)[1])
        axis.plot((error**2).mean(0), color=CYCLE[index], linestyle=DASHES[index],
                  label=name, lw=1.2)  # fmt: skip
    axis.set_yscale("log")
    axis.set_xlabel("sample n")
    axis.set_ylabel("mean squared error, 200 runs")
    axis.grid(alpha=0.3)
    axis.legend()
    return figure


def _receptive() -> Any:
    return show.receptive_field(lenet5(), ["C1", "S2", "C3", "S4", "C5"], _sample()[1])


def _house() -> Any:
    house = np.zeros((64, 64))
    rows, columns = np.indices(house.shape)
    house[(abs(rows - abs(columns - 32) - 8) <= 1) & (rows < 34)] = 1
    house[34:60, [10, 11, 53, 54]] = house[[34, 35, 58, 59], 10:55] = 1
    circles = [(20, 20), (20, 44), (36, 32), (44, 11), (54, 24)]
    groups = [(1, 2), (1, 2, 3), (4, 5)]
    return show.local_receptive_fields(house, circles, 19, groups=groups)


def _bitmaps() -> Any:
    bitmaps = digit_bitmaps().reshape(-1, 12, 7, 1)
    return show.image_grid(
        bitmaps, LABELS, columns=10, title="The fixed bitmaps of RBFOutput"
    )


def _block(layer_name: str, shape: tuple[int, int, int], **options: Any) -> Any:
    from dlkeras import layers

    images = keras.Input(shape, name="input")
    x = getattr(layers, layer_name)(name=layer_name, **options)(images)
    return show.architecture_diagram(keras.Model(images, x, name=layer_name))


def _auxiliary() -> Any:
    """The layers that an auxiliary classifier is made of, one after the other."""
    from dlkeras.layers import AuxiliaryClassifier

    layer = AuxiliaryClassifier(1000, name="auxiliary")
    images = keras.Input((14, 14, 512), name="inception_4a")
    layer.build(images.shape)
    x = keras.layers.ReLU(name="relu")(layer.convolution(layer.pool(images)))
    x = keras.layers.ReLU(name="relu_2")(layer.hidden(layer.flatten(x)))
    x = keras.layers.Softmax(name="softmax")(layer.classifier(layer.drop(x)))
    title = f"AuxiliaryClassifier: {layer.count_params():,} parameters"
    return show.architecture_diagram(keras.Model(images, x), title=title)


def _inception() -> Any:
    table = {
        "filters_1x1": 64,
        "filters_3x3_reduce": 96,
        "filters_3x3": 128,
        "filters_5x5_reduce": 16,
        "filters_5x5": 32,
        "filters_pool_proj": 32,
    }
    return _block("InceptionModule", (28, 28, 192), **table)


def _findings() -> Any:
    history = trained()[3].history
    return show.activation_statistics(
        history.mean[-1], history.std[-1], history.dead_share[-1],
        history.saturated_share[-1], list(history.layers),
    )  # fmt: skip


def _diagram(name: str) -> Any:
    options = {} if name == "lenet5" else {"kernel_initializer": "zeros"}
    return show.architecture_diagram(create(name, **options))


PICTURES: dict[str, Callable[[], Any]] = {
    "learning_curves": lambda: show.learning_curves(
        trained()[1], loss_label="cross-entropy loss (nats)"
    ),
    "confusion_matrix": lambda: show.confusion_matrix(
        np.histogram2d(digits()[3], trained()[5].argmax(1), 10, [[0, 10]] * 2)[0],
        LABELS,
    ),
    "misclassified": lambda: show.misclassified(digits()[2], digits()[3], trained()[5]),
    "filters": lambda: show.filters(trained()[0].get_layer("C1").kernel, title="C1"),
    "feature_maps": _maps,
    "grad_cam": lambda: show.grad_cam(trained()[0], _sample(), "C3"),
    "saliency": lambda: show.saliency(trained()[0], _sample()),
    "receptive_field": _receptive,
    "local_receptive_fields": _house,
    "stacked_layers": lambda: show.stacked_layers(
        trained()[0], ["C1", "S2", "C3"], _sample()[1]
    ),
    "loss_landscape": _landscape,
    "activation_distributions": _distributions,
    "activation_statistics": _findings,
    "gradient_flow": lambda: show.gradient_flow(*_kernels()),
    "gradient_map": lambda: show.gradient_map(
        *_kernels(), [int(step) for step in trained()[2].history.steps]
    ),
    "augmentation_grid": _augmented,
    "vanishing_gradient": _vanishing,
    "update_ratios": _updates,
    "reliability_diagram": _reliability,
    "class_balance": lambda: _by_split(
        show.class_balance,
        lambda _, labels: {d: int((labels == int(d)).sum()) for d in LABELS},
    ),
    "pixel_distribution": lambda: _by_split(show.pixel_distribution, _pixels),
    "brightness_and_contrast": lambda: _by_split(
        show.brightness_and_contrast, _brightness
    ),
    "network_table": lambda: show.network_table(
        summary_table(lenet5()), title="lenet5"
    ),
    "accuracy_by_examples": transfer,
    "learning_rate_range": _rates,
    "transfer_photos": transfer_photos,
    "activation_functions": lambda: show.activation_functions(),
    "cost_surface": _descents,
    "cost_surface_bowl": _bowl,
    "lms_learning_curve": _lms,
    "signal_flow_graph": lambda: show.signal_flow_graph("adaptive_model"),
    "signal_flow_graph_error": lambda: show.signal_flow_graph("back_propagated_error"),
    "weights_over_time": _weights,
    "spectrogram": _engine,
    "constellation": _equalised,
    "adaptive_filters": _filters_compared,
    "local_response_normalization": damped,
    "rbf_bitmaps": _bitmaps,
    "inception_module": _inception,
    "auxiliary_classifier": _auxiliary,
    "residual_block": lambda: _block("ResidualBlock", (56, 56, 64), filters=64),
    "bottleneck_block": lambda: _block("BottleneckBlock", (56, 56, 64), filters=64),
    "subsampling2d": lambda: _block("Subsampling2D", (28, 28, 6)),
    "architecture_lenet5_1998": lambda: show.architecture_diagram(
        lenet5(version="1998")
    ),
    **{f"architecture_{name}": lambda name=name: _diagram(name) for name in names()},
}


def main(chosen: list[str]) -> None:
    """Draw the chosen pictures, or all."""
    IMAGES.mkdir(exist_ok=True)
    for name in chosen or PICTURES:
        picture = PICTURES[name]()
        if picture is None:  # what it needs is not here
            print(f"{name} is left as it is", flush=True)
            continue
        file = IMAGES / f"{name}.png"
        if name.startswith(drawings.DRAWINGS):
            file = file.with_suffix(".svg")
            with rc_context({"svg.hashsalt": name}):
                text = picture._repr_svg_()
            file.write_text(drawings.themed(text), "utf-8")
        else:
            picture.savefig(file, dpi=80)
        print(file, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
