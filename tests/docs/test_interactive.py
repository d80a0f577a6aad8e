"""What the interactive pages compute is what dlkeras and Keras compute.

The pages' formulas run in Node.js with numbers that Python hands them.
"""

import importlib.util
import json
import re
import shutil
import subprocess
from pathlib import Path

import keras
import numpy as np
import pytest

ROOT = Path(__file__).parent.parent.parent
PAGES = ROOT / "docs" / "interactive"
_spec = importlib.util.spec_from_file_location(
    "interactive_pages", ROOT / "docs" / "interactive_pages.py"
)
interactive_pages = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(interactive_pages)
NAMES = tuple(interactive_pages.CHAPTERS)
RANDOM = np.random.default_rng(0)


def computed(module, code, **values):
    """Run code in Node.js with a page's formulas as `m` and with values."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs Node.js")
    path = PAGES / f"{module}.mjs"
    script = (
        f"import * as m from {json.dumps(path.as_uri())};\n"
        "import { readFileSync } from 'node:fs';\n"
        f"const {{ {', '.join(values)} }} = JSON.parse(readFileSync(0, 'utf8'));\n"
        f"console.log(JSON.stringify({code}));"
    )
    done = subprocess.run(
        [node, "--input-type=module", "-e", script],
        input=json.dumps(values, default=lambda array: np.asarray(array).tolist()),
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_walk_on_the_bowl_is_that_of_steepest_descent():
    from dlkeras.optimization import (
        QuadraticSurface,
        damping_factors,
        regimes,
        steepest_descent,
    )

    lambdas, minimum, start = [2.5, 0.35], [0.5, -0.2], [-1.6, 1.5]
    made = computed("step_size/formulas", "m.bowl(l, 0.5, w)", l=lambdas, w=minimum)
    R = np.array(made["R"])
    surface = QuadraticSurface(R, R @ minimum)
    for eta in (0.1, 0.4, 0.7, 0.79):
        found = computed(
            "step_size/formulas",
            "{path: m.descend(s, eta, start, 30), factors: m.factors(s, eta)}",
            s=made, eta=eta, start=start,
        )  # fmt: skip
        walk = steepest_descent(surface, eta, start, steps=30, tolerance=0)
        np.testing.assert_allclose(found["path"], walk.weights, atol=1e-9)
        assert sorted(found["factors"]) == pytest.approx(
            sorted(damping_factors(surface, eta))
        )
        said = computed("step_size/formulas", "f.map(m.regime)", f=found["factors"])
        assert sorted(said) == sorted(map(str, regimes(surface, eta)))
    assert computed("step_size/formulas", "m.bound(s)", s=made) == pytest.approx(
        2 / np.linalg.eigvalsh(R).max()
    )


def test_the_filter_of_the_page_is_the_layer():
    from dlkeras.layers import LMSFilter
    from dlkeras.optimization import stability

    made = computed("lms_filter/formulas", "m.signals('jump', 400, 0.1)")
    x, d = np.array(made["input"]), np.array(made["desired"])
    found = computed("lms_filter/formulas", "m.lms(x, d, 8, 0.03)", x=x, d=d)
    layer = LMSFilter(8, 0.03, return_weights=True, dtype="float64")
    _, error, weights = layer(x[None], d[None])
    np.testing.assert_allclose(found["errors"], np.asarray(error)[0], atol=1e-6)
    # w(n) before each step; the page has the one after the last, too.
    np.testing.assert_allclose(found["weights"][:-1], np.asarray(weights)[0], atol=1e-6)
    eigenvalues = np.ones(8)  # white noise of power 1
    assert computed("lms_filter/formulas", "m.safeBound(1, 8)") == pytest.approx(
        stability.safe_bound(eigenvalues)
    )
    assert computed("lms_filter/formulas", "m.meanBound(1)") == pytest.approx(
        stability.mean_bound(eigenvalues)
    )


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu"])
def test_gradients_by_layer_are_those_of_the_delta_rule(activation):
    from dlkeras.optimization import local_gradients

    made = computed("depth/formulas", "{w: m.kernels(9, 'xavier'), ...m.examples()}")
    kernels = [np.array(kernel) for kernel in made["w"]]
    model = keras.Sequential([keras.Input((32,))])
    for number, kernel in enumerate(kernels):
        last = number == len(kernels) - 1
        model.add(
            keras.layers.Dense(
                kernel.shape[1], None if last else activation, use_bias=False
            )
        )
    model.set_weights(kernels)
    there = local_gradients(model, made["x"], made["desired"])
    norms = [
        np.linalg.norm(y.T @ delta)
        for y, delta in zip(there.inputs, there.local_gradients, strict=True)
    ]
    here = computed("depth/formulas", "m.norms(a, 9, 'xavier')", a=activation)
    np.testing.assert_allclose(here, norms, rtol=1e-5)


@pytest.mark.parametrize("start", ["xavier", "he"])
def test_initial_weights_have_the_deviation_of_keras(start):
    kind = {"xavier": "GlorotNormal", "he": "HeNormal"}[start]
    deviation = np.std(getattr(keras.initializers, kind)(seed=0)((300, 200)))
    code = "m.initialDeviation(start, 300, 200)"
    here = computed("shared/network", code, start=start)
    assert here == pytest.approx(float(deviation), rel=0.02)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_the_map_is_that_of_a_convolution(padding, stride):
    for size, side in ((12, 3), (12, 5), (11, 2), (6, 3)):
        image, kernel = (
            RANDOM.normal(size=(size, size)),
            RANDOM.normal(size=(side,) * 2),
        )
        here = computed("convolution/formulas", "m.convolve(x, k, s, p)",
                        x=image, k=kernel, s=stride, p=padding)  # fmt: skip
        there = keras.ops.conv(
            image[None, :, :, None].astype("float32"),
            kernel[:, :, None, None].astype("float32"), stride, padding,
            data_format="channels_last",
        )  # fmt: skip
        there = keras.ops.convert_to_numpy(there)[0, :, :, 0]
        np.testing.assert_allclose(here, there, atol=1e-5)


@pytest.mark.parametrize("kind", ["max", "mean"])
def test_pooling_is_that_of_keras(kind):
    image = RANDOM.normal(size=(12, 12)).astype("float32")
    layers = {"max": keras.layers.MaxPooling2D, "mean": keras.layers.AveragePooling2D}
    for size in (2, 3, 4, 5):
        code = "m.pool(x, size, kind)"
        here = computed("pooling/formulas", code, x=image, size=size, kind=kind)
        there = layers[kind](size, data_format="channels_last")(image[None, :, :, None])
        there = keras.ops.convert_to_numpy(there)[0, :, :, 0]
        np.testing.assert_allclose(here, there, atol=1e-5)


def test_dropout_keeps_the_mean_as_keras_does_and_spreads_by_its_formula():
    values = RANDOM.normal(size=1000).astype("float32") + 3
    there = keras.layers.Dropout(0.3, seed=1)(values[None], training=True)
    there = keras.ops.convert_to_numpy(there)[0]
    here = computed("dropout/formulas", "m.dropped(v, r, 0.3)",
                    v=values, r=(there != 0).tolist())  # fmt: skip
    np.testing.assert_allclose(here, there, rtol=1e-5)
    made = computed(
        "dropout/formulas",
        "{n: m.network(), h: m.hidden(m.network()), all: m.spread(m.network(), 0.4)}",
    )
    w = np.array(made["n"]["second"])
    # All of the 2^12 networks, each with its probability.
    kept = (np.arange(2**12)[:, None] >> np.arange(12)) & 1
    outputs = kept @ (w * made["h"]) / 0.6
    chance = 0.6 ** kept.sum(1) * 0.4 ** (12 - kept.sum(1))
    assert chance @ outputs == pytest.approx(w @ made["h"])
    spread = np.sqrt(chance @ (outputs - w @ made["h"]) ** 2)
    assert made["all"] == pytest.approx(spread)


def test_a_copy_is_that_of_the_augmentation():
    tf = pytest.importorskip("tensorflow")
    from dlkeras.augmentation.geometry import resample, transform_matrices
    from dlkeras.pipeline.configuration.data import TransformConfig

    config = TransformConfig(offset=0.0)
    image, draws = RANDOM.uniform(size=(32, 32)), RANDOM.uniform(size=(3, 12))
    for strength in (1.0, 3.5):
        matrices = transform_matrices(config, strength, tf.constant(draws, "float32"))
        images = np.repeat(image[None, :, :, None], 3, 0).astype("float32")
        there = resample(config, tf.constant(images), matrices).numpy()[..., 0]
        here = computed(
            "augmentation/formulas",
            "d.map((u) => m.resample(x, m.transform(32, strength, u)))",
            x=image, d=draws[:, :5], strength=strength,
        )  # fmt: skip
        np.testing.assert_allclose(here, there, atol=2e-4)


def test_the_limits_of_strength_are_those_of_the_shipped_weights():
    from dlkeras.architectures.weights.shipped import pretrained_card

    wanted = pretrained_card("lenet5", "mnist")["training"]["transform"]
    here = computed("augmentation/formulas", "m.LIMITS")
    assert here == {name: wanted[name] for name in ("shift", "rotation", "zoom")}


@pytest.mark.parametrize("name", ["small", "lenet", "vgg", "resnet"])
def test_fields_grow_as_the_library_says(name):
    from dlkeras.visualization import receptive_field_box

    layers = computed("receptive_field/formulas", "m.NETWORKS[n]", n=name)
    here = computed("receptive_field/formulas", "m.fields(l)", l=layers)
    model = keras.Sequential([keras.Input((128, 128, 1))])
    for number, (kernel, stride) in enumerate(layers):
        layer = keras.layers.Conv2D(1, kernel, stride, name=f"layer{number}")
        model.add(layer)
    for number, found in enumerate(here):
        box = receptive_field_box(model, f"layer{number}")
        assert found["field"] == box.height


@pytest.mark.parametrize("skip", [True, False])
def test_the_networks_of_the_page_train_as_in_keras(skip):
    made = computed(
        "residual/formulas",
        "{w: m.start(5, 0.5), t: m.TIMES, d: m.TIMES.map(m.target)}",
    )
    inputs = keras.Input((2,))
    dense = [keras.layers.Dense(len(kernel[0]), use_bias=False) for kernel in made["w"]]
    h = dense[0](inputs)
    for layer in dense[1:-1]:
        added = layer(keras.ops.relu(h))
        h = h + added if skip else added
    model = keras.Model(inputs, dense[-1](h))
    model.set_weights([np.array(kernel) for kernel in made["w"]])
    model.compile(keras.optimizers.Adam(0.01), lambda d, y: (d - y) ** 2 / 2)
    x = np.stack([made["t"], np.ones(40)], 1).astype("float32")
    d = np.array(made["d"], "float32")[:, None]
    there = [float(model.train_on_batch(x, d)) for _ in range(1)]
    for _ in range(11):
        model.reset_metrics()
        there.append(float(model.train_on_batch(x, d)))
    code = "{const run = m.training(w, skip); return Array.from({length: 12}, () => run.step().loss)}"  # noqa: E501
    here = computed("residual/formulas", f"(() => {code})()", w=made["w"], skip=skip)
    np.testing.assert_allclose(here, there, rtol=2e-3)


def test_momentum_is_that_of_keras():
    here = computed("momentum/formulas", "m.descend([2, 0.5], 0.1, 0.8, [1, -2], 20)")
    w = keras.Variable([1.0, -2.0])
    optimizer = keras.optimizers.SGD(0.1, momentum=0.8)
    for expected in here[1:]:
        gradient = np.array([2.0, 0.5]) * keras.ops.convert_to_numpy(w)
        optimizer.apply([keras.ops.convert_to_tensor(gradient, "float32")], [w])
        np.testing.assert_allclose(keras.ops.convert_to_numpy(w), expected, atol=1e-5)
    # The eigenvalues of one step of (v, w) along an axis.
    for curvature, eta, alpha in ((2, 0.1, 0.8), (0.5, 0.1, 0.1), (2, 1.2, 0.5)):
        step = np.array([[alpha, -eta * curvature], [alpha, 1 - eta * curvature]])
        largest = np.abs(np.linalg.eigvals(step)).max()
        rate = computed("momentum/formulas", f"m.rate({curvature}, {eta}, {alpha})")
        assert rate == pytest.approx(largest)


def test_the_signal_lives_by_xavier_and_he_and_dies_below():
    def last(activation, gain):
        return computed(
            "initial_weights/formulas",
            "m.deviations(m.signals(a, g)).at(-1)", a=activation, g=gain,
        )  # fmt: skip

    assert 0.3 < last("linear", 1) < 3
    assert 0.2 < last("relu", 2**0.5) < 5
    assert last("relu", 1) < 0.01  # a factor of 2^(-1/2) for each of twenty layers
    assert last("linear", 0.5) == pytest.approx(2**-20, rel=1)


def test_lenet5_gives_the_logits_of_keras_on_real_digits():
    load_digits = pytest.importorskip("sklearn.datasets").load_digits
    from dlkeras.architectures import lenet5

    digits = load_digits().images[::45] / 16  # 40 of them
    data = json.loads(interactive_pages.lenet5_data())
    enlarged = keras.layers.Resizing(22, 22, data_format="channels_last")(
        digits[..., None].astype("float32")
    )
    x = np.pad(keras.ops.convert_to_numpy(enlarged), ((0, 0), (5, 5), (5, 5), (0, 0)))
    model = lenet5(weights="mnist", classifier_activation=None)
    there = keras.ops.convert_to_numpy(model(1.275 * x - 0.1))
    images = computed("shared/images", "x.map((d) => m.framed(m.enlarge(d, 22), 32))",
                      x=digits)  # fmt: skip
    np.testing.assert_allclose(images, x[..., 0], atol=1e-6)
    here = computed(
        "lenet5/formulas",
        "(() => {const u = m.unpacked(w); return x.map((d) => "
        "Array.from(m.forward(u, d).logits))})()", w=data["weights"], x=images,
    )  # fmt: skip
    np.testing.assert_allclose(here, there, atol=1e-3)


def test_every_digit_that_the_pages_show_is_read_right():
    pytest.importorskip("sklearn")
    data = json.loads(interactive_pages.lenet5_data())
    images = computed("shared/images", "x.map((d) => m.framed(m.enlarge(d, 22), 32))",
                      x=data["digits"])  # fmt: skip
    read = computed(
        "lenet5/formulas",
        "(() => {const u = m.unpacked(w); return x.map((d) => m.answers(u, d).digit)})()",  # noqa: E501
        w=data["weights"], x=images,
    )  # fmt: skip
    assert read == list(range(10))


@pytest.mark.parametrize("name", NAMES)
def test_both_languages_say_the_same_things(name):
    words = computed(f"{name}/words", "m.words")
    assert words["en"].keys() == words["pt"].keys()
    assert len(words["en"]["try"]) == len(words["pt"]["try"]) == 3
    titles = interactive_pages.titles(name)
    assert titles == {"en": words["en"]["title"], "pt": words["pt"]["title"]}
    assert interactive_pages.questions(name)["pt"] == words["pt"]["question"]
    said = re.sub(r"[^a-z]", "", json.dumps(words["pt"]).lower())
    assert said != re.sub(r"[^a-z]", "", json.dumps(words["en"]).lower())


@pytest.mark.parametrize("name", NAMES)
def test_a_page_is_one_file_that_loads_nothing(name):
    if name in interactive_pages.WITH_LENET5:
        pytest.importorskip("sklearn")
    text = interactive_pages.page(name)
    assert not re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=\"(?!data:)", text)
    assert not re.findall(r"\bimport\b|\bfetch\(|https?://", text)
    assert len(text.encode()) < 300_000


def moving_pictures():
    spec = importlib.util.spec_from_file_location(
        "moving_pictures", ROOT / "docs" / "moving_pictures.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_moving_pictures_are_small_and_stand_still_on_request():
    from xml.etree import ElementTree

    script = moving_pictures()
    for name in script.PICTURES:
        for language in ("en", "pt"):
            path = script.file_of(name, language)
            assert path.stat().st_size < 300_000
            text = path.read_text("utf-8")
            ElementTree.fromstring(text)
            assert "@keyframes" in text and script.STILL in text
            assert not re.findall(r"<script|href=\"(?!data:)|url\(", text)


def test_the_picture_of_a_run_shows_the_run_of_the_readme():
    script = moving_pictures()
    for language in ("en", "pt"):
        drawn = script.file_of("moving_run", language).read_text("utf-8")
        assert drawn == script.run_picture(language), "docs/moving_pictures.py"
    assert "99.4 %" in script.run_picture("en") and "Evaluation" in drawn


def test_the_gallery_has_a_picture_of_each_page_in_both_languages():
    wanted = {f"{name}_{language}" for name in NAMES for language in ("en", "pt")}
    assert {path.stem for path in interactive_pages.PICTURES.glob("*.webp")} == wanted
