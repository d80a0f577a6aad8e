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
# # Solutions to notebook 14, ResNet

# %%
import keras
import numpy as np

from dlkeras.architectures import resnet20
from dlkeras.layers import BottleneckBlock, ResidualBlock
from dlkeras.testing.course import check

# %% [markdown]
# **1.** The first convolution has $9\cdot16\cdot c$ weights for $c$ channels; each
# later one $9$ times maps in times maps out; the shortcuts have none.

# %%
weights, maps = 9 * 3 * 16, 16
for width in (16, 32, 64):
    for _ in range(2 * 3):
        weights += 9 * maps * width
        maps = width
weights += 64 * 10 + 10
model = resnet20()
normalisation = sum(
    int(np.prod(w.shape))
    for w in model.trainable_weights
    if w.name in ("gamma", "beta")
)
total = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
print(f"{weights:,} + {normalisation:,} of the normalisations = {total:,}")
assert weights + normalisation == total and round(total / 1e6, 2) == 0.27
assert check("14.1", weights)

# %% [markdown]
# **2.** For each pixel a basic block on 256 maps takes $2\cdot9\cdot256^2 =
# 1\,179\,648$ multiply-adds, the bottleneck $256\cdot64 + 9\cdot64^2 + 64\cdot256 =
# 69\,632$: seventeen times fewer. So it can afford four times as many maps.

# %%
work = {}
for name, block in (("basic", ResidualBlock(256)), ("bottleneck", BottleneckBlock(64))):
    block.build((None, 14, 14, 256))
    work[name] = sum(int(np.prod(c.kernel.shape)) for c in block.convolutions)
print(work, f"ratio {work['basic'] / work['bottleneck']:.1f}")
assert work == {"basic": 1_179_648, "bottleneck": 69_632}
assert check("14.2", work["basic"] / work["bottleneck"])

# %% [markdown]
# **3.** Each block adds almost nothing, so the network is nearly its chain of
# shortcuts, and a block more or less (here: its second kernel at zero) hardly matters:
# residual networks behave like many shallow ones at once. Batch normalisation would
# scale the small kernel up again: it divides by the standard deviation of whatever
# comes.

# %%
change = {}
images = np.random.default_rng(0).normal(size=(16, 32, 32, 3)).astype("float32")
for factor in (1.0, 0.01):
    keras.utils.set_random_seed(0)
    model = resnet20(normalization=None, classifier_activation=None)
    blocks = [layer for layer in model.layers if isinstance(layer, ResidualBlock)]
    for block in blocks:
        kernel = block.convolutions[1].kernel
        kernel.assign(factor * keras.ops.convert_to_numpy(kernel))
    whole = keras.ops.convert_to_numpy(model(images))
    removed = blocks[4].convolutions[1].kernel
    removed.assign(np.zeros(removed.shape))
    without = keras.ops.convert_to_numpy(model(images))
    change[factor] = np.linalg.norm(without - whole) / np.linalg.norm(whole)
    print(f"kernels times {factor}: the answer changes by {change[factor]:.1%}")
assert change[0.01] < 0.05 < change[1.0]
maps = np.random.default_rng(1).normal(size=(8, 6, 6, 4)).astype("float32")
normalised = keras.layers.BatchNormalization()
small, large = (
    np.std(keras.ops.convert_to_numpy(normalised(scale * maps, training=True)))
    for scale in (1.0, 100.0)
)
assert check("14.3", small / large)
