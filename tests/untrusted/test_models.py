"""Hostile `.keras` and `.weights.h5` files end in one line, soon, in little memory."""

import re

import numpy as np
import pytest
from PIL import Image

from dlkeras.cli import main
from dlkeras.pipeline.serving.answering import load_safely
from dlkeras.untrusted import models
from dlkeras.untrusted.activations import CheckedSizes, check_activations
from dlkeras.untrusted.gate import UntrustedFileError
from tests.conftest import ROOT
from tests.untrusted.hostile_models import (
    functional,
    keras_file,
    node,
    sequential,
    write_all,
)
from tests.untrusted.own_process import tried

# Three times the largest that is written, which is 64 MiB.
MOST_MIB = 200


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    first = folder / "0.keras"  # nothing is there: what Keras itself takes
    files = [first, *write_all(folder)]
    imports = (
        "import dlkeras.pipeline.tensorflow_import\n"
        "from dlkeras.architectures import lenet5; lenet5()\n"
        "from tests.untrusted.doors import through_all"
    )
    return tried(imports, "through_all(path)", files)


def test_no_door_lets_a_hostile_model_take_memory_or_time(answers):
    assert len(answers) > 50
    before = answers["0.keras"][1]
    for name, (said, mib, seconds) in answers.items():
        assert said.startswith("ValueError: "), name
        for line in said.removeprefix("ValueError: ").split("\0"):
            kind = line.split(":")[0]
            assert kind in ("InputError", "WeightFileError", "FileNotFoundError"), line
            assert "\n" not in line and len(line) < 700, line
        assert mib < before + MOST_MIB, name
        assert seconds < 10, name


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (sequential(node("Identity"), shape=[None, 10]), r"takes \(10,\)"),
        (sequential(node("Flatten"), shape=[None, 8, 8, 7]), r"takes \(8, 8, 7\)"),
        (sequential(node("Identity")), r"probabilities of classes; .* gives \(8, 8, 1"),
        (
            sequential(
                node("ZeroPadding2D", {"padding": 100_000}),
                node("GlobalAveragePooling2D"),
            ),
            r"make 40,00\d,\d{3},\d{3} numbers",
        ),
        (
            sequential(node("Flatten"), shape=[None, 28, 28, 1]),
            "IMAGE: expected 28 x 28 pixels, .*image.png has 8 x 8",
        ),
        (
            functional(
                [
                    node("InputLayer", {"batch_shape": [None, 8, 8, 1], "name": "i"}),
                    node("UpSampling2D", {"size": [50_000, 50_000], "name": "u"}),
                    node("GlobalMaxPooling2D", {"name": "g"}),
                ],
                [None, "i", "u"],
            ),
            "at most 1,073,741,824 and 268,435,456 are computed",
        ),
        (
            sequential(
                node("UpSampling2D", {"size": 50_000}),
                node("GlobalMaxPooling2D"),
                shape=[None, None, None, 1],
            ),
            "at most 1,073,741,824 and",
        ),
        (
            functional(
                [
                    node("InputLayer", {"batch_shape": [None, 8, 8, 1], "name": "i"}),
                    node(
                        "Repeat",
                        {"repeats": 10**9, "axis": 0, "name": "r"},
                        "keras.src.ops.numpy",
                    ),
                    node("GlobalMaxPooling2D", {"name": "g"}),
                ],
                [None, "i", "r"],
            ),
            "64,000,000,000 of them at once",
        ),
    ],
)
def test_a_network_that_is_not_of_images_is_refused_in_a_line(
    tmp_path, capfd, config, reason
):
    image, model = tmp_path / "image.png", tmp_path / "model.keras"
    Image.fromarray(np.zeros((8, 8), "uint8")).save(image)
    keras_file(model, config)
    assert main(["predict", str(model), str(image)]) == 2
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 1
    assert re.search(f"^error: .*{reason}", lines[0])


