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
# # 7. Dropout
#
# **Why does a network become better when you switch off half of it, at random?**
#
# At every training step, every neuron may be absent, with probability $p$: its output
# is zero in this step, and it may be back in the next. Nobody can rely on a neighbour,
# so each has to be useful by itself. After training, nobody is dropped any more. The
# course promises 1 to 2 % more accuracy, which is more than it sounds: from 95 % to 97
# % means 3 errors in place of 5, or 40 % fewer. You will see the algorithm in one line,
# the detail that the course keeps for later, what it does to a cost that you can write
# down, and then, with seeds and spreads, what it brings here.

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from dlkeras.optimization import QuadraticSurface
from dlkeras.testing.course import check, compare, language, say
from dlkeras.visualization import in_language

# %% [markdown]
# ## The algorithm, by hand
#
# Draw a mask $\mathbf r$ of zeros and ones, one with probability $1-p$, and multiply:
# $\mathbf r \odot \mathbf x$. The technical detail: on average only the share $1-p$ of
# a sum arrives, so that after training every neuron would hear too much. Dividing by
# $1-p$ during training puts that right,
#
# $$\tilde{\mathbf x} = \frac{\mathbf r \odot \mathbf x}{1-p}, \qquad
# \mathrm E\,\tilde x_i = x_i, \qquad
# \mathrm{Var}\,\tilde x_i = \frac{p}{1-p}\,x_i^2,$$
#
# and at test time the layer does nothing at all.

# %%
random = np.random.default_rng(0)
p = 0.5
x = random.normal(size=100)
masks = random.random((20_000, 100)) >= p
dropped = masks * x / (1 - p)

layer = keras.layers.Dropout(p, seed=1)
batch = np.tile(x, (20_000, 1))
library = keras.ops.convert_to_numpy(layer(batch, training=True))
off = library == 0
print(f"dropped by hand {1 - masks.mean():.4f}, by Keras {off.mean():.4f}")

# %% tags=["check"]
np.testing.assert_allclose(dropped.mean(axis=0), x, atol=0.1)
np.testing.assert_allclose(dropped.var(axis=0), p / (1 - p) * x**2, rtol=0.1, atol=1e-3)
kept = (batch / (1 - p))[~off]  # all others are 0
np.testing.assert_allclose(library[~off], kept, rtol=1e-5)
np.testing.assert_allclose(off.mean(axis=0), p, atol=0.02)
np.testing.assert_allclose(library.mean(axis=0), x, atol=0.1)
still = keras.ops.convert_to_numpy(layer(batch[:2], training=False))
np.testing.assert_allclose(still, batch[:2], rtol=1e-6)

# %% [markdown]
# ## A thousand networks in one
#
# Four inputs have 16 masks, each a network of its own with the same weights. For a
# linear neuron the mean of all 16 answers, each weighted by its probability, is exactly
# the answer of the whole network: dropout trains an ensemble, and testing without it
# asks the ensemble at the price of one.

# %%
w, four = random.normal(size=4), random.normal(size=4)
all_masks = (np.arange(16)[:, None] >> np.arange(4)) & 1
for rate in (0.2, 0.5):
    chance = np.prod(np.where(all_masks, 1 - rate, rate), axis=1)
    ensemble = chance @ (all_masks * four / (1 - rate) @ w)
    compare(ensemble, w @ four)
    print(
        f"p = {rate}: the mean of 16 networks {ensemble:.6f}, the whole {w @ four:.6f}"
    )

# %% [markdown]
# ## What it does to a cost
#
# For a linear neuron the expectation over the masks can be written down. Mean and
# variance from above give
#
# $$\mathrm E\,\tfrac12(d - \mathbf w^T\tilde{\mathbf x})^2 =
# \tfrac12(d - \mathbf w^T\mathbf x)^2 + \frac{p}{2(1-p)}\sum_i w_i^2 x_i^2:$$
#
# the old cost, plus a price on each weight that is the higher the stronger its input.
# In the matrices of notebook 3, $\mathbf R$ becomes $\mathbf R + \frac{p}{1-p}\,
# \mathrm{diag}(\mathbf R)$: two correlated inputs have to share the work.

# %%
inputs = random.normal(size=(500, 2)) @ [[1.0, 0.9], [0.0, 0.44]]  # correlated
d = inputs @ [2.0, 0.0]  # the first alone would do
R, cross = inputs.T @ inputs / 500, inputs.T @ d / 500
by_hand = np.linalg.solve(R + p / (1 - p) * np.diag(np.diag(R)), cross)

copies = np.tile(inputs, (1000, 1))
thinned = keras.ops.convert_to_numpy(layer(copies, training=True))
surface = QuadraticSurface.from_data(thinned, np.tile(d, 1000))
print("without", np.linalg.solve(R, cross).round(3), " with dropout", by_hand.round(3),
      " measured", surface.minimizer.round(3))  # fmt: skip

# %% tags=["check"]
np.testing.assert_allclose(surface.minimizer, by_hand, atol=0.01)
assert by_hand[1] > 0.5  # the second input, superfluous before, takes its share

