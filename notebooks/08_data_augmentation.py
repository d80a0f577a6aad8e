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
# # 8. Data augmentation
#
# **You have ten examples of each digit. Can you make more out of them?**
#
# A seven shifted by a pixel is still a seven, and nobody has to write it: new training
# examples can be made from old ones. The trick is to make *realistic* ones; a person
# should not be able to tell which were made. White noise is not such a change, and
# adding it does not help. You will shift by hand, see why noise teaches nothing
# about sevens, and measure both on real digits.

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display
from sklearn.datasets import load_digits, load_sample_image

from dlkeras import visualization
from dlkeras.optimization import QuadraticSurface
from dlkeras.testing.course import check, language, say

# %% [markdown]
# ## Shift and flip, by hand
#
# A shift by one pixel moves every row and fills the gap with ground; a flip reverses
# the columns. Keras's layers draw such changes at random; with both ends of their range
# equal they do exactly the one we want.

# %%
digits = load_digits()
images = (digits.images[..., None] / 16).astype("float32")  # (1797, 8, 8, 1)

down = np.zeros_like(images)
down[:, 1:] = images[:, :-1]
by_one = keras.layers.RandomTranslation((1 / 8, 1 / 8), (0, 0), fill_mode="constant")
shifted = keras.ops.convert_to_numpy(by_one(images[:20], training=True))

flip = keras.layers.RandomFlip("horizontal", seed=0)
flipped = keras.ops.convert_to_numpy(flip(images[:20], training=True))
print("the layers shift and flip as we do, and leave test images alone")

# %% tags=["check"]
np.testing.assert_allclose(shifted, down[:20], atol=1e-5)
for new, old in zip(flipped, images[:20], strict=True):
    assert np.allclose(new, old) or np.allclose(new, old[:, ::-1])
np.testing.assert_array_equal(flip(images[:20], training=False), images[:20])

# %% [markdown]
# ## Why white noise teaches nothing about the digits
#
# Take a linear neuron with the cost $\tfrac12(d - \mathbf w^T\mathbf x)^2$ and add
# noise $\mathbf n$ of variance $\sigma^2$ to the input. Averaged over the noise,
#
# $$\mathrm E\,\tfrac12\bigl(d - \mathbf w^T(\mathbf x + \mathbf n)\bigr)^2 =
# \tfrac12(d - \mathbf w^T\mathbf x)^2 + \tfrac{\sigma^2}{2}\lVert\mathbf w\rVert^2,$$
#
# because the mixed term averages to zero and the square of $\mathbf w^T\mathbf n$ to
# $\sigma^2\lVert\mathbf w\rVert^2$. That is the old cost plus weight decay: noise says
# "keep the weights small", and nothing about what a seven may look like. The minimum
# moves from $\mathbf R^{-1}\mathbf p$ to $(\mathbf R + \sigma^2\mathbf I)^{-1}
# \mathbf p$.

# %%
random = np.random.default_rng(0)
x = random.normal(size=(400, 3)) @ [[1, 0.5, 0], [0, 1, 0.3], [0, 0, 1]]
d = x @ [2.0, -1.0, 0.5] + 0.1 * random.normal(size=400)
sigma, copies = 0.7, 2000
R, p = x.T @ x / 400, x.T @ d / 400
with_decay = np.linalg.solve(R + sigma**2 * np.eye(3), p)

noisy = np.tile(x, (copies, 1))
noisy += sigma * random.normal(size=noisy.shape)
surface = QuadraticSurface.from_data(noisy, np.tile(d, copies))
print("plain", np.linalg.solve(R, p).round(3), " noisy copies",
      surface.minimizer.round(3), " weight decay", with_decay.round(3))  # fmt: skip

# %% tags=["check"]
np.testing.assert_allclose(surface.minimizer, with_decay, atol=0.01)

# %% [markdown]
# ## The gallery
#
# A flower, and a digit, in new versions: shifted, turned, enlarged, in another light,
# and with white noise. A flipped flower is a flower; a flipped 3 is no digit.

# %%
keras.utils.set_random_seed(1)
layers = {
    say("shift", "deslocar"): keras.layers.RandomTranslation(0.12, 0.12, "constant"),
    say("turn", "girar"): keras.layers.RandomRotation(15 / 360, "constant"),
    say("zoom", "ampliar"): keras.layers.RandomZoom((-0.2, 0.2), None, "constant"),
    say("contrast", "contraste"): keras.layers.RandomContrast(0.6, value_range=(0, 1)),
    say("flip", "espelhar"): keras.layers.RandomFlip("horizontal"),
    say("noise", "ruído"): keras.layers.GaussianNoise(0.25),
}
flower = load_sample_image("flower.jpg")[60:380, 160:480].astype("float32") / 255
flower = keras.ops.convert_to_numpy(keras.layers.Resizing(96, 96)(flower))
three = np.kron(images[3], np.ones((12, 12, 1))).repeat(3, axis=-1).astype("float32")
originals = np.stack([flower, three])
variants = np.stack(
    [
        np.clip(keras.ops.convert_to_numpy(layer(originals, training=True)), 0, 1)
        for layer in layers.values()
    ],
    axis=1,
)
display(visualization.augmentation_grid(originals, variants, captions=list(layers),
                                        language=language))  # fmt: skip

