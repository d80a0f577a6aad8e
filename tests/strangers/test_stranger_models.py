"""A stranger's model is read right by every public function, or refused in one line."""

import inspect
import traceback
from pathlib import Path

import keras
import pytest

import dlkeras
from dlkeras import architectures, model_graph, stages, transfer, visualization
from tests.strangers.models import MODELS
from tests.strangers.tried import TRIED, Brought

PACKAGE = str(Path(dlkeras.__file__).parent)
# What each function refuses: text, signals and tables are no images, maps no scores of
# classes, several inputs no one image.
NO_IMAGES = {
    "text_lstm", "transformer", "conv1d", "conv3d", "regression", "video_of_images",
    "next_frame", "masked_attention", "quantised", "low_rank", "recommender",
    "stacked_cells", "cross_attention", "grouped_queries", "causal", "both_ways",
    "translation", "unet_of_volumes",
}  # fmt: skip
NO_CLASSES = {
    "unet", "upsampling", "dilated", "spatial_normalization", "block_of_two",
    "opaque_layer", "autoencoder", "next_frame", "identity", "rounded",
    "swapped_axes", "padded_and_cropped",
}  # fmt: skip
SEVERAL = {
    "siamese", "two_inputs_two_outputs", "recommender", "dictionaries",
    "cross_attention", "translation", "answers_by_name",
}  # fmt: skip
SIGNALS = {
    "transformer", "conv1d", "conv3d", "video_of_images", "stacked_cells",
    "grouped_queries", "causal", "both_ways",
}  # fmt: skip
NO_STAGES = NO_IMAGES | {"identity", "guide_to_vision_transformers"}
OF_TWO_CHANNELS = {
    "plain_operations", "shared_layer", "slices_and_pads", "own_convolution",
}  # fmt: skip
NO_CLASSIFIERS = NO_IMAGES | NO_CLASSES | SEVERAL
REFUSED = {
    "architectures.load_weights_from": {"identity"},
    "transfer.cached_features": {*SEVERAL, "variational_encoder"},
    "transfer.freeze": {"identity"},
    "transfer.layerwise_learning_rates": NO_STAGES,
    "transfer.penalize_distance": NO_STAGES,
    "transfer.probe_then_fine_tune": {
        *NO_STAGES, *SEVERAL - {"answers_by_name"}, "upsampling", "block_of_two",
        "opaque_layer", "padded_and_cropped",
    },
    "transfer.replace_head": {"next_frame", "translation", "unet_of_volumes"},
    "transfer.split_frozen": {
        "transfer_guide", "transfer_sequential", "siamese", "upsampling",
        "block_of_two", "opaque_layer", "text_lstm", "recommender", "stacked_cells",
        "identity", "dictionaries", "padded_and_cropped", "translation",
    },
    "visualization.grad_cam": NO_CLASSIFIERS | OF_TWO_CHANNELS | {"gan"},
    "visualization.grad_cam_map": NO_CLASSIFIERS,
    "visualization.loss_along": {
        *SEVERAL, "variational_encoder", "quantised", "identity",
    },
    "visualization.receptive_field": NO_IMAGES | {"gan"},
    "visualization.receptive_field_box": NO_IMAGES | {"gan"},
    "visualization.saliency": NO_CLASSIFIERS | OF_TWO_CHANNELS | {"gan"},
    "visualization.stacked_layers": NO_IMAGES | {"gan", "siamese"},
    "visualization.saliency_map": (NO_CLASSIFIERS | {"gan"}) - SIGNALS,
}  # fmt: skip


def takes_a_model(function):
    try:
        return {"model", "frozen"} & {*inspect.signature(function).parameters}
    except ValueError:
        return False


def test_every_public_function_of_a_model_is_tried():
    found = set()
    for package in (architectures, model_graph, stages, transfer, visualization):
        for name in getattr(package, "__all__", dir(package)):
            public = getattr(package, name)
            home = str(getattr(public, "__module__", ""))
            ours = not name.startswith("_") and home.startswith(package.__name__)
            if ours and callable(public) and takes_a_model(public):
                found.add(f"{package.__name__.removeprefix('dlkeras.')}.{name}")
    records = {"architectures.LayerSummary", "model_graph.Scope"}  # of an answer
    records |= {"architectures.Preset", "architectures.save_preset"}  # classifiers
    assert found - records == {*TRIED}
    assert len(MODELS) >= 40


@pytest.fixture(scope="module")
def eager():
    """Trainings of a step each: TensorFlow would compile for a minute."""
    if keras.backend.backend() != "tensorflow":
        yield
        return
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.mark.filterwarnings("ignore:Even though the .tf.config")
@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("name", MODELS)
def test_a_strangers_model_is_read_right_or_refused_in_one_line(name):
    brought = Brought(MODELS[name]())
    refused = {}
    for function, attempt in TRIED.items():
        try:
            attempt(brought)
        except (ValueError, TypeError) as error:
            where = traceback.extract_tb(error.__traceback__)[-1].filename
            assert where.startswith(PACKAGE), (function, error)  # a line of our own
            assert "\n" not in str(error), (function, error)
            refused[function] = str(error)
    expected = {f for f, names in REFUSED.items() if name in names}
    assert {*refused} == expected, refused