# %% [markdown]
# ## On real digits, with few examples
#
# Five of each digit to learn from, all the rest to test: such a training set is soon
# learnt by heart, and what counts is what was learnt of it. A convolutional network
# with and without dropout, over seeds that draw the weights and the examples, compared
# pairwise after 20, 40 and 60 epochs.

# %%
EXAMPLES, EPOCHS, SEEDS = 5, 60, 6
digits = load_digits()
images = (digits.images[..., None] / 16).astype("float32")  # (1797, 8, 8, 1)


def score(rate, seed):
    """Test accuracy after each twenty epochs, with a share `rate` dropped."""
    random = np.random.default_rng(seed)
    few = np.concatenate(
        [
            random.permutation(np.flatnonzero(digits.target == c))[:EXAMPLES]
            for c in range(10)
        ]
    )
    rest = np.setdiff1d(np.arange(len(images)), few)
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((8, 8, 1)),
            layers.Conv2D(16, 3, padding="same", activation="relu"),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dropout(rate),
            layers.Dense(128, "relu"),
            layers.Dropout(rate),
            layers.Dense(10, "softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    found = []
    for _ in range(3):
        model.fit(images[few], digits.target[few], batch_size=10, epochs=EPOCHS // 3,
                  verbose=0)  # fmt: skip
        found.append(model.evaluate(images[rest], digits.target[rest], batch_size=600,
                                    verbose=0)[1])  # fmt: skip
    return found


rates = (0.0, 0.5)
scores = {
    rate: 100 * np.array([score(rate, seed) for seed in range(SEEDS)]) for rate in rates
}
gain = scores[rates[-1]] - scores[rates[0]]
for rate, values in scores.items():
    print(f"p = {rate}: {values.mean(axis=0).round(1)} %, "
          f"spread over seeds {values.std(axis=0, ddof=1).round(1)}")  # fmt: skip
print(f"gain in points of {rates[-1]} over {rates[0]}: {gain.mean(axis=0).round(2)}, "
      f"spread {gain.std(axis=0, ddof=1).round(2)}")  # fmt: skip

# %% tags=["check"]
assert gain[:, 0].mean() < 0  # thinned networks learn more slowly
assert gain[:, -1].mean() > 0.2  # and in the end better

# %% [markdown]
# Two things are worth a second look. Dropout is *behind* at first: each step trains
# only a part of the network. Given time it overtakes, and ends about one point ahead,
# the lower end of what the course promises. And the spread over seeds is several times
# that gain: if you compare one run with one other run, you see luck. The comparison is
# fair because it is made in pairs, with the same examples.

# %% [markdown]
# ## The picture
#
# Left, each seed with and without dropout. Right, the gain as training goes on, seed by
# seed, and its mean.

# %%
blue, orange, grey = "#0072B2", "#D55E00", "#666666"
figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.4), layout="constrained")
ends = np.stack([scores[rate][:, -1] for rate in rates])
left.plot(
    range(len(rates)), ends, "o-", color="0.75", markerfacecolor=blue, markersize=9
)
for place, values in enumerate(ends):
    left.hlines(values.mean(), place - 0.2, place + 0.2, color=orange, linewidth=3)
    summary = f"{values.mean():.1f} ± {values.std(ddof=1):.1f}"
    left.annotate(summary, (place, ends.max()), xytext=(0, 10), ha="center",
                  textcoords="offset points", color=orange)  # fmt: skip
left.set(xticks=range(len(rates)), xticklabels=[f"$p$ = {rate}" for rate in rates],
         xlim=(-0.5, len(rates) - 0.5), ylim=(None, ends.max() + 1.2),
         ylabel=say("test accuracy (%)", "acurácia no teste (%)"),
         title=say("50 digits to learn from", "50 dígitos para aprender"))  # fmt: skip

epochs = EPOCHS // 3 * np.arange(1, 4)
right.plot(epochs, gain.T, "o-", color="0.8", markersize=4)
right.errorbar(epochs, gain.mean(axis=0), gain.std(axis=0, ddof=1), fmt="s-",
               color=blue, capsize=5, linewidth=2)  # fmt: skip
right.axhline(0, color=grey, linestyle=":")
right.set(xticks=epochs, xlabel=say("epoch", "época"),
          ylabel=say("gain (points)", "ganho (pontos)"),
          title=say("Slower, then better", "Mais lento, depois melhor"))  # fmt: skip
in_language(figure, language)
plt.show()

# %% [markdown]
# ## Exercises
#
# Put your answers into the cell below: it says right, nearly, or what to look at again.
# Solutions are in the folder `solutions`.
#
# 1. Try the rates 0, 0.3, 0.6 and 0.95. Where is the best, and what happens at the end?
# 2. Leave dropout on while testing, `model(images, training=True)`, and let thirty
#    thinned networks answer each image. Is the spread of their answers larger where the
#    mean answer is wrong?
# 3. Srivastava's paper does not divide during training. What must it do after training
#    instead? Show with a sum of fifty terms that the expectation is the same.

# %%
check("07.1", None)  # the worst of the four rates
check("07.2", None)  # the spread where wrong, divided by that where right
check("07.3", None)  # what multiplies the weights after training, p = 0.3
