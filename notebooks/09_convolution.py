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
# # 9. Convolution
#
# **How does one small filter find the lines of a whole photograph?**
#
# In 1958 and 1959 David Hubel and Torsten Wiesel showed lines of light to cats, and
# later to monkeys, and listened to single cells of the visual cortex. Each reacts to a
# small region of the visual field, its *receptive field*, and many only to lines of one
# direction; others have larger fields and react to combinations of what lies below
# them (Nobel Prize in Physiology or Medicine, 1981). In 1980 Kunihiko Fukushima built a
# network that way, the *neocognitron*, which grew into today's convolutional networks.
# In them every neuron looks at a small rectangle of the image, and all neurons of a
# *feature map* look for the same thing. You will compute one map by hand, pad it with
# zeros, space it out with a stride, find the lines in a photograph, and stack maps over
# colour channels.

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_image

from dlkeras.architectures import summary_table
from dlkeras.layers import PartiallyConnectedConv2D
from dlkeras.testing.course import check, compare, language, say
from dlkeras.visualization import (
    in_language,
    local_receptive_fields,
    stacked_layers,
)

# %% [markdown]
# ## Small fields, joined
#
# Five neurons look at a drawn house. Each sees one circle, circles overlap, and a
# neuron reacts to a line of one direction. A neuron above is connected to neighbours
# only, and reacts to what their lines make together. You should see two slopes, two
# levels and a wall; joined, they are the roof's tip, the whole roof and a corner. Move
# a circle and see its line turn.

# %%
house = np.zeros((64, 64))
rows, columns = np.indices(house.shape)
house[(abs(rows - abs(columns - 32) - 8) <= 1) & (rows < 34)] = 1  # two slopes
house[34:60, [10, 11, 53, 54]] = 1  # two walls
house[[34, 35, 58, 59], 10:55] = 1  # the ceiling and the floor
circles = [(20, 20), (20, 44), (36, 32), (44, 11), (54, 24)]
local_receptive_fields(
    house, circles, 19, groups=[(1, 2), (1, 2, 3), (4, 5)], language=language
)

# %% [markdown]
# ## One feature map, by hand
#
# The neuron in row $i$, column $j$ sees rows $i$ to $i+f_h-1$ and columns $j$ to
# $j+f_w-1$ of the layer below. Its output is the sum of what it sees times the
# *filter*, plus a bias. With zeros around the image (*zero padding*), the map keeps the
# image's size; with a stride of $s_h$ and $s_w$ the fields begin at $i\,s_h$ and
# $j\,s_w$. How many zeros? Keras's "same" wants $\lceil n/s\rceil$ fields in $n$
# pixels, and they reach $(\lceil n/s\rceil - 1)\,s + f$ pixels far; what is missing is
# shared between both ends, and an odd zero goes behind. Change the sizes and see.


