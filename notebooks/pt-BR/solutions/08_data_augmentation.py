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

digits = load_digits()
images = (digits.images[..., None] / 16).astype("float32")


def realistic(shift=1 / 8, turn=12):
    return (
        keras.layers.RandomTranslation(shift, shift, fill_mode="constant"),
        keras.layers.RandomRotation(turn / 360, fill_mode="constant"),
        keras.layers.RandomZoom((-0.12, 0.12), fill_mode="constant"),
    )


def answers(change, seed, examples=10, copies=20, epochs=8):
    """True and predicted classes of the test digits."""
    random = np.random.default_rng(seed)
    few = np.concatenate(
        [
            random.permutation(np.flatnonzero(digits.target == c))[:examples]
            for c in range(10)
        ]
    )
    rest = np.setdiff1d(np.arange(len(images)), few)
    keras.utils.set_random_seed(seed)
    made = np.tile(images[few], (copies, 1, 1, 1))
    labels = np.tile(digits.target[few], copies)
    for layer in change:
        made = layer(made, training=True)
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
    model.fit(np.asarray(made), labels, batch_size=50, epochs=epochs, verbose=0)
    return digits.target[rest], model.predict(images[rest], verbose=0).argmax(axis=1)


def accuracy(*arguments, **options):
    true, predicted = answers(*arguments, **options)
    return np.mean(true == predicted)


# %% [markdown]
# **1.** Um dígito girado de 90 graus, ou meio fora da imagem, ninguém jamais vai
# testar: a rede se gasta com exemplos que não vêm, e 6 e 9 começam a se parecer.

# %%
mild, wild = (
    np.mean([accuracy(change, seed) for seed in range(2)])
    for change in (realistic(), realistic(0.5, 90))
)
print(f"mild {mild:.3f}, wild {wild:.3f}")
assert wild < mild

# %% [markdown]
# **2.** 0, 1 e 8 são quase a sua própria imagem no espelho; um 2 vira um S, perto do 5,
# e o 5 perto do 2; um 3 espelhado não é dígito. A rede tem de guardar duas formas para
# cada classe, e algumas ficam perto das de outra.

# %%
true, predicted = answers((keras.layers.RandomFlip("horizontal"),), seed=0)
confusion = np.zeros((10, 10), int)
np.add.at(confusion, (true, predicted), 1)
print(confusion)
plain = accuracy((), seed=0)
print(f"flipped {np.mean(true == predicted):.3f}, as they are {plain:.3f}")
assert np.mean(true == predicted) < plain + 0.005

# %% [markdown]
# **3.** Menos de um terço do que era com dez: mil dígitos de verdade já mostram como
# dígitos variam. O aumento de dados substitui exemplos que não se têm.

# %%
gain = {}
for examples, copies in ((10, 20), (100, 2)):
    pairs = [
        (
            accuracy(realistic(), seed, examples=examples, copies=copies),
            accuracy((), seed, examples=examples, copies=copies),
        )
        for seed in range(2)
    ]
    gain[examples] = 100 * np.mean([more - less for more, less in pairs])
    print(f"{examples} of each digit: {gain[examples]:+.1f} points")
assert gain[100] < gain[10]
