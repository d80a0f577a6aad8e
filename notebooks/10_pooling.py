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
# # 10. Pooling
#
# **How can a network not care if a digit moves by a pixel?**
#
# A pooling layer shrinks an image: each of its neurons looks at a small window of one
# map and passes on a single number, the largest or the mean. It has no weights. That
# saves computation, memory and, further up, parameters; and because the number hardly
# cares *where* in the window something is, the network tolerates a little shift. You
# will pool by hand, count what is dropped, and measure that tolerance on real digits.

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits, load_sample_image
from sklearn.neighbors import KNeighborsClassifier

from dlkeras.layers import Subsampling2D
from dlkeras.testing.course import check, compare, language, say
from dlkeras.visualization import in_language

# %% [markdown]
# ## Max, mean and LeNet's own, by hand
#
# With a window of 2x2 and a stride of 2, rows and columns fall into pairs. Reshape
# $(2r, 2c)$ to $(r, 2, c, 2)$ and the axes of size 2 are the windows:
#
# $$y_{ij} = \max_{a,b\in\{0,1\}} x_{2i+a,\,2j+b} \qquad\text{or}\qquad
# y_{ij} = \frac14\sum_{a,b} x_{2i+a,\,2j+b}.$$
#
# LeNet-5 of 1998 *added* the four, then multiplied by a trainable coefficient and added
# a trainable bias, one of each for a map.


