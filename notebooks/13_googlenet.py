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
# # 13. GoogLeNet and the inception module
#
# **How large should a filter be, if you need not choose?**
#
# How large should a filter be? GoogLeNet's answer: try 1x1, 3x3 and 5x5 at once, stack
# what they find, and let the next layer choose. To afford it, 1x1 convolutions first
# squeeze the many maps into few. So 22 layers have about a ninth of AlexNet's
# parameters, and in 2014 it won the ImageNet challenge with less than 7 % errors among
# its five best guesses. You will run one inception module by hand, reproduce the table,
# and train a narrow GoogLeNet. (Szegedy et al., 2015.)

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display
from sklearn.datasets import load_digits, load_sample_image

from dlkeras import visualization
from dlkeras.architectures import feature_extractor, googlenet, summary_table
from dlkeras.layers import InceptionModule
from dlkeras.testing.course import check, compare, language, say

# %% [markdown]
# ## An inception module, by hand
#
# Four views of one input, all with stride 1 and SAME padding, so that all have its
# height and width: a 1x1 convolution; a 3x3 and a 5x5, each behind a 1x1 that reduces
# the number of maps; and a 3x3 max pooling, followed by a 1x1. ReLU everywhere. The
# outputs are stacked along the depth (*depth concatenation*): heights and widths are
# equal, so the maps of one follow those of the other on the last axis.

# %%
random = np.random.default_rng(0)
module = InceptionModule(4, 3, 5, 2, 3, 2)
module.build((None, 8, 8, 6))
for weight in module.weights:
    weight.assign(random.normal(scale=0.5, size=weight.shape))
x = random.normal(size=(1, 8, 8, 6)).astype("float32")


