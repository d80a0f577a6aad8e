"""Each figure of `dlkeras.visualization` as a function of one thing that it takes."""

import functools

import keras
import numpy as np

from dlkeras import visualization as show
from dlkeras.optimization import QuadraticSurface
from tests.strangers.arrays import PHOTOS

NAMES = ["cat", "dog", "owl"]
ANSWERS = [[0.2, 0.7, 0.1], [0.9, 0.05, 0.05], [0.1, 0.2, 0.7]]
BOWL = QuadraticSurface.bowl((0, 0), [[1, 0], [0, 2]])
TABLE = [[1.0, 0.1, 0.3], [2.0, 0.2, 0.4]]
STEPS = np.linspace(-1, 1, 3)


@functools.cache
def classifier():
    """Of photographs in three classes."""
    keras.utils.set_random_seed(0)
    images = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(2, 3, name="maps")(images)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(images, keras.layers.Dense(3, activation="softmax")(x))


def _landscape(loss):
    return show.Landscape(STEPS, STEPS, loss, (), ())


# The function's name, and what of its arguments a stranger's value stands for.
CALLS = {
    "accuracy_by_examples": lambda x: show.accuracy_by_examples(x),
    "accuracy_by_examples, one way": lambda x: show.accuracy_by_examples({"way": x}),
    "activation_distributions": lambda x: show.activation_distributions(x),
    "activation_distributions, a layer": lambda x: show.activation_distributions(
        {"layer": x}
    ),
    "activation_functions": lambda x: show.activation_functions(x),
    "activation_statistics, mean": lambda x: show.activation_statistics(
        x, [1] * 3, [0] * 3, [0] * 3, NAMES
    ),
    "architecture_diagram": lambda x: show.architecture_diagram(x),
    "augmentation_grid, originals": lambda x: show.augmentation_grid(
        x, PHOTOS[:, None]
    ),
    "augmentation_grid, variants": lambda x: show.augmentation_grid(PHOTOS, x),
    "brightness_and_contrast": lambda x: show.brightness_and_contrast(x),
    "brightness_and_contrast, a split": lambda x: show.brightness_and_contrast(
        {"train": x}
    ),
    "class_balance": lambda x: show.class_balance(x),
    "class_balance, a split": lambda x: show.class_balance({"train": x}),
    "confusion_matrix": lambda x: show.confusion_matrix(x),
    "confusion_matrix, labels": lambda x: show.confusion_matrix(
        np.eye(3, dtype=int), x
    ),
    "constellation": lambda x: show.constellation(x),
    "constellation, symbols": lambda x: show.constellation([1, 1j], symbols=x),
    "cost_surface": lambda x: show.cost_surface(x),
    "cost_surface, way": lambda x: show.cost_surface(
        BOWL, [[1.0, 1.0]] if x is None else x
    ),
    "feature_maps, image": lambda x: show.feature_maps(x, {"C1": PHOTOS[0]}),
    "feature_maps, maps": lambda x: show.feature_maps(PHOTOS[0], {"C1": x}),
    "filters": lambda x: show.filters(x),
    "grad_cam": lambda x: show.grad_cam(classifier(), x),
    "grad_cam, labels": lambda x: show.grad_cam(classifier(), PHOTOS[:1], labels=x),
    "grad_cam_map": lambda x: show.grad_cam_map(classifier(), x),
    "gradient_flow": lambda x: show.gradient_flow(x, NAMES),
    "gradient_flow, layers": lambda x: show.gradient_flow(TABLE, x),
    "gradient_map": lambda x: show.gradient_map(x, NAMES, [0, 1, 2]),
    "gradient_map, steps": lambda x: show.gradient_map(TABLE, NAMES, x),
    "image_grid": lambda x: show.image_grid(x),
    "image_grid, captions": lambda x: show.image_grid(PHOTOS, x),
    "image_sizes": lambda x: show.image_sizes(x),
    "image_sizes, a split": lambda x: show.image_sizes({"train": x}),
    "image_table": lambda x: show.image_table(x, NAMES, NAMES),
    "image_table, a row": lambda x: show.image_table([x], ["row"], NAMES),
    "learning_curves": lambda x: show.learning_curves(x),
    "learning_rate_range": lambda x: show.learning_rate_range(x, [3.0, 2.0, 4.0]),
    "learning_rate_range, losses": lambda x: show.learning_rate_range(
        [0.001, 0.01, 0.1], x
    ),
    "lms_learning_curve": lambda x: show.lms_learning_curve(x),
    "local_receptive_fields": lambda x: show.local_receptive_fields(x, [(1, 1)], 3),
    "local_receptive_fields, centers": lambda x: show.local_receptive_fields(
        np.eye(8), x, 3
    ),
    "loss_along, x": lambda x: show.loss_along(
        classifier(), x, np.eye(3), loss="mse", points=2
    ),
    "loss_landscape": lambda x: show.loss_landscape(x),
    "loss_landscape, loss": lambda x: show.loss_landscape(_landscape(x)),
    "misclassified, images": lambda x: show.misclassified(x, [0, 1, 2], ANSWERS),
    "misclassified, truth": lambda x: show.misclassified(PHOTOS, x, ANSWERS, NAMES),
    "misclassified, answers": lambda x: show.misclassified(PHOTOS, [0, 1, 1], x),
    "misclassified, labels": lambda x: show.misclassified(
        PHOTOS, [0, 1, 2], ANSWERS, x
    ),
    "network_table": lambda x: show.network_table(x),
    "pixel_distribution": lambda x: show.pixel_distribution(x),
    "pixel_distribution, a split": lambda x: show.pixel_distribution({"train": x}),
    "receptive_field": lambda x: show.receptive_field(classifier(), "maps", x),
    "receptive_field_box": lambda x: show.receptive_field_box(classifier(), "maps", x),
    "reliability_diagram": lambda x: show.reliability_diagram(
        x, [0.1, 0.5, 0.9], [1, 2, 3], 0.1
    ),
    "saliency": lambda x: show.saliency(classifier(), x),
    "saliency_map": lambda x: show.saliency_map(classifier(), x),
    "signal_flow_graph": lambda x: show.signal_flow_graph(x),
    "spectrogram": lambda x: show.spectrogram(x),
    "stacked_layers": lambda x: show.stacked_layers(classifier(), "maps", x),
    "update_ratios": lambda x: show.update_ratios(x, NAMES),
    "weights_over_time": lambda x: show.weights_over_time(x),
    "weights_over_time, optimum": lambda x: show.weights_over_time(TABLE, x),
}

