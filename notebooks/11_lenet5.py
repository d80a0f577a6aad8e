# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 11. LeNet-5
#
# **What does a network see that reads handwritten digits?**
#
# LeNet-5 read the digits on cheques. It has everything that came after in small:
# convolutions that find strokes, pooling that forgets where exactly they were, and
# fully connected layers that decide. You will compute its table by hand, layer by
# layer, let the library confirm it, train it on real digits, and look inside: at its
# feature maps, at what a neuron sees, and at what speaks for a class. (LeCun, Bottou,
# Bengio and Haffner, 1998; Table 13-1 of the course.)

# %%
import os

import keras
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display
from sklearn.datasets import load_digits

from dlkeras import visualization
from dlkeras.architectures import feature_extractor, lenet5, summary_table
from dlkeras.testing.course import check, compare, language, say

# %% [markdown]
# ## The table, by hand
#
# A convolution without padding turns $n$ pixels into $n - f + 1$. From $c$ maps to $m$
# maps it has $m\,(f^2c + 1)$ parameters and multiplies and adds $m\,f^2c$ times for
# each of its output pixels. Pooling halves the size and has neither. A fully connected
# layer is a convolution that has only one pixel to look at.

# %%
TABLE = (  # name, type, maps or units, size, kernel, stride: Table 13-1 of the course
    ("C1", "convolution", 6, 28, 5, 1),
    ("S2", "mean pooling", 6, 14, 2, 2),
    ("C3", "convolution", 16, 10, 5, 1),
    ("S4", "mean pooling", 16, 5, 2, 2),
    ("C5", "convolution", 120, 1, 5, 1),
    ("F6", "fully connected", 84, 1, 1, 1),
    ("Out", "fully connected", 10, 1, 1, 1),
)
by_hand, sizes, size, maps = {}, [], 32, 1
for name, kind, m, _, f, s in TABLE:
    size = (size - f) // s + 1
    sizes.append(size)
    weighted = kind != "mean pooling"
    by_hand[name] = (
        m * (f * f * maps + 1) if weighted else 0,
        m * f * f * maps * size * size if weighted else 0,
    )
    maps = m
print("sizes by hand:", sizes)

keras.utils.set_random_seed(0)
network = lenet5()
table = summary_table(network)
print(table)

# %% tags=["check"]
for row in table:
    if row.layer in by_hand:
        assert (row.parameters, row.multiply_adds) == by_hand[row.layer], row
assert sizes == [row[3] for row in TABLE]
assert table.parameters == 61_706 and table.multiply_adds == 416_520

# %% [markdown]
# The same network, drawn from the model: each box says what its layer does and the
# shape of what comes out.

# %%
display(visualization.architecture_diagram(network, language=language))

# %% [markdown]
# The network of the paper differs from the table in three places: S2 and S4 add their
# four pixels and have two trainable numbers for each map, each map of C3 reads only
# some of S2's, and the outputs are distances to drawn digits. It has 60,000 trainable
# parameters, as the paper says.

# %%
paper = {row.layer: row for row in summary_table(lenet5(version="1998"))}
print({name: paper[name].parameters for name in by_hand})

# %% tags=["check"]
assert paper["C3"].parameters == 60 * 25 + 16 == 1516  # 60 connections of 25 weights
assert sum(row.parameters for row in paper.values()) == 60_000

# %% [markdown]
# ## One image through the first two layers, by hand
#
# The digits are 8x8; smoothly enlarged to 32x32 they fit. Ink is 1.175 and ground -0.1
# as in the paper, so that a mean pixel is about 0 and its spread about 1. To see the
# MNIST images of the paper, let the variable `DLKERAS_TFDS` name a folder of TensorFlow
# Datasets in which MNIST is prepared; a tenth of them is taken.

# %%
if os.environ.get("DLKERAS_TFDS"):
    import tensorflow_datasets as tfds

    parts = tfds.load("mnist", data_dir=os.environ["DLKERAS_TFDS"], download=False,
                      split=["train[:10%]", "test[:10%]"], batch_size=-1)  # fmt: skip
    images, labels = (
        np.concatenate([keras.ops.convert_to_numpy(part[key]) for part in parts])
        for key in ("image", "label")
    )
    images, test = images / 255.0, np.arange(len(images)) >= 6000
