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
# # Soluções do notebook 8, aumento de dados

# %%
import keras
import numpy as np
from sklearn.datasets import load_digits

from dlkeras.testing.course import check

digits = load_digits()
images = (digits.images[..., None] / 16).astype("float32")


enlarge = keras.layers.Resizing(32, 32, interpolation="bilinear")
count = keras.layers.AveragePooling2D(4)


def mover(shift=0.1, turn=15, seed=1):
    """Uma função que desloca, gira e amplia."""
    layers = (
        keras.layers.RandomTranslation(shift, shift, "constant", seed=seed),
        keras.layers.RandomRotation(turn / 360, "constant", seed=seed + 1),
        keras.layers.RandomZoom((-0.15, 0.15), None, "constant", seed=seed + 2),
    )

    def moved(batch):
        batch = enlarge(batch)
        for layer in layers:
            batch = layer(batch, training=True)
        return keras.ops.convert_to_numpy(count(batch))

    return moved


def answers(change, seed, examples=10, copies=10, test=images):
    """Classes certas e previstas dos dígitos que ficaram fora do treino."""
    random = np.random.default_rng(seed)
    few = np.concatenate(
        [
            random.permutation(np.flatnonzero(digits.target == c))[:examples]
            for c in range(10)
        ]
    )
    rest = np.setdiff1d(np.arange(len(images)), few)
    keras.utils.set_random_seed(seed)
    repeated = np.tile(images[few], (copies, 1, 1, 1))
    made = np.concatenate([repeated, change(repeated)])
    labels = np.tile(digits.target[few], 2 * copies)
    model = keras.Sequential(
        [
            keras.layers.Input((8, 8, 1)),
            keras.layers.Conv2D(16, 3, padding="same", activation="relu"),
            keras.layers.Conv2D(32, 3, padding="same", activation="relu"),
            keras.layers.MaxPooling2D(2),
            keras.layers.Flatten(),
            keras.layers.Dense(64, "relu"),
            keras.layers.Dense(10, "softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(made, labels, batch_size=50, epochs=8, verbose=0)
    return digits.target[rest], model.predict(test[rest], verbose=0).argmax(axis=1)


def accuracy(*arguments, **options):
    true, predicted = answers(*arguments, **options)
    return np.mean(true == predicted)


def unchanged(batch):
    return batch


# %% [markdown]
# **1.** Um dígito girado de 90 graus, ou meio fora da imagem, ninguém jamais vai
# testar: a rede se gasta com exemplos que não vêm.

# %%
mild, wild = (accuracy(change, 0) for change in (mover(), mover(0.5, 90)))
print(f"suave {mild:.3f}, exagerado {wild:.3f}")
assert wild < mild + 0.02
assert check("08.1", "yes" if wild > mild else "no")

# %% [markdown]
# **2.** 0, 1 e 8 são quase a sua própria imagem no espelho; um 2 vira um S, perto do 5,
# e o 5 perto do 2; um 3 espelhado não é dígito. A rede tem de guardar duas formas para
# cada classe, e algumas ficam perto das de outra. Nada se ganha com isso.

# %%
true, predicted = answers(lambda batch: batch[:, :, ::-1], seed=0)
confusion = np.zeros((10, 10), int)
np.add.at(confusion, (true, predicted), 1)
print(confusion)
plain = accuracy(unchanged, 0)
print(f"espelhados {np.mean(true == predicted):.3f}, como são {plain:.3f}")
assert np.mean(true == predicted) < plain + 0.02
means = [images[digits.target == c, ..., 0].mean(axis=0) for c in range(10)]
alike = [np.corrcoef(mean.ravel(), mean[:, ::-1].ravel())[0, 1] for mean in means]
assert check("08.2", sorted(np.argsort(alike)[-3:]))

# %% [markdown]
# **3.** Ainda rende: oitocentos dígitos centrados não mostram como é um movido. Mais do
# mesmo não substitui o tipo de mudança que virá.

# %%
test = mover(seed=7)(images)
many = {"examples": 80, "copies": 2, "test": test}
with_moved, without = accuracy(mover(), 0, **many), accuracy(unchanged, 0, **many)
print(
    f"80 de cada dígito, teste movido: {without:.3f} como são, {with_moved:.3f} movidos"
)
assert with_moved > without
assert check("08.3", "yes" if with_moved > without else "no")
