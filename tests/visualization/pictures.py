"""The figures that are compared with stored pictures, from data that never change.

Their baselines in `baseline/` are written anew, to be looked at, by

    python tests/visualization/pictures.py
"""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from dlkeras import visualization as show
from dlkeras.architectures import googlenet, lenet5, resnet20, summary_table
from dlkeras.layers import InceptionModule, ResidualBlock
from dlkeras.optimization import QuadraticSurface, lms_theory, steepest_descent

BASELINE = Path(__file__).parent / "baseline"
DPI = 50


def random():
    return np.random.default_rng(0)


def digit():
    """A 1 of 32 by 32 pixels."""
    image = np.zeros((32, 32, 1), "float32")
    image[6:26, 15:18] = 1
    image[9:12, 12:15] = 0.6
    return image


def fixed_lenet():
    """LeNet-5 whose weights are the same on every backend."""
    model = lenet5()
    draw = random()
    for variable in model.weights:
        variable.assign(draw.normal(size=tuple(variable.shape)) * 0.2)
    return model


def block_network():
    images = keras.Input((16, 16, 3), name="images")
    x = keras.layers.Conv2D(8, 3, padding="same", activation="relu", name="conv")(
        images
    )
    x = InceptionModule(4, 6, 8, 2, 4, 4, name="inception")(x)
    for name in ("block1", "block2", "block3"):
        x = ResidualBlock(20, name=name)(x)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    x = keras.layers.Dense(10, activation="softmax", name="classes")(x)
    return keras.Model(images, x, name="blocks")


def history():
    epochs = np.arange(1, 11)
    return {
        "loss": list(2 * 0.7**epochs),
        "val_loss": list(2 * 0.75**epochs + 0.004 * epochs**2),
        "accuracy": list(1 - 0.6**epochs),
        "val_accuracy": list(1 - 0.65**epochs),
    }


def rates():
    tried = np.geomspace(1e-5, 1, 60)
    smooth = 2.3 - 1.8 / (1 + (1e-2 / tried) ** 1.5) + (tried / 0.2) ** 3
    losses = smooth + 0.2 * random().normal(size=60)
    return show.learning_rate_range(tried, losses, smooth, 0.008)


def lms():
    theory = lms_theory([[1, 0.5], [0.5, 1]], [0.5, 0.25], 0.05)
    curve = theory.learning_curve(300)
    errors = random().normal(size=(40, 300)) * np.sqrt(curve)
    return show.lms_learning_curve(errors, theory)


def symbols():
    """16-QAM with noise, as a channel of three taps spreads it and as it was sent."""
    levels = (-3, -1, 1, 3)
    sent = np.tile([a + 1j * b for a in levels for b in levels], 30)
    sent = random().permutation(sent)
    noise = 0.2 * random().normal(size=(2, len(sent)))
    heard = np.convolve(sent, [0.2, 1.0, 0.3 - 0.3j])[: len(sent)]
    return heard, sent + noise[0] + 1j * noise[1], np.unique(sent)


def tone():
    """A sweep beside a hum, and without it."""
    t = np.arange(4000) / 4000
    voice = np.sin(2 * np.pi * (100 + 600 * t) * t)
    voice += 0.02 * random().normal(size=len(t))
    return voice + np.sin(2 * np.pi * 1000 * t), voice


def surface(**options):
    bowl = QuadraticSurface.bowl((5, 3), [[1.0, 0.3], [0.3, 3.0]])
    ways = {
        f"eta = {eta}": steepest_descent(bowl, eta, [-4, 8], steps=40)
        for eta in (0.1, 0.55)
    }
    return show.cost_surface(bowl, ways, **options)


def landscape():
    steps = np.linspace(-1, 1, 21)
    loss = 0.02 + (steps[:, None] - 0.2 * steps**2) ** 2 + 0.2 * steps**2
    way = np.stack([np.linspace(-0.9, 0, 9), np.linspace(0.8, 0, 9)], 1)
    name = "categorical_crossentropy"
    return show.loss_landscape(show.Landscape(steps, steps, loss, (), (), name), way)


def gallery():
    answers = random().dirichlet(np.ones(4), 12)
    images = random().random((12, 8, 8, 1))
    return show.misclassified(images, np.arange(12) % 4, answers, list("abcd"))


def augmented():
    image = digit()
    variants = [[np.roll(image, shift, 1) for shift in (-4, 4)] + [1 - image]]
    captions = ["left", "right", "inverted"]
    return show.augmentation_grid([image], variants, captions=captions)


def by_depth(draw: Callable):
    norms = np.exp(random().normal(size=(30, 6)) - 2 * np.arange(6)[::-1])
    return draw(norms, [f"layer_{i}" for i in range(1, 7)])


def distributions():
    draw = random()
    outputs = {f"tanh_{i}": np.tanh(draw.normal(size=4000) * i) for i in range(1, 5)}
    return show.activation_distributions(outputs)


def maps():
    model = fixed_lenet()
    outputs = keras.Model(
        model.inputs[0], [model.get_layer(name).output for name in ("C1", "C3")]
    )(digit()[None])
    arrays = [keras.ops.convert_to_numpy(x)[0] for x in outputs]
    return show.feature_maps(digit(), dict(zip(("C1", "C3"), arrays, strict=True)))


def statistics():
    nan = np.nan
    mean, spread = [0.1, 0.4, 0.0, 2.0], [1, 0.6, 0.4, 0.3]
    dead, saturated = [nan, 0.2, 0.7, nan], [0.4, nan, nan, 0.9]
    layers = ["tanh_1", "relu_1", "relu_2", "tanh_2"]
    return show.activation_statistics(mean, spread, dead, saturated, layers)