else:
    digits = load_digits()
    images, labels = digits.images[..., None] / 16, digits.target
    test = np.random.default_rng(0).permutation(len(labels)) < 360
resize = keras.layers.Resizing(32, 32, interpolation="bilinear")
x = 1.275 * keras.ops.convert_to_numpy(resize(images.astype("float32"))) - 0.1
print(f"{(~test).sum()} digits to learn from, {test.sum()} to test")

image = x[0]
kernel, bias = network.get_layer("C1").get_weights()
fields = np.lib.stride_tricks.sliding_window_view(image[..., 0], (5, 5))  # 28x28x5x5
c1 = np.tanh(np.einsum("ijab,abm->ijm", fields, kernel[:, :, 0]) + bias)
s2 = np.tanh(c1.reshape(14, 2, 14, 2, 6).mean(axis=(1, 3)))

inside = feature_extractor(network, ["C1", "S2_activation"])
for hand, library in zip((c1, s2), inside(image[None]), strict=True):
    compare(keras.ops.convert_to_numpy(library)[0], hand, atol=1e-5)
print("C1 and S2 agree")

# %% [markdown]
# ## Training

# %%
network.compile(
    keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy", metrics=["accuracy"]
)
history = network.fit(
    x[~test], labels[~test], batch_size=32, epochs=12, verbose=0,
    validation_data=(x[test], labels[test]),
)  # fmt: skip
accuracy = history.history["val_accuracy"][-1]
print(f"test accuracy {accuracy:.4f}: {round((1 - accuracy) * test.sum())} of "
      f"{test.sum()} wrong")  # fmt: skip

# %%
figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
epochs = range(1, len(history.history["loss"]) + 1)
axes.semilogy(epochs, history.history["loss"], "o-", color="#0072B2",
              label=say("training", "treino"))  # fmt: skip
axes.semilogy(epochs, history.history["val_loss"], "s--", color="#D55E00",
              label=say("test", "teste"))  # fmt: skip
axes.set(xlabel=say("epoch", "época"), ylabel=say("loss", "custo"))
axes.legend()
visualization.in_language(figure, language)
plt.show()

# %% tags=["check"]
assert accuracy > 0.95

# %% [markdown]
# ## The pictures
#
# First what the trained network makes of one digit: C1 finds strokes of several
# directions, C3 combines them into something no longer a digit to us.

# %%
chosen = np.flatnonzero(test)[:3]
looking = feature_extractor(network, ["C1", "S2", "C3", "S4"])
outputs = [keras.ops.convert_to_numpy(maps)[0] for maps in looking(x[chosen[:1]])]
display(
    visualization.feature_maps(
        x[chosen[0]],
        dict(zip(("C1", "S2", "C3", "S4"), outputs, strict=True)),
        language=language,
    )
)

# %% [markdown]
# What one neuron in the middle of each layer sees of the image: 5, 6, 14, 16 and at C5
# all 32 pixels.

# %%
fields = {row.layer: row.receptive_field for row in table}
display(
    visualization.receptive_field(
        network, ["C1", "C3", "S4", "C5"], x[chosen[0]], language=language
    )
)

# %% tags=["check"]
assert [fields[n] for n in ("C1", "S2", "C3", "S4", "C5")] == [5, 6, 14, 16, 32]

# %% [markdown]
# And what speaks for the class that the network answered (Grad-CAM at C3).

# %%
display(visualization.grad_cam(network, x[chosen], "C3", language=language))

# %% [markdown]
# ## Exercises
#
# Put your answers into the cell below: it says right, nearly, or what to look at again.
# Solutions are in the folder `solutions`.
#
# 1. Which layer has most of the parameters, and which most of the multiply-adds? What
#    follows for making a network smaller, and for making it faster?
# 2. Train with ReLU and max pooling in place of tanh and the mean, for six epochs each
#    and over three seeds. Is the difference larger than the spread?
# 3. C5 is a convolution, not a fully connected layer. Build `lenet5((40, 48, 1),
#    num_classes=0)`: what is the shape of its output, and what could one use it for?

# %%
check("11.1", None)  # ("most parameters", "most multiply-adds")
check("11.2", None)  # "yes" or "no"
check("11.3", None)  # (height, width, maps)
