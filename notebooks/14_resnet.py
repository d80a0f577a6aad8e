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
# # 14. ResNet and residual learning
#
# **Why do deeper networks get worse, and how did a simple sum change that?**
#
# A deeper network should be at least as good as a shallow one: its extra layers could
# just pass on what they get. But layers find it hard to learn to do nothing, and plain
# networks get *worse* when they get deeper, on the training data, too. He and his
# colleagues made doing nothing the default: a shortcut carries the input past the
# layers, and these only learn what to add. With 152 layers they won the ImageNet
# challenge of 2015 with less than 3.6 % errors among the five best guesses. (He, Zhang,
# Ren and Sun, 2016.)

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display
from sklearn.datasets import load_digits, load_sample_image

from dlkeras import visualization
from dlkeras.architectures import (
    feature_extractor,
    resnet18,
    resnet20,
    resnet34,
    resnet50,
    summary_table,
)
from dlkeras.layers import ResidualBlock
from dlkeras.testing.course import check, compare, language, say

# %% [markdown]
# ## A residual block, by hand
#
# If the layers should model $h(\mathbf x)$, add the input to their output, and they
# must model $f(\mathbf x) = h(\mathbf x) - \mathbf x$ instead. The block of the paper
# is
#
# $$\mathbf y = \max\bigl(0,\; \mathbf x + N_2(\mathbf W_2 * \max(0, N_1(\mathbf W_1 *
# \mathbf x)))\bigr)$$
#
# with two 3x3 convolutions and the batch normalisation $N(v) = \gamma\,(v-\mu)/
# \sqrt{\sigma^2+\epsilon} + \beta$. Backward, the sum inside the outer $\max$ has an
# identity in its derivative: there the error passes whatever the weights are. The
# outer ReLU, however, lets it through only where that sum is positive.


# %%
def convolve(image, kernel):
    """3x3 with a ring of zeros; image (rows, columns, maps)."""
    padded = np.pad(image, ((1, 1), (1, 1), (0, 0)))
    fields = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(0, 1))
    return np.einsum("ijcab,abcm->ijm", fields, kernel)


def normalise(v, gamma, beta, mean, variance):
    return gamma * (v - mean) / np.sqrt(variance + 1e-5) + beta


random = np.random.default_rng(0)
block = ResidualBlock(4)
block.build((None, 6, 6, 4))
block.set_weights([np.abs(random.normal(size=w.shape)) for w in block.get_weights()])
parts = {w.path.split("/", 1)[-1]: keras.ops.convert_to_numpy(w) for w in block.weights}
image = random.normal(size=(6, 6, 4))


def normalisation(number):
    names = ("gamma", "beta", "moving_mean", "moving_variance")
    return [parts[f"normalization_{number}/{name}"] for name in names]


hidden = convolve(image, parts["convolution_1/kernel"])
hidden = np.maximum(0, normalise(hidden, *normalisation(1)))
added = normalise(convolve(hidden, parts["convolution_2/kernel"]), *normalisation(2))
y = np.maximum(0, image + added)
library = keras.ops.convert_to_numpy(block(image[None].astype("float32")))[0]
compare(library, y, rtol=1e-4, atol=1e-4)

# Doing nothing is one number away: with gamma_2 = 0 the block is its shortcut.
idle = ResidualBlock(4, zero_gamma=True)
positive = np.abs(image)[None].astype("float32")
compare(keras.ops.convert_to_numpy(idle(positive)), positive)
print("the block agrees, and does nothing where it should")

# %% [markdown]
# ## Where the error passes, and where it does not
#
# Let $\beta_2$ become -10, as one bad step can do. Every sum is then negative, the
# outer ReLU is shut, and the derivative is exactly 0: the shortcut does not help. With
# $\gamma_2 = 0$ the block is $\max(0, \mathbf x)$, which passes where $\mathbf x$ is
# positive. A year later the authors moved normalisation and ReLU *before* each
# convolution ("Identity mappings in deep residual networks", 2016). This pre-activation
# block is
#
# $$\mathbf y = \mathbf x + \mathbf W_2 * \max(0, N_2(\mathbf W_1 * \max(0,
# N_1(\mathbf x)))),$$
#
# with nothing behind the sum, and its derivative has an identity whatever happens to
# the weights.


