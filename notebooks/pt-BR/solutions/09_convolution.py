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
# # Soluções do notebook 9, convolução

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
# **1.** $g_x$ e $g_y$ são as inclinações do brilho; o seu comprimento mostra bordas de
# todas as direções. Uma área lisa, por mais clara que seja, dá zero.

# %%
grey = load_sample_image("china.jpg")[60:360, 80:480].mean(-1, keepdims=True) / 255
sobel = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], float)
g = convolved(grey, np.stack([sobel, sobel.T], -1)[:, :, None])
edges = np.hypot(g[..., 0], g[..., 1])
flat = convolved(np.full((9, 9, 1), 0.8), np.stack([sobel, sobel.T], -1)[:, :, None])
np.testing.assert_allclose(flat, 0, atol=1e-12)
sky, palace = edges[:40].mean(), edges[150:].mean()
print(f"borda média no céu {sky:.3f}, em volta do palácio {palace:.3f}")
assert palace > 2 * sky
step = np.repeat([0.0, 0, 1, 1], 3).reshape(4, 3).T[..., None]
assert check("09.1", convolved(step, sobel[..., None, None]).max())

# %% [markdown]
# **2.** $2\cdot64\,(9\cdot64+1) = 73\,856$ contra $64\,(25\cdot64+1) = 102\,464$: 28 %
# a menos, e uma ativação no meio, de modo que duas camadas podem dizer o que uma não
# pode.

# %%
maps = keras.layers.Input((None, None, 64))
two = keras.Sequential([maps, keras.layers.Conv2D(64, 3), keras.layers.Conv2D(64, 3)])
one = keras.Sequential([maps, keras.layers.Conv2D(64, 5)])
print(f"duas 3x3: {two.count_params():,}   uma 5x5: {one.count_params():,}")
assert (two.count_params(), one.count_params()) == (73_856, 102_464)
assert check("09.2", (two.count_params(), one.count_params()))

# %% [markdown]
# **3.** Com `np.correlate`: o que a aprendizagem profunda chama de convolução é uma
# correlação. Para a rede não faz diferença: ela aprende o filtro de um jeito ou de
# outro.

# %%
random = np.random.default_rng(0)
row, line = random.normal(size=20), random.normal(size=7)
ours = convolved(row[None, :, None], line[None, :, None, None]).ravel()
np.testing.assert_allclose(ours, np.correlate(row, line, "valid"), atol=1e-12)
assert not np.allclose(ours, np.convolve(row, line, "valid"))
assert check("09.3", np.correlate.__name__)
