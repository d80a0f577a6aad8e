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
# # 12. AlexNet
#
# **What did it take to go from digits to a thousand kinds of photographs?**
#
# In 2012 a network of eight layers won the ImageNet challenge with 17 % errors among
# its five best guesses, where the second had 26 %. It is LeNet-5 grown up: larger
# images, more maps, ReLU in place of tanh, dropout, and convolutions stacked straight
# on convolutions. It was trained on two graphics cards, and you can still see the seam.
# You will compute its table by hand, find out why 224 pixels cannot be right, take
# apart its two peculiar parts, and train a small one. (Krizhevsky, Sutskever and
# Hinton, 2012; Table 13-2 of the course.)

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display
from sklearn.datasets import load_digits, load_sample_image

from dlkeras import visualization
from dlkeras.architectures import alexnet, feature_extractor, summary_table
from dlkeras.layers import LocalResponseNormalization
from dlkeras.testing.course import check, compare, language, say

# %% [markdown]
# ## The table, by hand
#
# With padding VALID, $n$ pixels become $\lfloor (n-f)/s \rfloor + 1$; with SAME they
# become $\lceil n/s \rceil$. The paper says 224 pixels and 55x55 maps behind C1, an
# 11x11 kernel with stride 4. But $(224-11)/4 + 1 = 54.25$, and SAME gives 56. Only 227
# fits: $(227-11)/4+1 = 55$. The authors' own code had 227.
#
# In the paper C3, C6 and C7 read only the maps on their own graphics card: two
# *groups*, which halves their weights.

# %%
TABLE = (  # name, maps or units, kernel, stride, padding, groups; pooling has no maps
    ("C1", 96, 11, 4, "valid", 1),
    ("S2", None, 3, 2, "valid", 1),
    ("C3", 256, 5, 1, "same", 2),
    ("S4", None, 3, 2, "valid", 1),
    ("C5", 384, 3, 1, "same", 1),
    ("C6", 384, 3, 1, "same", 2),
    ("C7", 256, 3, 1, "same", 2),
    ("S8", None, 3, 2, "valid", 1),
    ("F8", 4096, 6, 1, "valid", 1),  # a fully connected layer sees all 6x6 pixels
    ("F9", 4096, 1, 1, "valid", 1),
    ("Out", 1000, 1, 1, "valid", 1),
)


def by_hand(size, grouped=True):
    rows, maps = {}, 3
    for name, m, f, s, padding, groups in TABLE:
        size = (size - f) // s + 1 if padding == "valid" else -(-size // s)
        reads = maps // groups if grouped else maps
        weights = f * f * reads * m if m else 0
        rows[name] = (size, weights + (m or 0), weights * size * size)
        maps = m or maps
    return rows


rows = by_hand(227)
keras.utils.set_random_seed(0)
full = alexnet(kernel_initializer="zeros")
table = summary_table(full)
for row in table:
    if row.layer in rows:
        compare(rows[row.layer][1:], (row.parameters, row.multiply_adds))
print(table)
parameters = {
    name: sum(row[1] for row in by_hand(227, grouped).values())
    for name, grouped in (("2012", True), ("one tower", False))
}
dense = sum(rows[name][1] for name in ("F8", "F9", "Out")) / parameters["2012"]
convolved = sum(row[2] for name, row in rows.items() if name[0] == "C")
print(f"the three dense layers have {dense:.0%} of the parameters, the convolutions "
      f"{convolved / table.multiply_adds:.0%} of the multiply-adds")  # fmt: skip

# %% tags=["check"]
assert [rows[n][0] for n in ("C1", "S2", "C3", "S4", "C5")] == [55, 27, 27, 13, 13]
assert parameters == {"2012": 60_965_224, "one tower": 62_378_344}

# %% [markdown]
# Drawn from the model; `(2 g)` marks the layers of two groups.

# %%
display(visualization.architecture_diagram(full, language=language))

# %% [markdown]
# ## Two peculiar parts, by hand
#
# *Groups*: the first half of the maps of C3 reads the first half of the maps below, the
# second the second. It is two convolutions side by side.
#
# *Local response normalisation*: a strong map damps its neighbours at the same pixel,
# $b_i = a_i / (2 + 10^{-4}\sum_j a_j^2)^{0.75}$, where $j$ runs over the five maps
# around $i$.

# %%
random = np.random.default_rng(0)
below = random.normal(size=(1, 9, 9, 8)).astype("float32")
grouped = keras.layers.Conv2D(6, 3, groups=2)
grouped.build(below.shape)
kernel, bias = grouped.get_weights()  # 3x3, 4 of 8 maps below, 6 maps
halves = [
    keras.ops.conv(below[..., 4 * g : 4 * g + 4], kernel[..., 3 * g : 3 * g + 3])
    for g in (0, 1)
]
both_halves = keras.ops.concatenate(halves, axis=-1)
compare(*map(keras.ops.convert_to_numpy, (grouped(below), both_halves)), atol=1e-5)