def test_whole_networks_pass_the_door(tmp_path):
    """Operations, nested networks, our own layers, half precision, a compiled model."""
    import keras

    from dlkeras.architectures import create

    file = tmp_path / "model.keras"
    image = keras.Input((32, 32, 3))
    inner = create("resnet20", input_shape=(32, 32, 3), num_classes=4)
    halved = keras.layers.Dense(4, dtype="mixed_bfloat16", activation="softmax")
    out = halved(
        keras.ops.sqrt(
            inner(keras.layers.RandomFlip()(image, training=False) / 255.0) + 1
        )
    )
    model = keras.Model(image, out)
    model.compile(
        keras.optimizers.AdamW(keras.optimizers.schedules.CosineDecay(1, 9)),
        keras.losses.CategoricalCrossentropy(),
        ["accuracy"],
    )
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), "uint8")
    small = keras.applications.MobileNetV3Small(
        weights=None, input_shape=(32, 32, 3), classes=2
    )
    for network in (model, small):
        network.save(file)
        loaded = models.load_model(file)
        check_activations(loaded, 32, 32)
        assert np.allclose(np.asarray(loaded(pixels)), np.asarray(network(pixels)))


def test_a_server_refuses_what_would_fill_its_memory(tmp_path):
    from mlflow.exceptions import MlflowException

    from dlkeras.pipeline.tracking.served_model import ServedModel

    grown = node("UpSampling2D", {"size": 1000})
    pool = node("GlobalMaxPooling2D")
    any_size = [None, None, None, 1]
    keras_file(tmp_path / "model.keras", sequential(grown, pool, shape=any_size))
    served = ServedModel(tmp_path)
    assert served.predict(np.full((1, 2, 2, 1), 7)).tolist() == [[7]]
    with pytest.raises(MlflowException, match="for an image of 64 x 64 its layers"):
        served.predict(np.full((1, 64, 64, 1), 7))


@pytest.mark.job
def test_the_largest_network_that_is_let_through_takes_what_the_page_says(tmp_path):
    """Five arrays of 205 million numbers, of the 2**30 that are let through."""
    import keras

    image = keras.Input((8, 8, 1))
    grown = [keras.layers.UpSampling2D(1792)(image) for _ in range(3)]
    out = keras.layers.GlobalMaxPooling2D()(keras.layers.Add()(grown))
    keras.Model(image, out).save(tmp_path / "wide.keras")
    door = "from tests.untrusted.doors import _predicted"
    files = [tmp_path / "wide.keras"]
    ((said, mib, _),) = tried(door, "_predicted(Path(path))", files, 300).values()
    assert said == "read"
    page = (ROOT / "docs/pipeline/production.md").read_text(encoding="utf-8")
    bound = 1024 * int(re.search(r"may still take (\d+) GiB", page)[1])
    assert 0.6 * bound < mib < 1.2 * bound


def test_windows_of_a_pooling_and_products_of_attention_are_counted():
    """64 million windows of 16 million; 8,000 places with 8,000 features each."""
    import keras

    grown = [keras.Input((8, 8, 1)), keras.layers.UpSampling2D(1000)]
    pool = keras.layers.MaxPooling2D(4000, strides=1, padding="same")
    model = keras.Sequential([*grown, pool, keras.layers.GlobalMaxPooling2D()])
    with pytest.raises(UntrustedFileError, match="take 8,192,000,000,000,000 products"):
        check_activations(model, 8, 8)
    image = keras.Input((8, 8, 1))
    wide = keras.layers.UpSampling2D(1000)(image)
    places = keras.layers.Reshape((8000, 8000))(wide)
    seen = keras.layers.Attention()([places, places])
    model = keras.Model(image, keras.layers.GlobalAveragePooling1D()(seen))
    with pytest.raises(UntrustedFileError, match="products; at most 274,877,906,944"):
        check_activations(model, 8, 8)