def convolve(values, name):
    kernel, bias = module.convolutions[name].get_weights()
    f = kernel.shape[0]
    border = ((0, 0), (f // 2, f // 2), (f // 2, f // 2), (0, 0))
    fields = np.lib.stride_tricks.sliding_window_view(
        np.pad(values, border), (f, f), axis=(1, 2)
    )
    return np.maximum(0, np.einsum("nijcab,abcm->nijm", fields, kernel) + bias)


low = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-np.inf)
pooled = np.lib.stride_tricks.sliding_window_view(low, (3, 3), axis=(1, 2)).max(
    (-2, -1)
)
by_hand = np.concatenate(
    [
        convolve(x, "1x1"),
        convolve(convolve(x, "3x3_reduce"), "3x3"),
        convolve(convolve(x, "5x5_reduce"), "5x5"),
        convolve(pooled, "pool_proj"),
    ],
    axis=-1,
)
compare(keras.ops.convert_to_numpy(module(x)), by_hand, rtol=1e-4, atol=1e-4)
print("one module:", x.shape, "->", by_hand.shape)

# %% [markdown]
# ## What the 1x1 reductions save
#
# Inception 3a reads 192 maps of 28x28 pixels. Its 5x5 convolution to 32 maps costs
# $28^2\cdot25\cdot192\cdot32 = 120$ million multiply-adds without a reduction, and
# $28^2\,(192\cdot16 + 25\cdot16\cdot32) = 12$ million with one to 16 maps.

# %%
direct = 28**2 * 25 * 192 * 32
reduced = 28**2 * (192 * 16 + 25 * 16 * 32)
print(f"5x5 of inception 3a: {direct / 1e6:.0f} million, reduced {reduced / 1e6:.0f}")

# %% tags=["check"]
assert direct > 9 * reduced

# %% [markdown]
# ## The paper's table 1
#
# The columns of a module: #1x1, #3x3 reduce, #3x3, #5x5 reduce, #5x5, pool proj. From
# them follow the parameters, the depth of the output and the multiply-adds; the paper
# prints the multiply-adds in millions. The output layer (1,024 inputs, 1,000 classes)
# has 1,025,000 of the 6,998,552 parameters; without it there are 5,973,552, and that is
# the "6 million" of the course.

# %%
MODULES = {  # name: size, maps below, the six columns, printed millions of operations
    "inception_3a": (28, 192, (64, 96, 128, 16, 32, 32), 128),
    "inception_3b": (28, 256, (128, 128, 192, 32, 96, 64), 304),
    "inception_4a": (14, 480, (192, 96, 208, 16, 48, 64), 73),
    "inception_4b": (14, 512, (160, 112, 224, 24, 64, 64), 88),
    "inception_4c": (14, 512, (128, 128, 256, 24, 64, 64), 100),
    "inception_4d": (14, 512, (112, 144, 288, 32, 64, 64), 119),
    "inception_4e": (14, 528, (256, 160, 320, 32, 128, 128), 170),
    "inception_5a": (7, 832, (256, 160, 320, 32, 128, 128), 54),
    "inception_5b": (7, 832, (384, 192, 384, 48, 128, 128), 71),
}
full = googlenet(kernel_initializer="zeros")
table = summary_table(full)
rows = {row.layer: row for row in table}
for name, (size, c, (a, r3, b, r5, d, p), printed) in MODULES.items():
    weights = c * (a + r3 + r5 + p) + 9 * r3 * b + 25 * r5 * d
    row = rows[name]
    parameters = weights + a + r3 + b + r5 + d + p
    compare((size, size, a + b + d + p), row.output)
    compare((parameters, size**2 * weights), (row.parameters, row.multiply_adds))
    print(f"{name}: {row.output}, {row.parameters:9,} parameters, "
          f"{row.multiply_adds / 1e6:5.1f} million (printed {printed})")  # fmt: skip
    # The printed 54 of 5a fits 48 reducing filters, where the table prints 32.
    compare(printed, row.multiply_adds / 1e6, atol=3.5 if name == "inception_5a" else 1)
print(f"in all {table.parameters:,} parameters; AlexNet has 60,965,224")
print(table)

# %% tags=["check"]
assert rows["inception_3a"].parameters == 163_696
assert table.parameters - 1000 * (1024 + 1) == 5_973_552  # the course's 6 million
assert table.parameters == 6_998_552 and 60_965_224 / table.parameters > 8.5

# %% [markdown]
# The whole network, drawn from the model. In each module you see the four views that
# you ran by hand.

# %%
display(visualization.architecture_diagram(full, language=language))

# %% [markdown]
# ## A narrow GoogLeNet reads digits
#
# A quarter of the filters, 64x64 pixels, ten classes. The paper trained without batch
# normalisation, for days; with it a minute will do.

# %%
keras.utils.set_random_seed(0)
digits = load_digits()
small = (digits.images[..., None] / 8 - 1).astype("float32")
resize = keras.layers.Resizing(64, 64, interpolation="bilinear")
x, labels = keras.ops.convert_to_numpy(resize(small)), digits.target
test = random.permutation(len(labels)) < 360

network = googlenet((64, 64, 1), 10, width_multiplier=0.25, normalization="batch",
                    dropout=0.2)  # fmt: skip
network.compile(keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy",
                metrics=["accuracy"])  # fmt: skip
network.fit(x[~test], labels[~test], batch_size=32, epochs=4, verbose=0)
_, accuracy = network.evaluate(x[test], labels[test], verbose=0)
print(f"{network.count_params():,} weights, test accuracy {accuracy:.3f}")

# %% tags=["check"]
assert accuracy > 0.85

# %% [markdown]
# ## The pictures
#
# One module of the trained network: its four views of a digit lie side by side in the
# depth. Then what speaks for a class, and what a neuron of the full network sees of a
# photograph.

# %%
shown = x[np.flatnonzero(test)[:3]]
values = keras.ops.convert_to_numpy(
    feature_extractor(network, "inception_3b")(shown[:1])
)
edges = np.cumsum([0, *(row // 4 for row in (128, 192, 96, 64))])
views = {
    f"3b {name}": values[0, ..., first : min(last, first + 8)]
    for name, first, last in zip(
        ("1x1", "3x3", "5x5", "pool"), edges[:-1], edges[1:], strict=True
    )
}
display(visualization.feature_maps(shown[0], views, language=language))
display(visualization.grad_cam(network, shown, "inception_3b", language=language))

# %%
photo = load_sample_image("china.jpg")[60:360, 100:400].astype("float32") / 255
photo = keras.ops.convert_to_numpy(keras.layers.Resizing(224, 224)(photo))
display(visualization.receptive_field(
    full, ["inception_3a", "inception_3b", "inception_4a"], photo, language=language
))  # fmt: skip

# %% [markdown]
# The work of the nine modules, counted and as the paper prints it.

# %%
blue, orange = "#0072B2", "#D55E00"
figure, axes = plt.subplots(figsize=(10, 4.2), layout="constrained")
places = np.arange(len(MODULES))
counted = [rows[name].multiply_adds / 1e6 for name in MODULES]
axes.bar(places, counted, color=blue, label=say("counted", "contado"))
axes.plot(places, [row[3] for row in MODULES.values()], "D", color=orange,
          label=say("printed", "impresso"))  # fmt: skip
axes.set(xticks=places, xticklabels=[name[-2:] for name in MODULES], xlabel="inception",
         ylabel=say("multiply-adds ($10^6$)", "multiplicações e somas ($10^6$)"),
         title=say("GoogLeNet, table 1", "GoogLeNet, tabela 1"))  # fmt: skip
axes.legend()
visualization.in_language(figure, language)
plt.show()

# %% [markdown]
# ## Exercises
#
# Put your answers into the cell below: it says right, nearly, or what to look at again.
# Solutions are in the folder `solutions`.
#
# 1. Replace each 5x5 of inception 3a by two 3x3 of 32 filters. Count the weights behind
#    the reduction by hand. (This is what the second paper on inception did.)
# 2. GoogLeNet averages its last 7x7 maps where AlexNet has two dense layers. How many
#    parameters would a dense layer of 4,096 units on the unaveraged maps have?
# 3. Which share of the output of each module comes from the 1x1, the 3x3, the 5x5 and
#    the pooling? How does the share of the wide filters change from 3a to 5b, and why
#    might the authors have wanted that?

# %%
check("13.1", None)  # weights of the two 3x3, without biases
check("13.2", None)  # parameters of the dense layer
check("13.3", None)  # share of 3x3 and 5x5 together: (3a, 5b), 0 to 1