# What of the zoo each call draws; all else is refused. Capitals are groups of names.
_DRAWN = """
STACKS: mnist, no channels; mnist; photos; photos of 0 to 1; photos of -1 to 1;
    photos, standardised; photos of half precision; photos with alpha; photos as a
    tensor; photos of bfloat16; white photos; a pixel of NaN; a pixel of infinity;
    photos of NaN; a mask; images of 16 bits
COLOUR: photos; photos of 0 to 1; photos of -1 to 1; photos, standardised; photos of
    half precision; photos as a tensor; photos as a variable; photos of bfloat16; white
    photos
WORDS: labels; labels of text; labels from 1; labels with -1; words; objects; labels
    as a series
NORMS: labels, one-hot; counts; rates; rates with a class without examples; rates, one
    masked; vanishing numbers; numbers of 80 bits
TABLES: NORMS; logits
accuracy_by_examples:
accuracy_by_examples, one way:
activation_distributions: history; history, validated every second; history that
    begins with NaN; history of one epoch; history below 0; history of several outputs;
    a dictionary of pairs; history of eleven layers
activation_distributions, a layer: COLOUR; TABLES; mnist, no channels; mnist;
    photos, channels first; photos with alpha; photos of six bands; one photo; one grey
    photo; a white photo of 0 to 1; a pixel of NaN; a pixel of infinity; a mask; labels;
    labels of keras.datasets; labels from 1; labels with -1; a column of a sigmoid;
    counts of 150 classes; kernel of a Conv1D; kernel of a Dense; output of a Dense;
    vanished outputs; history as a frame; a number; a number as an array; history with
    gaps; images of 16 bits; huge numbers
activation_functions: a word
activation_statistics, mean: labels; labels from 1; labels with -1
architecture_diagram:
augmentation_grid, originals: STACKS; kernel of a Conv1D; a generator
augmentation_grid, variants: mnist; photos; photos of 0 to 1; photos of -1 to 1;
    photos, standardised; photos of half precision; photos, channels first; photos with
    alpha; photos of six bands; photos as a tensor; photos of bfloat16; white photos; a
    pixel of NaN; a pixel of infinity; photos of NaN; images of 16 bits
brightness_and_contrast: history of several outputs; a dictionary of pairs
brightness_and_contrast, a split: history as a frame; history with gaps
class_balance: a nested dictionary
class_balance, a split:
confusion_matrix: one grey photo; labels, one-hot; counts; rates; rates with a class
    without examples; counts of 150 classes; rates, one masked; vanishing numbers;
    numbers of 80 bits
confusion_matrix, labels: WORDS; nothing
constellation: labels; labels from 1; labels with -1; output of a Dense; vanished
    outputs
constellation, symbols: labels; labels from 1; labels with -1; output of a Dense;
    vanished outputs; nothing
cost_surface:
cost_surface, way: history as a frame; history of several outputs; nothing; an empty
    dictionary; a dictionary of pairs; history with gaps
feature_maps, image: TABLES; one photo; one grey photo; a white photo of 0 to 1;
    labels of keras.datasets; a column of a sigmoid; counts of 150 classes; kernel of a
    Dense; history as a frame; history with gaps; huge numbers; infinities
feature_maps, maps: mnist, no channels; one photo; a white photo of 0 to 1; a mask;
    kernel of a Conv1D
filters: COLOUR; mnist, no channels; mnist; photos, channels first; photos with
    alpha; photos of six bands; one photo; a white photo of 0 to 1; a mask; kernel of a
    Conv1D; images of 16 bits
grad_cam: COLOUR; one photo
grad_cam, labels: WORDS; nothing
grad_cam_map: COLOUR; one photo
gradient_flow: NORMS; kernel of a Dense; huge numbers; infinities
gradient_flow, layers: WORDS
gradient_map: NORMS; huge numbers; infinities
gradient_map, steps:
image_grid: STACKS; TABLES; photos of two sizes; one photo; one grey photo; a white
    photo of 0 to 1; labels of keras.datasets; a column of a sigmoid; counts of 150
    classes; kernel of a Conv1D; kernel of a Dense; history as a frame; a generator;
    history with gaps; huge numbers; infinities
image_grid, captions: WORDS; nothing
image_sizes: history of several outputs; a dictionary of pairs
image_sizes, a split:
image_table: photos, channels first
image_table, a row: STACKS; kernel of a Conv1D; a generator
learning_curves: history; history of fit; history as a frame; history of
    dictionaries; history, validated every second; history that begins with NaN; history
    of one epoch; history below 0; history with gaps; history of eleven layers
learning_rate_range: labels from 1
learning_rate_range, losses: labels; labels from 1; labels with -1
lms_learning_curve: TABLES; one grey photo; labels; labels of keras.datasets; labels
    from 1; labels with -1; a column of a sigmoid; counts of 150 classes; complex
    errors; kernel of a Dense; output of a Dense; vanished outputs; history as a frame;
    history with gaps; infinities
local_receptive_fields: labels, one-hot; logits; counts; rates; vanishing numbers; one
    photo; one grey photo; counts of 150 classes; kernel of a Dense; history as a frame;
    numbers of 80 bits
local_receptive_fields, centers:
loss_along, x: COLOUR; a pixel of NaN; a pixel of infinity; photos of NaN
loss_landscape:
loss_landscape, loss: TABLES; huge numbers
misclassified, images: STACKS; kernel of a Conv1D; a generator
misclassified, truth: labels; labels of keras.datasets; labels, one-hot; labels of
    text; words; labels as a series
misclassified, answers: labels, one-hot; a column of a sigmoid; rates; vanishing
    numbers; numbers of 80 bits
misclassified, labels: WORDS; nothing
network_table:
pixel_distribution: history; history, validated every second; history of one epoch;
    history of several outputs; a dictionary of pairs; history of eleven layers
pixel_distribution, a split: labels; labels of keras.datasets; labels, one-hot;
    labels from 1; a column of a sigmoid; counts; rates; output of a Dense; vanished
    outputs; history as a frame; vanishing numbers; numbers of 80 bits; huge numbers
receptive_field: one photo; one grey photo; nothing
receptive_field_box: nothing
reliability_diagram:
saliency: COLOUR; one photo
saliency_map: COLOUR; one photo
signal_flow_graph:
spectrogram:
stacked_layers: one photo; nothing
update_ratios: NORMS; kernel of a Dense; huge numbers; infinities
weights_over_time: TABLES; one grey photo; labels of keras.datasets; a column of a
    sigmoid; counts of 150 classes; complex errors; kernel of a Dense; history as a
    frame; history with gaps; huge numbers; infinities
weights_over_time, optimum: labels; labels from 1; labels with -1; nothing
"""


def drawn_by_call():
    """For each call the names of the zoo that it draws."""
    found = {}
    for line in _DRAWN.replace("\n    ", " ").strip().splitlines():
        call, names = line.split(":", 1)
        parts = [name.strip() for name in names.split(";") if name.strip()]
        found[call] = {n for part in parts for n in found.get(part, {part})}
    return found