def test_products_are_those_of_the_papers():
    """ResNet-20 has 40.55 million multiplications (its table of layers, summed)."""
    from dlkeras.architectures import resnet20
    from dlkeras.untrusted import activations

    graph = activations._graph(resnet20(), 32, 32)
    shapes = {node.name: activations._shapes(node) for node in graph.node}
    stages = [16 * 3 * 9 * 32**2, 6 * 16 * 16 * 9 * 32**2]
    for maps, side in ((32, 16), (64, 8)):
        stages += [maps * (maps // 2) * 9 * side**2, 5 * maps**2 * 9 * side**2]
    counted = sum(activations._products(node, shapes) for node in graph.node)
    assert counted == sum(stages) + 64 * 10


def test_scores_of_attention_count_though_they_are_no_layers_output():
    """Of 6,400 places 6,400 x 6,400 scores; of 25,600 more than 2**28."""
    import keras

    def attention(times):
        image = keras.Input((8, 8, 1))
        places = keras.layers.UpSampling2D(times)(image)
        places = keras.layers.Reshape((-1, 1))(places)
        seen = keras.layers.Attention()([places, places])
        return keras.Model(image, keras.layers.GlobalAveragePooling1D()(seen))

    check_activations(attention(10), 8, 8)
    with pytest.raises(UntrustedFileError, match="655,360,000 of them at once"):
        check_activations(attention(20), 8, 8)


def test_a_network_that_has_fitted_is_not_traced_again_for_a_smaller_image():
    import keras

    image = keras.Input((None, None, 1))
    calls = []

    class Seen(keras.layers.Layer):
        def call(self, inputs):
            calls.append(inputs.shape)
            return inputs * 2

    model = keras.Model(image, keras.layers.GlobalMaxPooling2D()(Seen()(image)))
    calls.clear()
    sizes = CheckedSizes(model)
    for height, width in [(100, 60), (128, 64), (5, 64)]:
        sizes.check(height, width)
    assert [tuple(shape) for shape in calls] == [(1, 128, 64, 1)]
    with pytest.raises(UntrustedFileError, match="for an image of 99999 x 99999"):
        sizes.check(99_999, 99_999)


def test_image_layers_of_keras_hold_no_code_and_pass(tmp_path):
    import keras

    names = [
        name
        for name, layer in vars(keras.layers).items()
        if "keras.src.layers.preprocessing.image_preprocessing" in str(layer)
    ]
    assert {"RandAugment", "CutMix", "Solarization"} <= set(names)
    arguments: dict = {name: {"factor": 0.1} for name in names if "Random" in name}
    arguments |= {"CenterCrop": {"height": 8, "width": 8}}
    arguments |= {
        name: {"height": 8, "width": 8} for name in ("Resizing", "RandomCrop")
    }
    for name in ("ColorJitter", "Flip", "Erasing", "GaussianBlur", "Perspective"):
        arguments[f"Random{name}"] = {}
    arguments["RandomTranslation"] = {"height_factor": 0.1, "width_factor": 0.1}
    arguments["RandomShear"] = {"x_factor": (0.0, 0.1)}
    arguments["RandomRotation"] = {"factor": 0.1}
    arguments["RandomPosterization"] = {"factor": 4}
    arguments["RandomZoom"] = {"height_factor": 0.1}
    not_images = ("CLAHE", "MaxNumBoundingBoxes", "Pipeline", "RandomApply")
    not_images += ("ContrastLimitedAdaptiveHistogramEqualization",)
    not_images += ("Equalization",)  # Keras itself cannot load a network with it
    arguments["TimeDistributed"] = {"layer": keras.layers.Dense(3)}
    for name in sorted({"TimeDistributed", *names} - set(not_images)):
        layer = getattr(keras.layers, name)(**arguments.get(name, {}))
        pool = keras.layers.GlobalAveragePooling2D()
        model = keras.Sequential([keras.Input((8, 8, 3)), layer, pool])
        model.save(tmp_path / "a.keras")
        check_activations(load_safely(tmp_path / "a.keras"), 8, 8)


def test_a_googlenet_with_its_auxiliary_heads_is_loaded_by_a_link(tmp_path):
    """In a process that has imported no architecture, as `dlkeras predict` has not."""
    from dlkeras.architectures import googlenet

    small = googlenet(num_classes=2, auxiliary=True, weights=None)
    small.save(tmp_path / "g.keras")
    (tmp_path / "link.keras").symlink_to("g.keras")
    imports = "from dlkeras.pipeline.serving.answering import load_safely"
    (answer,) = tried(imports, "load_safely(path)", [tmp_path / "link.keras"]).values()
    assert answer[0] == "read"


def test_a_file_does_not_say_how_many_classes_are_built(tmp_path):
    """2,048 x 4,000,000 numbers, where the file has one row of them."""
    import h5py

    from dlkeras.architectures import load_weights_from, resnet50

    file = tmp_path / "resnet50.weights.h5"
    with h5py.File(file, "w") as opened:
        opened["layers/conv2d_1/vars/0"] = np.zeros(1, "i1")
        opened["layers/dense/vars/0"] = np.zeros((1, 4_000_000), "i1")
    with pytest.raises(ValueError, match=r"shape \(1, 4000000\), .*\(2048, classes\)"):
        load_weights_from(resnet50(num_classes=2, version="v1"), file)
