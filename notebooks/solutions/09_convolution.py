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
# # Solutions to notebook 9, convolution

# %%
import keras
import numpy as np
from sklearn.datasets import load_sample_image

from dlkeras.testing.course import check


def convolved(image, kernel, **arguments):
    layer = keras.layers.Conv2D(
        kernel.shape[-1], kernel.shape[:2], use_bias=False, dtype="float64", **arguments
    )
    layer.build((None, *image.shape))
    layer.set_weights([kernel])
    return keras.ops.convert_to_numpy(layer(image[None]))[0]


# %% [markdown]
# **1.** $g_x$ and $g_y$ are the slopes of the brightness; their length shows edges of
# every direction. A flat area, however bright, gives zero.

# %%
grey = load_sample_image("china.jpg")[60:360, 80:480].mean(-1, keepdims=True) / 255
sobel = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], float)
g = convolved(grey, np.stack([sobel, sobel.T], -1)[:, :, None])
edges = np.hypot(g[..., 0], g[..., 1])
flat = convolved(np.full((9, 9, 1), 0.8), np.stack([sobel, sobel.T], -1)[:, :, None])
np.testing.assert_allclose(flat, 0, atol=1e-12)
sky, palace = edges[:40].mean(), edges[150:].mean()
print(f"mean edge in the sky {sky:.3f}, around the palace {palace:.3f}")
assert palace > 2 * sky
step = np.repeat([0.0, 0, 1, 1], 3).reshape(4, 3).T[..., None]
assert check("09.1", convolved(step, sobel[..., None, None]).max())

# %% [markdown]
# **2.** $2\cdot64\,(9\cdot64+1) = 73\,856$ against $64\,(25\cdot64+1) = 102\,464$: 28 %
# fewer, and an activation in between, so that two layers can say what one cannot.

# %%
maps = keras.layers.Input((None, None, 64))
two = keras.Sequential([maps, keras.layers.Conv2D(64, 3), keras.layers.Conv2D(64, 3)])
one = keras.Sequential([maps, keras.layers.Conv2D(64, 5)])
print(f"two 3x3: {two.count_params():,}   one 5x5: {one.count_params():,}")
assert (two.count_params(), one.count_params()) == (73_856, 102_464)
assert check("09.2", (two.count_params(), one.count_params()))

# %% [markdown]
# **3.** With `np.correlate`: what deep learning calls convolution is a correlation. It
# makes no difference to a network, which learns the filter either way round.

# %%
random = np.random.default_rng(0)
row, line = random.normal(size=20), random.normal(size=7)
ours = convolved(row[None, :, None], line[None, :, None, None]).ravel()
np.testing.assert_allclose(ours, np.correlate(row, line, "valid"), atol=1e-12)
assert not np.allclose(ours, np.convolve(row, line, "valid"))
assert check("09.3", np.correlate.__name__)