def reliability():
    confidence, accuracy = np.arange(0.05, 1, 0.1), np.arange(0.1, 1.1, 0.1) ** 1.5
    return show.reliability_diagram(confidence, accuracy, np.arange(10) ** 2, 0.05)


def sizes_by_split(first, second):
    draw = random()
    return {
        name: np.stack([draw.normal(*first, count), draw.normal(*second, count)], 1)
        for name, count in (("train", 80), ("test", 20))
    }


def pixels():
    draw = random()
    return {
        name: [np.histogram(draw.normal(level, 40, 5000), 256, (0, 256))[0].tolist()]
        for name, level in (("train", 90), ("test", 150))
    }


PICTURES = {
    "accuracy_by_examples": lambda: show.accuracy_by_examples(
        {
            "transfer": {10: [0.6, 0.64], 30: [0.7, 0.72], 100: [0.8, 0.81]},
            "from scratch": {10: [0.4, 0.5], 30: [0.6, 0.61], 100: [0.75, 0.79]},
        }
    ),
    "activation_distributions": distributions,
    "activation_functions": lambda: show.activation_functions(),
    "activation_statistics": statistics,
    "architecture_blocks": lambda: show.architecture_diagram(block_network()),
    "architecture_googlenet": lambda: show.architecture_diagram(
        googlenet(auxiliary=True, kernel_initializer="zeros", width_multiplier=0.125)
    ),
    "architecture_lenet5_1998": lambda: show.architecture_diagram(
        lenet5(version="1998"), language="pt"
    ),
    "architecture_resnet20": lambda: show.architecture_diagram(resnet20()),
    "augmentation_grid": augmented,
    "brightness_and_contrast": lambda: show.brightness_and_contrast(
        sizes_by_split((120, 30), (50, 10))
    ),
    "class_balance": lambda: show.class_balance(
        {"train": {"cat": 30, "dog": 44}, "test": {"cat": 9, "dog": 7}}
    ),
    "confusion_matrix": lambda: show.confusion_matrix(
        np.diag([36, 30, 40, 28, 33]) + np.eye(5, k=1, dtype=int) * 2, list("abcde")
    ),
    "constellation": lambda: show.constellation(*symbols()[:2], symbols=symbols()[2]),
    "cost_surface": lambda: surface(gradients=True),
    "cost_surface_bowl": lambda: surface(view="bowl", language="pt"),
    "feature_maps": maps,
    "filters": lambda: show.filters(random().normal(size=(5, 5, 1, 6)), title="C1"),
    "grad_cam": lambda: show.grad_cam(fixed_lenet(), digit()[None], "C3"),
    "gradient_flow": lambda: by_depth(show.gradient_flow),
    "gradient_map": lambda: by_depth(
        lambda norms, layers: show.gradient_map(norms, layers, range(30))
    ),
    "image_grid": lambda: show.image_grid(
        random().random((5, 8, 8, 1)), list("abcde"), title="Five images"
    ),
    "image_sizes": lambda: show.image_sizes(sizes_by_split((640, 60), (480, 50))),
    "image_table": lambda: show.image_table(
        random().random((2, 3, 8, 8, 1)), ["shift", "zoom"], ["original", "1", "2"]
    ),
    "learning_curves": lambda: show.learning_curves(
        history(), loss_label="perda de entropia cruzada (nats)", language="pt"
    ),
    "learning_rate_range": rates,
    "lms_learning_curve": lms,
    "lms_learning_curve_decibels": lambda: show.lms_learning_curve(
        random().normal(size=(40, 60)) * np.linspace(1, 0.1, 60), decibels=True
    ),
    "local_receptive_fields": lambda: show.local_receptive_fields(
        np.eye(24) + np.eye(24)[::-1],
        [(6, 6), (6, 17), (17, 6)],
        9,
        groups=[(1, 2), (1, 3), (1, 2, 3)],
    ),
    "loss_landscape": landscape,
    "misclassified": gallery,
    "network_table": lambda: show.network_table(summary_table(lenet5())),
    "pixel_distribution": lambda: show.pixel_distribution(pixels()),
    "receptive_field": lambda: show.receptive_field(
        fixed_lenet(), ["C1", "S2", "C3", "S4", "C5"], digit()
    ),
    "receptive_field_padded": lambda: show.receptive_field(
        resnet20(), ["stage1", "stage2", "stage3"]
    ),
    "reliability_diagram": reliability,
    "saliency": lambda: show.saliency(fixed_lenet(), np.stack([digit()] * 2)),
    "signal_flow_graph_model": lambda: show.signal_flow_graph("adaptive_model"),
    "signal_flow_graph_error": lambda: show.signal_flow_graph(
        "back_propagated_error", nodes=4
    ),
    "spectrogram": lambda: show.spectrogram(*tone(), rate=4000),
    "stacked_layers": lambda: show.stacked_layers(
        fixed_lenet(), ["C1", "S2", "C3"], digit()
    ),
    "stacked_layers_padded": lambda: show.stacked_layers(
        block_network(), ["conv", "inception", "block1"], position=(0, 0)
    ),
    "update_ratios": lambda: by_depth(show.update_ratios),
    "weights_over_time": lambda: show.weights_over_time(
        [[0.5, -0.3]] * (1 - 0.97 ** np.arange(150)[:, None])
        + 0.01 * random().normal(size=(150, 2)),
        [0.5, -0.3],
    ),
}

if __name__ == "__main__":
    BASELINE.mkdir(exist_ok=True)
    for name, draw in PICTURES.items():
        draw().savefig(BASELINE / f"{name}.png", dpi=DPI)