# %%
def slopes(block, h=1e-3):
    """How much each output rises when all inputs rise by a little."""
    ends = [
        keras.ops.convert_to_numpy(block((image[None] + step).astype("float32")))
        for step in (-h, h)
    ]
    return (ends[1] - ends[0]) / (2 * h)


found = {}
for version in ("v1", "v2"):
    for name, value in (("beta", -10.0), ("gamma", 0.0)):
        block = ResidualBlock(4, version=version)
        block.build((None, 6, 6, 4))
        for weight in block.weights:
            if weight.path.endswith(f"normalization_2/{name}"):
                weight.assign(np.full(weight.shape, value))
        found[version, name] = slopes(block)
        print(f"{version}, {name} 2 = {value:5}: an error arrives at "
              f"{np.mean(found[version, name] != 0):.0%} of the inputs")  # fmt: skip

# %% tags=["check"]
assert (found["v1", "beta"] == 0).all()  # shut, shortcut or not
assert 0.3 < np.mean(found["v1", "gamma"] == 0) < 0.7  # max(0, x)
for name in ("beta", "gamma"):
    np.testing.assert_allclose(found["v2", name], 1, atol=1e-3)  # the identity

# %% [markdown]
# ## The paper's table 1, by hand
#
# Behind a 7x7 convolution with stride 2 and a pooling come four groups of blocks at 56,
# 28, 14 and 7 pixels. A basic block is two 3x3 convolutions; a bottleneck squeezes by a
# 1x1, works by a 3x3 and widens by a 1x1 to four times as many maps. The paper prints
# thousands of millions of multiply-adds: 1.8, 3.6, 3.8, 7.6 and 11.3.


# %%
def multiply_adds(counts, bottleneck):
    total, maps = 112**2 * 7 * 7 * 3 * 64, 64
    for group, (count, width, size) in enumerate(
        zip(counts, (64, 128, 256, 512), (56, 28, 14, 7), strict=True)
    ):
        out = 4 * width if bottleneck else width
        for number in range(count):
            if bottleneck:
                total += size**2 * (maps * width + 9 * width**2 + width * out)
            else:
                total += size**2 * (9 * maps * width + 9 * width**2)
            if maps != out and not (number or (group == 0 and not bottleneck)):
                total += size**2 * maps * out  # a 1x1 projection on the shortcut
            maps = out
    return total + maps * 1000


PRINTED = {
    18: ((2, 2, 2, 2), False, 1.8),
    34: ((3, 4, 6, 3), False, 3.6),
    50: ((3, 4, 6, 3), True, 3.8),
    101: ((3, 4, 23, 3), True, 7.6),
    152: ((3, 8, 36, 3), True, 11.3),
}
counted = {depth: multiply_adds(*row[:2]) for depth, row in PRINTED.items()}
networks, tables = {}, {}
for depth, build in ((18, resnet18), (34, resnet34), (50, resnet50)):
    networks[depth] = build(kernel_initializer="zeros")  # only its shapes matter here
    tables[depth] = summary_table(networks[depth])
for depth, (counts, _, printed) in PRINTED.items():
    print(
        f"ResNet-{depth}: blocks {counts}, {counted[depth] / 1e9:.2f} thousand million"
    )
    # The paper cuts a digit off here and rounds there.
    compare(printed, counted[depth] / 1e9, atol=0.1)
print(tables[18])

# %% tags=["check"]
for depth, table in tables.items():
    assert table.multiply_adds == counted[depth]

# %% [markdown]
# ResNet-18, drawn from the model: each block shows its two convolutions and, above
# them, its shortcut.

