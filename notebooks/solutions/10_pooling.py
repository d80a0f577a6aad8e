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
# # Solutions to notebook 10, pooling

# %%
import keras
import numpy as np
from sklearn.datasets import load_digits

from dlkeras.testing.course import check

small = (load_digits().images[..., None] / 16).astype("float32")
resize = keras.layers.Resizing(32, 32, interpolation="bilinear")
images = keras.ops.convert_to_numpy(resize(small))


def pooled(layer, batch):
    return keras.ops.convert_to_numpy(layer(batch.astype("float32")))


# %% [markdown]
# **1.** A pixel in an even column stays in its window when it moves one to the right;
# one in an odd column enters the next window. Half of the places each (32 of 56 here,
# because from the last column there is nowhere to go).

# %%
places = np.eye(64).reshape(64, 8, 8, 1)  # image k: pixel k alone
places = places[np.arange(64) % 8 < 7]  # those that can move one to the right
moved = np.roll(places, 1, axis=2)
pool = keras.layers.MaxPooling2D(2)
same = (pooled(pool, places) == pooled(pool, moved)).all(axis=(1, 2, 3))
column = np.arange(64)[np.arange(64) % 8 < 7] % 8
assert (same == (column % 2 == 0)).all()
assert check("10.1", same.sum())
print(f"{same.sum()} of {len(same)} places do not notice the shift")

# %% [markdown]
# **2.** Smaller, though not by much: neighbouring windows share a column, so that less
# that is new enters a window. Krizhevsky found such overlap to help a little against
# overfitting.

# %%
room = np.pad(images, ((0, 0), (0, 0), (4, 4), (0, 0)))
change = {}
for size in (2, 3):
    pool = keras.layers.MaxPooling2D(size, strides=2, padding="same")
    still = pooled(pool, room)
    moved = [pooled(pool, np.roll(room, shift, axis=2)) for shift in (1, 2, 3)]
    change[size] = np.array(
        [np.linalg.norm(x - still) / np.linalg.norm(still) for x in moved]
    )
    print(f"{size}x{size} with stride 2: change {change[size].round(3)}")
assert (change[3] < change[2]).all()
assert check("10.2", change[3][0] / change[2][0])

# %% [markdown]
# **3.** A rolled image gives rolled maps, and a mean does not care about the order. The
# price: the network cannot tell *where* anything is.

# %%
random = np.random.default_rng(0)
kernel = random.normal(size=(3, 3, 1, 4)).astype("float32")
batch = images[:50].astype("float32")


def answer(x):
    wrapped = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="wrap")
    maps = keras.ops.relu(keras.ops.conv(wrapped, kernel, padding="valid"))
    return keras.ops.convert_to_numpy(keras.ops.mean(maps, axis=(1, 2)))


rolled = np.roll(batch, (5, -9), axis=(1, 2))
np.testing.assert_allclose(answer(rolled), answer(batch), atol=1e-5)
maps = np.zeros((1, 7, 7, 1024), "float32")
assert check("10.3", pooled(keras.layers.GlobalAveragePooling2D(), maps).size)
