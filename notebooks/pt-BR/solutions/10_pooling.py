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
# # Soluções do notebook 10, pooling

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
# **1.** Um pixel numa coluna par continua na sua janela ao andar um para a direita; um
# numa coluna ímpar entra na janela seguinte. Metade dos lugares para cada um (32 de 56
# aqui, porque da última coluna não se anda).

# %%
places = np.eye(64).reshape(64, 8, 8, 1)  # imagem k: só o pixel k
places = places[np.arange(64) % 8 < 7]  # os que podem andar um para a direita
moved = np.roll(places, 1, axis=2)
pool = keras.layers.MaxPooling2D(2)
same = (pooled(pool, places) == pooled(pool, moved)).all(axis=(1, 2, 3))
column = np.arange(64)[np.arange(64) % 8 < 7] % 8
assert (same == (column % 2 == 0)).all()
assert check("10.1", same.sum())
print(f"{same.sum()} de {len(same)} lugares não notam o deslocamento")

# %% [markdown]
# **2.** Menor, embora não muito: janelas vizinhas têm uma coluna em comum, e entra
# menos novidade em cada uma. Krizhevsky observou que essa sobreposição ajuda um pouco
# contra o sobreajuste.

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
    print(f"{size}x{size} com passo 2: mudança {change[size].round(3)}")
assert (change[3] < change[2]).all()
assert check("10.2", change[3][0] / change[2][0])

# %% [markdown]
# **3.** Uma imagem rolada dá mapas rolados, e uma média não liga para a ordem. O preço:
# a rede não sabe dizer *onde* está coisa alguma.

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