# %%
display(visualization.architecture_diagram(networks[18], language=language))

# %% [markdown]
# ## Deeper is worse, and with shortcuts it is not
#
# The paper's experiment in small: networks of 3x3 convolutions on real digits, 8 and 32
# layers deep, with shortcuts and without, all with batch normalisation. The shortcut of
# `resnet20` and its kin has no parameter, so each pair has the same weights. We watch
# the *training* loss: this is not about overfitting.

# %%
digits = load_digits()
resize = keras.layers.Resizing(16, 16, interpolation="bilinear")
small = (digits.images[..., None] / 8 - 1).astype("float32")
x = keras.ops.convert_to_numpy(resize(small))
test = random.permutation(len(x)) < 360
labels = digits.target


def tower(n, shortcuts, width=8):
    """6n + 2 layers: n blocks of each of three widths."""
    keras.utils.set_random_seed(1)
    inputs = keras.layers.Input((16, 16, 1))
    values = keras.layers.Conv2D(width, 3, padding="same", activation="relu")(inputs)
    for stage in range(3):
        for number in range(n):
            filters, stride = width * 2**stage, 2 if stage and not number else 1
            if shortcuts:
                values = ResidualBlock(filters, stride, shortcut="A")(values)
                continue
            for step in (stride, 1):
                values = keras.layers.Conv2D(
                    filters, 3, step, padding="same", use_bias=False,
                    kernel_initializer="he_normal",
                )(values)  # fmt: skip
                values = keras.layers.BatchNormalization(momentum=0.9)(values)
                values = keras.layers.ReLU()(values)
    values = keras.layers.GlobalAveragePooling2D()(values)
    return keras.Model(inputs, keras.layers.Dense(10, "softmax")(values))


curves, sizes = {}, {}
for n, shortcuts in ((1, False), (5, False), (1, True), (5, True)):
    model = tower(n, shortcuts)
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9),
                  "sparse_categorical_crossentropy")  # fmt: skip
    name = f"{6 * n + 2} " + ("+" if shortcuts else "-")
    history = model.fit(x[~test], labels[~test], batch_size=64, epochs=4, verbose=0)
    curves[name] = history.history["loss"]
    sizes[name] = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    print(f"{6 * n + 2:2} layers, {'with' if shortcuts else 'without'} shortcuts: "
          f"{sizes[name]:,} parameters, loss {curves[name][-1]:.3f}")  # fmt: skip

# %% tags=["check"]
assert sizes["32 -"] == sizes["32 +"] and sizes["8 -"] == sizes["8 +"]
assert curves["32 -"][-1] > 1.5 * curves["8 -"][-1]
assert curves["32 +"][-1] < curves["32 -"][-1] / 2

# %% [markdown]
# ## What speaks for a class
#
# ResNet ends in a mean over all pixels and one dense layer, so the score of class $c$
# is $y^c = \sum_k w^c_k \frac1{hw}\sum_{ij} A^k_{ij} + b^c$. Its slope with respect to
# every pixel of map $k$ is $w^c_k/(hw)$. That is Grad-CAM's weight, and its map is
# $\max(0, \sum_k w^c_k A^k/(hw))$: read off the weights, no backward pass needed.

# %%
keras.utils.set_random_seed(0)
network = resnet20((16, 16, 1), 10, width_multiplier=0.5)
network.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy",
                metrics=["accuracy"])  # fmt: skip
network.fit(x[~test], labels[~test], batch_size=32, epochs=5, verbose=0)
_, accuracy = network.evaluate(x[test], labels[test], verbose=0)
print(f"ResNet-20 of half width: test accuracy {accuracy:.3f}")

shown = x[np.flatnonzero(test)[:3]]
maps = keras.ops.convert_to_numpy(feature_extractor(network, "stage3")(shown))
weights, _ = network.layers[-1].get_weights()
ours, classes = visualization.grad_cam_map(network, shown, "stage3")
by_hand = np.einsum("nijk,kn->nij", maps, weights[:, classes]) / maps[0, ..., 0].size
compare(ours, np.maximum(by_hand, 0), atol=1e-5)
print("Grad-CAM agrees with the weights of the last layer")