a = 50 * np.abs(random.normal(size=(4, 4, 12)))
b = np.empty_like(a)
for i in range(12):
    power = np.sum(a[..., max(0, i - 2) : i + 3] ** 2, axis=-1)
    b[..., i] = a[..., i] / (2 + 1e-4 * power) ** 0.75
normalisation = LocalResponseNormalization()
library = keras.ops.convert_to_numpy(normalisation(a[None]))[0]
compare(library, b, rtol=1e-4)
print("groups and local response normalisation agree")

# %% [markdown]
# ## A small AlexNet reads digits
#
# An eighth of the maps, 67x67 pixels (the smallest that leave S8 a pixel), ten classes,
# and batch normalisation, with which a short training gets far.

# %%
digits = load_digits()
small = (digits.images[..., None] / 8 - 1).astype("float32")
resize = keras.layers.Resizing(67, 67, interpolation="bilinear")
x, labels = keras.ops.convert_to_numpy(resize(small)), digits.target
test = random.permutation(len(labels)) < 360

network = alexnet((67, 67, 1), 10, width_multiplier=0.125, normalization="batch",
                  kernel_initializer="he_normal", weight_decay=0.0)  # fmt: skip
network.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy",
                metrics=["accuracy"])  # fmt: skip
history = network.fit(x[~test], labels[~test], batch_size=32, epochs=6, verbose=0,
                      validation_data=(x[test], labels[test]))  # fmt: skip
accuracy = history.history["val_accuracy"][-1]
print(f"{network.count_params():,} parameters, test accuracy {accuracy:.3f}")

# %% tags=["check"]
assert accuracy > 0.9

# %% [markdown]
# ## The pictures
#
# Maps of a digit; what speaks for its class (Grad-CAM at C3, where there still are 7x7
# pixels); and what a neuron of the full network sees of a photograph.

# %%
shown = x[np.flatnonzero(test)[:3]]
names = ["C1", "C3", "C5"]
values = [
    keras.ops.convert_to_numpy(maps)[0]
    for maps in feature_extractor(network, names)(shown[:1])
]
display(
    visualization.feature_maps(
        shown[0], dict(zip(names, values, strict=True)), language=language
    )
)
display(visualization.grad_cam(network, shown, "C3", language=language))

# %%
photo = load_sample_image("flower.jpg")[60:380, 160:480].astype("float32") / 255
photo = keras.ops.convert_to_numpy(keras.layers.Resizing(227, 227)(photo))
display(visualization.receptive_field(full, ["C1", "C3", "C5", "C7"], photo,
                                      language=language))  # fmt: skip

# %% [markdown]
# Where the parameters are, and where the work is: at opposite ends.

# %%
blue, orange = "#0072B2", "#D55E00"
weighted = [name for name in rows if name[0] != "S"]
places = np.arange(len(weighted))
figure, axes = plt.subplots(figsize=(10, 4.2), layout="constrained")
for shift, column, colour, hatch, label in (
    (-0.2, 1, blue, "", say("parameters", "parâmetros")),
    (0.2, 2, orange, "//", say("multiply-adds", "multiplicações e somas")),
):
    total = sum(row[column] for row in rows.values())
    shares = [100 * rows[name][column] / total for name in weighted]
    axes.bar(places + shift, shares, 0.38, color=colour, hatch=hatch,
             edgecolor="white", label=f"{label}: {total / 1e6:.0f} M")  # fmt: skip
axes.set(xticks=places, xticklabels=weighted, ylabel="%", title="AlexNet")
axes.legend()
visualization.in_language(figure, language)
plt.show()

# %% [markdown]
# ## Exercises
#
# Put your answers into the cell below: it says right, nearly, or what to look at again.
# Solutions are in the folder `solutions`.
#
# 1. Table 13-2 has no pooling behind C7. How many parameters has F8 then? Build
#    `alexnet(version="table", pool_after_c7=False, kernel_initializer="zeros",
#    width_multiplier=0.25)` and compare with your formula.
# 2. Pooling overlaps here, 3x3 with stride 2. What would S2, S4 and S8 give with 2x2,
#    and what would that save?
# 3. The first layer has a stride of 4, so each pixel is seen by only a few neurons.
#    Which pixels at the border of the 227 are seen by fewer than those in the middle?

# %%
check("12.1", None)  # parameters of F8 in the network that you built
check("12.2", None)  # (S2, S4, S8), pixels on a side
check("12.3", None)  # pixels of the 227 along one axis that one neuron sees