# %%
def zero_padded(image, filter_size, stride=1):
    """Zeros around it, half of them on each side; an odd one goes behind."""
    borders = []
    for pixels in image.shape[:2]:
        fields = -(-pixels // stride)  # rounded up
        zeros = max(0, (fields - 1) * stride + filter_size - pixels)
        borders.append((zeros // 2, zeros - zeros // 2))
    return np.pad(image, (*borders, (0, 0)))


def feature_map(image, kernel, bias=0.0, stride=(1, 1)):
    """Image (rows, columns, channels), kernel (f_h, f_w, channels)."""
    f_h, f_w = kernel.shape[:2]
    s_h, s_w = stride
    rows = (image.shape[0] - f_h) // s_h + 1
    columns = (image.shape[1] - f_w) // s_w + 1
    output = np.empty((rows, columns))
    for i in range(rows):
        for j in range(columns):
            seen = image[i * s_h : i * s_h + f_h, j * s_w : j * s_w + f_w]
            output[i, j] = np.sum(seen * kernel) + bias
    return output


def keras_map(image, kernel, bias=0.0, **arguments):
    layer = keras.layers.Conv2D(1, kernel.shape[:2], **arguments)
    layer.build((None, *image.shape))
    layer.set_weights([kernel[..., None], np.array([bias])])
    return keras.ops.convert_to_numpy(layer(image[None]))[0, :, :, 0]


random = np.random.default_rng(2)
kernel = random.normal(size=(3, 3, 1))
f = len(kernel)
for rows, columns in ((5, 7), (6, 8)):  # the first is the course's example
    image = random.normal(size=(rows, columns, 1))
    by_hand = feature_map(image, kernel, 0.5)
    compare(by_hand, keras_map(image, kernel, 0.5), atol=1e-5)
    print(f"{rows}x{columns} -> {by_hand.shape} without zeros")
    for s in (1, 2, 3):
        by_hand = feature_map(zero_padded(image, f, s), kernel, stride=(s, s))
        library = keras_map(image, kernel, padding="same", strides=s)
        compare(by_hand, library, atol=1e-5)
        print(f"{rows}x{columns} -> {by_hand.shape} with zeros and a stride of {s}")

# %% tags=["check"]
for size in ((5, 7), (6, 8), (7, 7), (9, 4)):  # the rule holds at any of them
    for f in (1, 2, 3, 5):
        for s in (1, 2, 3, 4):
            image, kernel = random.normal(size=(*size, 2)), np.ones((f, f, 2))
            np.testing.assert_allclose(
                feature_map(zero_padded(image, f, s), kernel, stride=(s, s)),
                keras_map(image, kernel, padding="same", strides=s),
                atol=1e-5,
            )
assert zero_padded(np.ones((5, 7, 1)), 3, 2).shape == (7, 9, 1)
assert feature_map(np.ones((7, 9, 1)), np.ones((3, 3, 1)), stride=(2, 2)).shape == (
    3,
    4,
)

# %% [markdown]
# Stack two such layers and follow one neuron down. It sees a 3x3 rectangle of the layer
# below, and the neuron in the middle of that sees 3x3 pixels. You should see that all
# nine together reach 5x5 pixels (dashed), and the ring of zeros that keeps the size
# (dotted). Try a stride of 2, or `position=(0, 0)`, which looks into the zeros.

# %%
thin = keras.Sequential(
    [
        keras.layers.Input((9, 12, 1)),
        keras.layers.Conv2D(1, 3, padding="same", name="first"),
        keras.layers.Conv2D(1, 3, padding="same", name="second"),
    ]
)
stacked_layers(thin, ["first", "second"], language=language)

# %% [markdown]
# ## Filters that look for lines
#
# A 7x7 filter of zeros with a column of ones in the middle adds up what lies on a short
# vertical line and ignores the rest: vertical lines come out bright, everything else is
# blurred. Turned by 90 degrees it finds horizontal lines. The photograph is of the
# Summer Palace in Beijing.

# %%
photo = load_sample_image("china.jpg")[60:360, 80:480] / 255.0
grey = photo.mean(axis=-1, keepdims=True)
vertical = np.zeros((7, 7, 1))
vertical[:, 3] = 1 / 7  # ones over seven: the map stays within the photo's range
horizontal = vertical.transpose(1, 0, 2)

maps = {}
for name, line in (("vertical", vertical), ("horizontal", horizontal)):
    maps[name] = keras_map(grey, line, padding="same")
    corner = feature_map(zero_padded(grey, 7)[:30, :30], line)
    compare(maps[name][:24, :24], corner, atol=1e-5)


def contrast(picture):
    """Mean change from a pixel to the one below it, and to the one beside it."""
    return np.abs(np.diff(picture, axis=0)).mean(), np.abs(
        np.diff(picture, axis=1)
    ).mean()


for name, picture in (("photo", grey[:, :, 0]), *maps.items()):
    down, across = contrast(picture)
    print(f"{name:10}  change downwards {down:.4f}, sideways {across:.4f}")

# %% tags=["check"]
# The vertical filter keeps the changes across vertical lines and smooths along them.
(down_v, across_v), (down_h, across_h) = map(contrast, maps.values())
assert across_v > 1.5 * down_v and down_h > 1.5 * across_h

# %% [markdown]
# ## Stacked maps and channels
#
# A real layer has several maps, each with a filter of its own, and each filter reaches
# through *all* maps of the layer below. From $c$ channels to $m$ maps it has
# $m\,(f_h f_w c + 1)$ parameters, whatever the size of the image. A fully connected
# layer from this photo to two maps of its size would have 86 thousand million weights.
#
# LeNet-5 is the exception that proves the rule: of its layer C3 each map reads only
# some of the maps below. The library's `PartiallyConnectedConv2D` takes a table of who
# reads whom, which comes to a filter with zeros.

# %%
filters = random.normal(size=(7, 7, 3, 2)) / 7
biases = np.array([0.1, -0.2])
layer = keras.layers.Conv2D(2, 7, padding="same")
layer.build((None, *photo.shape))
layer.set_weights([filters, biases])
stacked = keras.ops.convert_to_numpy(layer(photo[None]))[0]
for m in range(2):
    corner = feature_map(zero_padded(photo, 7)[:30, :30], filters[..., m], biases[m])
    compare(stacked[:24, :24, m], corner, atol=1e-4)
print(f"{layer.count_params()} parameters; fully connected: "
      f"{photo.size * 2 * photo[..., 0].size:,}")  # fmt: skip

table = np.array([[1, 0], [1, 1], [0, 1]], bool)  # map 0 reads red and green
partial = PartiallyConnectedConv2D(table, 7)
partial.build((None, *photo.shape))
partial.set_weights([filters[:, :, table], biases])
masked = keras.layers.Conv2D(2, 7)
masked.build((None, *photo.shape))
masked.set_weights([filters * table, biases])
compare(
    *(keras.ops.convert_to_numpy(layer(photo[None])) for layer in (partial, masked)),
    atol=1e-4,
)
print(f"partly connected: {partial.count_params()} parameters")

# %% tags=["check"]
assert layer.count_params() == 2 * (7 * 7 * 3 + 1) == 296
assert partial.count_params() == 4 * 49 + 2  # four of six connections

# %% [markdown]
# In a picture: below lie the photo's red, green and blue, above them a layer of four
# maps and one of three. You should see the rectangle of a neuron go through every sheet
# of the layer below, and through no map of its own.

# %%
maps_of = keras.Sequential(
    [
        keras.layers.Input((25, 34, 3)),
        keras.layers.Conv2D(4, 5, padding="same", name="first"),
        keras.layers.Conv2D(3, 5, padding="same", name="second"),
    ]
)
small = photo[::12, ::12]
stacked_layers(maps_of, ["first", "second"], small, language=language)

# %% [markdown]
# ## How far a deep neuron sees
#
# Each layer widens the receptive field by $(f-1)$ steps of the layer below, and each
# stride lengthens the steps: $r \leftarrow r + (f-1)\,t$, then $t \leftarrow t\,s$.
# Three layers of 3x3 with a stride of 2 in the middle see 9 pixels. A measurement
# agrees: change one pixel at a time and see which of them the middle neuron feels.

# %%
deep = keras.Sequential(
    [
        keras.layers.Input((21, 21, 1)),
        keras.layers.Conv2D(1, 3, padding="same", name="first"),
        keras.layers.Conv2D(1, 3, strides=2, padding="same", name="second"),
        keras.layers.Conv2D(1, 3, padding="same", name="third"),
    ]
)
for weight in deep.weights:
    weight.assign(np.ones(weight.shape))
r, t = 1, 1
for f, s in ((3, 1), (3, 2), (3, 1)):
    r, t = r + (f - 1) * t, t * s
seen = {row.layer: row.receptive_field for row in summary_table(deep)}
print("the library's table:", seen, "  by hand:", r)

pixels = np.eye(21 * 21).reshape(-1, 21, 21, 1)  # image k has pixel k alone at 1
silent = deep.predict(np.zeros((1, 21, 21, 1)), verbose=0)
felt = (deep.predict(pixels, verbose=0) != silent)[:, 5, 5, 0].reshape(21, 21)
print("felt:", np.ptp(np.argwhere(felt), axis=0) + 1)

# %% tags=["check"]
assert seen["third"] == r == 9
assert np.ptp(np.argwhere(felt), axis=0).tolist() == [r - 1, r - 1]

# %% [markdown]
# ## The picture
#
# Above, the photograph and what a layer of vertical and one of horizontal line filters
# make of it. Below, the filters' fields: the 5x7 input with its ring of zeros and the
# fields of two neighbours at stride 2; and the pixels that the deep neuron felt.

# %%
blue, orange, green = "#0072B2", "#D55E00", "#009E73"
figure, (above, (left, middle, right)) = plt.subplots(
    2, 3, figsize=(14, 7.6), layout="constrained", height_ratios=[1.1, 1]
)
for axes, (title, picture) in zip(
    above,
    (
        (say("photograph", "fotografia"), photo),
        (say("vertical lines", "linhas verticais"), maps["vertical"]),
        (say("horizontal lines", "linhas horizontais"), maps["horizontal"]),
    ),
    strict=True,
):
    axes.imshow(picture, cmap="gray")
    axes.set(title=title, xticks=[], yticks=[])

inside = np.zeros((7, 9))
inside[1:-1, 1:-1] = 1
left.imshow(inside, cmap="gray", vmin=-2, vmax=1.4, extent=(-1, 8, 6, -1))
left.set(xticks=range(-1, 9), yticks=range(-1, 7),
         xlabel=say("column", "coluna"), ylabel=say("row", "linha"),
         title=say("5x7 and zeros, stride 2: 3x4",
                   "5x7 e zeros, passo 2: 3x4"))  # fmt: skip
left.grid(color="white")
for column, colour, style in ((0, orange, "-"), (1, blue, "--")):
    left.add_patch(plt.Rectangle((2 * column - 1, 1), 3, 3, fill=False, linewidth=3,
                                 edgecolor=colour, linestyle=style,
                                 zorder=3))  # fmt: skip
    left.text(2 * column + 0.5, 2.5, f"1, {column}", color=colour, ha="center",
              va="center", weight="bold")  # fmt: skip

bars = np.concatenate(
    [vertical[..., 0], np.full((7, 1), np.nan), horizontal[..., 0]], 1
)
middle.imshow(bars, cmap="gray")
middle.set_facecolor(blue)
middle.set(title=say("the two filters, 7x7", "os dois filtros, 7x7"),
           xticks=[], yticks=[])  # fmt: skip

right.imshow(felt, cmap="Greys", vmax=2)
right.add_patch(plt.Rectangle((5.5, 5.5), 9, 9, fill=False, linewidth=3,
                              edgecolor=green))  # fmt: skip
right.plot(10, 10, "s", color=orange)
right.set(xticks=range(0, 21, 5), yticks=range(0, 21, 5),
          xlabel=say("column", "coluna"), ylabel=say("row", "linha"),
          title=say("9x9 pixels felt by one neuron",
                    "9x9 pixels sentidos por um neurônio"))  # fmt: skip
in_language(figure, language)
plt.show()

# %% [markdown]
# ## Exercises
#
# Put your answers into the cell below: it says right, nearly, or what to look at again.
# Solutions are in the folder `solutions`.
#
# 1. A filter whose weights add up to zero ignores flat areas. Apply Sobel's operator
#    `[[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]` and its transpose to the photograph, which
#    gives $g_x$ and $g_y$. What does $\sqrt{g_x^2 + g_y^2}$ show?
# 2. Two stacked 3x3 convolutions see 5x5. Compare their parameters with those of one
#    5x5 convolution, from 64 maps to 64 maps. What else do two layers bring?
# 3. Keras's convolution does not flip the filter; mathematics' does. Which of
#    `np.convolve` and `np.correlate` does a 1x7 filter on a 1-row image agree with?

# %%
check("09.1", None)  # g_x where a row steps from 0 to 1
check("09.2", None)  # parameters: two 3x3, one 5x5
check("09.3", None)  # the function's name, in quotes