# %% tags=["check"]
assert accuracy > 0.9

# %% [markdown]
# ## The pictures
#
# What the deeper maps make of a digit, and what speaks for its class.

# %%
stages = feature_extractor(network, ["stage1", "stage2", "stage3"])
values = [keras.ops.convert_to_numpy(maps)[0] for maps in stages(shown[:1])]
display(
    visualization.feature_maps(
        shown[0], dict(zip(("stage1", "stage2", "stage3"), values, strict=True)),
        language=language,
    )
)  # fmt: skip
display(visualization.grad_cam(network, shown, "stage2", language=language))

# %% [markdown]
# What one neuron of ResNet-18 sees of a photograph of 224x224 pixels: already in the
# third stage, 16 times smaller than the image, almost everything.

# %%
photo = load_sample_image("china.jpg")[60:360, 100:400].astype("float32") / 255
photo = keras.ops.convert_to_numpy(keras.layers.Resizing(224, 224)(photo))
display(visualization.receptive_field(
    networks[18], ["stage1", "stage2", "stage3"], photo, language=language
))  # fmt: skip

# %% [markdown]
# And the experiment. Without shortcuts 32 layers learn worse than 8; with them, better.

# %%
blue, orange = "#0072B2", "#D55E00"
figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.4), layout="constrained")
for name, curve in curves.items():
    depth, kind = name.split()
    colour, style = (blue if kind == "+" else orange), ("-" if depth == "32" else "--")
    words = say("shortcuts", "atalhos") if kind == "+" else say("plain", "sem atalhos")
    left.semilogy(range(1, len(curve) + 1), curve, "o" + style, color=colour,
                  label=f"{depth} {say('layers', 'camadas')}, {words}")  # fmt: skip
left.set(xlabel=say("epoch", "época"), ylabel=say("training loss", "custo no treino"),
         xticks=range(1, len(curve) + 1), title=say("Deeper is worse, or not",
                                       "Mais profunda é pior, ou não"))  # fmt: skip
left.legend()
left.grid(alpha=0.3)
depths = list(PRINTED)
right.bar(range(5), [counted[d] / 1e9 for d in depths], color=blue,
          label=say("counted", "contado"))  # fmt: skip
right.plot(range(5), [PRINTED[d][2] for d in depths], "D", color=orange,
           label=say("printed", "impresso"))  # fmt: skip
right.set(xticks=range(5), xticklabels=[f"ResNet-{d}" for d in depths],
          ylabel=say("multiply-adds ($10^9$)", "multiplicações e somas ($10^9$)"),
          title=say("Table 1 of the paper", "Tabela 1 do artigo"))  # fmt: skip
right.legend()
visualization.in_language(figure, language)
plt.show()

# %% [markdown]
# ## Exercises
#
# Put your answers into the cell below: it says right, nearly, or what to look at again.
# Solutions are in the folder `solutions`.
#
# 1. The CIFAR networks have $6n+2$ layers with 16, 32 and 64 filters. Count the weights
#    of the convolutions and the dense layer for $n = 3$ by hand, and compare with
#    `resnet20` (which also has normalisations). The paper prints 0.27 million.
# 2. Why is ResNet-50 hardly more work than ResNet-34? Compare the multiply-adds of a
#    basic block with 256 maps to those of a bottleneck with 256 maps in and out.
# 3. Multiply the second kernel of every block of an untrained ResNet-20 by 0.01. What
#    happens to the answer of the network when you then remove one block? Why does batch
#    normalisation spoil the experiment, and `normalization=None` not?

# %%
check("14.1", None)  # weights of convolutions and dense layer
check("14.2", None)  # basic block over bottleneck
check("14.3", None)  # factor on the normalised output when the kernel is 0.01 times