# %% [markdown]
# ## What helps, measured
#
# Ten examples of each digit to learn from. Each is used twenty times: as it is; ten
# times with white noise; or ten times moved, that is shifted, turned and zoomed a
# little. The number of training steps is the same. The network then reads digits it has
# never seen: as they were collected, centred and upright, and moved. Everything is
# repeated over seeds, with other examples, and compared pairwise.
#
# The digits were made by counting ink in 4x4 blocks of 32x32 pixels, so we move them
# where there is room: enlarged to 32x32, and counted again.

# %%
EXAMPLES, COPIES, SEEDS = 10, 10, 4
enlarge = keras.layers.Resizing(32, 32, interpolation="bilinear")
movements = (
    keras.layers.RandomTranslation(0.1, 0.1, "constant", seed=1),
    keras.layers.RandomRotation(15 / 360, "constant", seed=2),
    keras.layers.RandomZoom((-0.15, 0.15), None, "constant", seed=3),
)
count = keras.layers.AveragePooling2D(4)
white = keras.layers.GaussianNoise(0.3, seed=4)


def moved(batch):
    batch = enlarge(batch)
    for layer in movements:
        batch = layer(batch, training=True)
    return keras.ops.convert_to_numpy(count(batch))


def noisy(batch):
    return keras.ops.convert_to_numpy(white(batch, training=True))


changes = {"as it is": lambda batch: batch, "noise": noisy, "moved": moved}
tests = {"centred": images, "moved": moved(images)}


def score(change, seed):
    """Accuracy on both tests after training on few examples and changed copies."""
    random = np.random.default_rng(seed)
    few = np.concatenate(
        [
            random.permutation(np.flatnonzero(digits.target == c))[:EXAMPLES]
            for c in range(10)
        ]
    )
    rest = np.setdiff1d(np.arange(len(images)), few)
    keras.utils.set_random_seed(seed)
    copies = np.tile(images[few], (COPIES, 1, 1, 1))
    made = np.concatenate([copies, change(copies)])
    labels = np.tile(digits.target[few], 2 * COPIES)
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
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(made, labels, batch_size=50, epochs=8, verbose=0)
    return [
        100 * model.evaluate(x[rest], digits.target[rest], batch_size=600, verbose=0)[1]
        for x in tests.values()
    ]


scores = {
    name: np.array([score(change, seed) for seed in range(SEEDS)])
    for name, change in changes.items()
}
gains = {name: scores[name] - scores["as it is"] for name in ("noise", "moved")}
for column, test in enumerate(tests):
    print(f"read {test} digits:")
    for name, values in scores.items():
        values = values[:, column]
        print(f"  trained {name:9} {values.mean():.1f} % +- {values.std(ddof=1):.1f}")
    for name, values in gains.items():
        values = values[:, column]
        print(f"  {name} gains {values.mean():+.1f} points +- {values.std(ddof=1):.1f}")

# %% tags=["check"]
assert gains["moved"][:, 1].mean() > 3  # tolerant to what it has been shown
assert gains["moved"][:, 1].mean() > gains["noise"][:, 1].mean() + 3
assert gains["noise"][:, 0].mean() < 1  # noise does not help

# %% [markdown]
# ## The picture
#
# One line for each seed. Left the digits as they were collected: someone has centred
# them already, so that there is little for augmentation to teach. Right the moved ones:
# the network reads what it has learnt to tolerate, and noise has not prepared it.

# %%
blue, orange, grey = "#0072B2", "#D55E00", "#666666"
words = [say("as they are", "como são"), say("white noise", "ruído branco"),
         say("moved", "movidos")]  # fmt: skip
titles = [say("reading centred digits", "leitura de dígitos centrados"),
          say("reading moved digits", "leitura de dígitos movidos")]  # fmt: skip
figure, panels = plt.subplots(1, 2, figsize=(12, 4.4), layout="constrained")
for column, (axes, title) in enumerate(zip(panels, titles, strict=True)):
    table = np.stack([values[:, column] for values in scores.values()])
    axes.plot(range(3), table, color="0.85", zorder=0)
    for place, colour in enumerate((grey, orange, blue)):
        mean = table[place].mean()
        axes.plot(np.full(SEEDS, place), table[place], "o", color=colour, alpha=0.7)
        axes.hlines(mean, place - 0.2, place + 0.2, color=colour, linewidth=3)
        axes.annotate(f"{mean:.1f}", (place + 0.23, mean), va="center", color=colour)
    axes.set(xticks=range(3), xticklabels=words, xlim=(-0.5, 2.6), title=title,
             xlabel=say("trained with copies", "treino com cópias"),
             ylabel=say("test accuracy (%)", "acurácia no teste (%)"))  # fmt: skip
visualization.in_language(figure, language)
plt.show()

# %% [markdown]
# ## Exercises
#
# Put your answers into the cell below: it says right, nearly, or what to look at again.
# Solutions are in the folder `solutions`.
#
# 1. Too much of a good thing: raise the shift to half of the image and the turn to 90
#    degrees. What happens to the accuracy on centred digits?
# 2. Flip the digits from left to right, too: add `keras.layers.RandomFlip("horizontal",
#    seed=5)` to the movements. Predict which classes are confused, then look: before it
#    returns, let `score` print `sklearn.metrics.confusion_matrix(digits.target[rest],
#    model.predict(images[rest], verbose=0).argmax(axis=1))` (`import sklearn.metrics`).
# 3. The same network with 80 examples of each digit: how much does augmentation gain on
#    moved digits now? More examples of the same kind, or other kinds of examples?

# %%
check("08.1", None)  # is it better than with mild moves? "yes" or "no"
check("08.2", None)  # the three digits that are nearly their own mirror image
check("08.3", None)  # does it still gain? "yes" or "no"