# %%
def windows(maps, size):
    """(rows, columns, maps) to (rows / size, size, columns / size, size, maps)."""
    rows, columns, number = maps.shape
    return maps.reshape(rows // size, size, columns // size, size, number)


def max_pool(maps, size=2):
    return windows(maps, size).max(axis=(1, 3))


def mean_pool(maps, size=2):
    return windows(maps, size).mean(axis=(1, 3))


flower = load_sample_image("flower.jpg")[60:380, 160:480] / 255.0
coefficient, bias = np.array([0.25, 0.5, 1.0]), np.array([0.0, 0.1, -0.2])
subsampling = Subsampling2D(2)
subsampling.build((None, *flower.shape))
subsampling.set_weights([coefficient, bias])

for layer, by_hand in (
    (keras.layers.MaxPooling2D(2), max_pool(flower)),
    (keras.layers.AveragePooling2D(2), mean_pool(flower)),
    (keras.layers.MaxPooling2D(4), max_pool(flower, 4)),
    (subsampling, coefficient * windows(flower, 2).sum(axis=(1, 3)) + bias),
):
    library = keras.ops.convert_to_numpy(layer(flower[None]))[0]
    compare(library, by_hand, atol=1e-5)
    print(f"{type(layer).__name__:18} {flower.shape} -> {library.shape}, "
          f"{layer.count_params()} parameters")  # fmt: skip

# %% tags=["check"]
assert subsampling.count_params() == 2 * 3

# %% [markdown]
# ## What is dropped
#
# Of each window max pooling passes one number; the other three make no difference, and
# so get no gradient: shrink them all and the output is the same. The mean hears all
# four, but only their sum.

# %%
largest = np.repeat(np.repeat(max_pool(flower), 2, axis=0), 2, axis=1)
passed = flower == largest  # more than one where neighbours are equal
dropped = np.where(passed, flower, 0.5 * flower)
compare(max_pool(dropped), max_pool(flower))
print(f"max pooling of 2x2 drops {1 - passed.mean():.0%} of the values "
      "(75 % but for ties)")  # fmt: skip

swapped = flower.copy()
swapped[0::2], swapped[1::2] = flower[1::2], flower[0::2]  # swap rows within windows
compare(mean_pool(swapped), mean_pool(flower), atol=1e-12)
compare(max_pool(swapped), max_pool(flower))
print("swapped within their windows, pixels change neither the mean nor the maximum")

# %% tags=["check"]
assert 0.5 < 1 - passed.mean() <= 0.75

# %% [markdown]
# ## Tolerance to shift, measured
#
# The digits are enlarged to 32x32 pixels, smoothly, so that a shift of one pixel is a
# small thing. How far does the picture move when the digit does? We compare the change,
# $\lVert f(\text{shifted}) - f(x)\rVert / \lVert f(x)\rVert$, before and after pooling.
# Then a nearest-neighbour classifier, which has never seen a shifted digit, has to read
# shifted ones.

# %%
digits = load_digits()
small = (digits.images[..., None] / 16).astype("float32")  # (1797, 8, 8, 1)
resize = keras.layers.Resizing(32, 32, interpolation="bilinear")
images = keras.ops.convert_to_numpy(resize(small))[..., 0]
canvas = np.pad(images, ((0, 0), (8, 8), (8, 8)))  # room to move


def shifted(pixels):
    return canvas[:, 8 : 8 + 32, 8 - pixels : 8 - pixels + 32]


def pooled(batch, layer):
    maps = keras.ops.convert_to_numpy(layer(batch[..., None]))
    return maps.reshape(len(batch), -1)


layers = {
    "1x1": keras.layers.MaxPooling2D(1),  # passes the image as it is
    "max 2x2": keras.layers.MaxPooling2D(2),
    "mean 2x2": keras.layers.AveragePooling2D(2),
    "max 8x8": keras.layers.MaxPooling2D(8),
    "mean 8x8": keras.layers.AveragePooling2D(8),
}
train, test = np.arange(0, 1797, 2), np.arange(1, 1797, 2)
change, accuracy = {}, {}
shifts = range(7)
for name, layer in layers.items():
    still = pooled(images, layer)
    reader = KNeighborsClassifier(1).fit(still[train], digits.target[train])
    change[name], accuracy[name] = [], []
    for pixels in shifts:
        moved = pooled(shifted(pixels), layer)
        ratio = np.linalg.norm(moved - still, axis=1) / np.linalg.norm(still, axis=1)
        change[name].append(ratio.mean())
        accuracy[name].append(reader.score(moved[test], digits.target[test]))
    print(f"{name:9} {still.shape[1]:4} numbers; shift of 2: change "
          f"{change[name][2]:.3f}, read {accuracy[name][2]:.3f}; "
          f"of 5: {change[name][5]:.3f}, {accuracy[name][5]:.3f}")  # fmt: skip

# %% tags=["check"]
for pixels in shifts[1:]:  # the wider the window, the less moves
    for kind in (("mean 2x2", "mean 8x8"), ("max 2x2", "max 8x8")):
        moves = [change[n][pixels] for n in ("1x1", *kind)]
        assert moves[0] > moves[1] > moves[2]
assert accuracy["1x1"][0] > 0.97 and accuracy["mean 8x8"][0] > 0.9
assert accuracy["mean 8x8"][5] > accuracy["1x1"][5] + 0.05

# %% [markdown]
# The change always falls with the window. Reading is another matter. 2x2 windows cost
# nothing and give, on these digits, nothing either. The mean of 8x8 keeps 16 of 1,024
# numbers: it reads worse at rest and better from four pixels on. The largest of 8x8 is
# steadiest of all and reads worst: what does not move does not tell digits apart.
# Tolerance is bought with detail, so networks pool a little at a time.
#
# *Location invariance* is the course's word. Inside a network the layers share that
# work: a convolution moves its map when the image moves, and each pooling of 2x2 halves
# the shift. After two of them four pixels are one, and further up it matters less and
# less where a stroke was.

# %% [markdown]
# ## The picture
#
# Above, the flower, pooled again and again; on the right what the mean makes of it.
# Below, how far the picture moves and how well a classifier still reads it.

# %%
blue, orange, green, grey = "#0072B2", "#D55E00", "#009E73", "#666666"
figure = plt.figure(figsize=(14, 7.6), layout="constrained")
above, below = figure.subfigures(2, 1)
pictures = (
    (f"{flower.shape[0]}x{flower.shape[1]}", flower),
    ("max 4x4", max_pool(flower, 4)),
    ("max 16x16", max_pool(flower, 16)),
    (say("mean 4x4", "média 4x4"), mean_pool(flower, 4)),
    (say("mean 16x16", "média 16x16"), mean_pool(flower, 16)),
)
for axes, (title, picture) in zip(above.subplots(1, 5), pictures, strict=True):
    axes.imshow(picture)
    axes.set(title=title, xticks=[], yticks=[])

left, right = below.subplots(1, 2)
styles = {"1x1": ("o-", grey), "max 2x2": ("s--", blue), "mean 2x2": ("^--", orange),
          "max 8x8": ("s-", blue), "mean 8x8": ("^-", orange)}  # fmt: skip
for name, (style, colour) in styles.items():
    left.plot(shifts, change[name], style, color=colour, label=name)
    right.plot(shifts, accuracy[name], style, color=colour, label=name)
left.set(xlabel=say("shift (pixels)", "deslocamento (pixels)"),
         ylabel=r"$\|f(x_s) - f(x)\| / \|f(x)\|$",
         title=say("How far the picture moves",
                   "Quanto a imagem se move"))  # fmt: skip
right.set(xlabel=say("shift (pixels)", "deslocamento (pixels)"),
          ylabel=say("accuracy", "acurácia"), ylim=(0, 1.02),
          title=say("Reading shifted digits",
                    "Leitura de dígitos deslocados"))  # fmt: skip
for axes in (left, right):
    axes.grid(alpha=0.3)
    axes.legend()
in_language(figure, language)
plt.show()

# %% [markdown]
# ## Exercises
#
# Put your answers into the cell below: it says right, nearly, or what to look at again.
# Solutions are in the folder `solutions`.
#
# 1. A pooling of 2x2 with stride 2 does not treat all shifts alike. Find an image of
#    one bright pixel whose max-pooled map does not change when it moves one pixel to
#    the right, and one whose map does. How large is the share of each among all places?
# 2. Let the windows overlap, 3x3 with stride 2, as AlexNet does. Is the change under a
#    shift of one to three pixels larger or smaller than with 2x2?
# 3. Global average pooling takes the mean of the whole map. Show that the output of a
#    network of convolutions (with wrap-around borders) and global average pooling does
#    not change at all when the image is rolled. What is the price?

# %%
check("10.1", None)  # places of 8x8 that do not notice the shift
check("10.2", None)  # change with 3x3 over that with 2x2, shift 1
check("10.3", None)  # numbers left of 7x7x1024 after the mean
