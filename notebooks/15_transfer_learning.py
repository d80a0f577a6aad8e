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
# # 15. Transfer learning
#
# **How well can you do with four labels for each class?**
#
# The lower layers of a network that has learnt one thing see strokes and edges, and
# strokes and edges are useful for other things, too. So find a network that solves a
# similar task, keep its lower layers, and train only what must be new. The course's
# example goes from 100 kinds of pictures to a few kinds of vehicle. Here a LeNet-5 that
# knows the 60,000 digits of MNIST learns the digits of other writers, scanned by
# another machine, from one, four and fifteen examples of each.

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from dlkeras.architectures import feature_extractor, lenet5
from dlkeras.testing.course import check, compare, language, say
from dlkeras.transfer import freeze, replace_head, unfreeze
from dlkeras.visualization import in_language

# %% [markdown]
# ## Source and target
#
# `lenet5(weights="mnist")` comes with the library. The target is scikit-learn's set of
# 1,797 digits: other writers, 8x8 pixels. Source and target have the same ten classes,
# which is more than transfer needs; we throw the old head away all the same, as you
# must when the classes are new. As in MNIST a digit fills 20 of the 32 pixels, ink is
# 1.175 and ground -0.1: hand the source what it knows.

# %%
digits = load_digits()
enlarge = keras.layers.Resizing(20, 20, interpolation="bilinear")
large = enlarge((digits.images[..., None] / 16).astype("float32"))
large = np.pad(keras.ops.convert_to_numpy(large), ((0, 0), (6, 6), (6, 6), (0, 0)))
x, y = 1.275 * large - 0.1, digits.target
held = np.random.default_rng(0).permutation(len(x)) < 600
x, x_test, y, y_test = x[~held], x[held], y[~held], y[held]
classes = 10

source = lenet5(weights="mnist")
learnt = source.get_weights()
print(f"{source.count_params():,} parameters learnt elsewhere; "
      f"{len(x)} digits to learn from, {len(x_test)} to test")  # fmt: skip

# %% [markdown]
# ## A frozen network and a new head, by hand
#
# Frozen, the network is a fixed function $\mathbf f(\mathbf x)$, and the new head is
# one layer, $\mathbf p = \mathrm{softmax}(\mathbf W^T\mathbf f + \mathbf b)$. The
# cross-entropy $E = -\ln p_d$ has the slope $\partial E/\partial v_k = p_k - d_k$, so
# the delta rule for the head is
#
# $$\Delta\mathbf W = \eta\,\mathbf f\,(\mathbf d - \mathbf p)^T,\qquad
# \Delta\mathbf b = \eta\,(\mathbf d - \mathbf p),$$
#
# and below it nothing changes at all.

# %%
few = np.arange(10)
network = replace_head(source, classes)
frozen = freeze(network, until="F6")
print("frozen:", frozen, " trainable:", [w.path for w in network.trainable_weights])

f = keras.ops.convert_to_numpy(feature_extractor(network, "F6")(x[few]))
W, b = network.get_layer("classifier").get_weights()
v = f @ W + b
p = np.exp(v - v.max(axis=1, keepdims=True))
p /= p.sum(axis=1, keepdims=True)
library = keras.ops.convert_to_numpy(network(x[few]))
compare(p, library, atol=1e-5)

d, eta = np.eye(classes)[y[few]], 0.1
network.compile(keras.optimizers.SGD(eta), "sparse_categorical_crossentropy")
network.train_on_batch(x[few], y[few])
W_new, b_new = network.get_layer("classifier").get_weights()
compare(W_new, W + eta * f.T @ (d - p) / len(few), atol=1e-5)
compare(b_new, b + eta * np.mean(d - p, axis=0), atol=1e-5)
for before, after in zip(learnt[:-2], source.get_weights()[:-2], strict=True):
    compare(before, after)  # the lower layers have not moved
print("one step of the head agrees, and the frozen layers are bit for bit the same")

# %% [markdown]
# ## How many labels does it take?
#
# Three ways to learn the target from $k$ labelled examples of each class: *frozen*,
# only the head learns; *lower layers frozen*, C1 and C3 stay and the rest goes on
# learning (figure 11-4 of the course); *from scratch*, from random weights. Each is
# done three times, with other examples and other random numbers.
#
# A head alone is one layer and takes ten times the rate of a whole network; at the same
# rate it would still be far from its best after these few steps, and *frozen* would
# look worse than it is.


# %%
def beginner(way, seed):
    """The network as it is before it has seen any of the target."""
    keras.utils.set_random_seed(seed)
    if way == "scratch":
        return lenet5(num_classes=classes)
    source.set_weights(learnt)
    return replace_head(source, classes)


def learner(way):
    """A network that learns in this way, and its optimizer's first state."""
    unfreeze(source)
    model, adam = beginner(way, 0), keras.optimizers.Adam(1e-3)
    if way == "frozen":
        freeze(model, until="F6")
        adam = keras.optimizers.Adam(1e-2)
    if way == "lower":
        freeze(model, until="stage2")
    model.compile(adam, "sparse_categorical_crossentropy", metrics=["accuracy"])
    adam.build(model.trainable_variables)
    return model, [keras.ops.convert_to_numpy(v) for v in adam.variables]


def examples(k, seed):
    """k of each class, repeated to fill 15 batches of 20."""
    random = np.random.default_rng(seed)
    chosen = np.concatenate(
        [random.permutation(np.flatnonzero(y == c))[:k] for c in range(classes)]
    )
    repeats = max(1, 300 // len(chosen))
    return np.concatenate([random.permutation(chosen) for _ in range(repeats)])


ways, labels, seeds = ("frozen", "lower", "scratch"), (1, 4, 15), range(3)
scores = {way: np.empty((len(labels), len(seeds))) for way in ways}
for way in ways:
    model, blank = learner(way)  # compiled once, and reset for each experiment
    for row, k in enumerate(labels):
        for seed in seeds:
            model.set_weights(beginner(way, seed).get_weights())
            for variable, value in zip(model.optimizer.variables, blank, strict=True):
                variable.assign(value)
            chosen = examples(k, seed)
            model.fit(x[chosen], y[chosen], batch_size=20, epochs=6, verbose=0)
            scores[way][row, seed] = model.evaluate(
                x_test, y_test, batch_size=600, verbose=0
            )[1]
        print(f"{way:8} {k:3} labels a class: {scores[way][row].mean():.3f} "
              f"+- {scores[way][row].std():.3f}")  # fmt: skip

gain = {way: 100 * (scores[way] - scores["scratch"]) for way in ways[:-1]}
for row, k in enumerate(labels):
    print(f"{k:3} labels, points against scratch:", ", ".join(
        f"{way} {values[row].mean():+.1f} +- {values[row].std():.1f}"
        for way, values in gain.items()))  # fmt: skip

# %% tags=["check"]
# Measured over three seeds: +25, +11, +7 points frozen; +13, +7, +6 with C1 and C3.
assert (gain["frozen"].mean(axis=1) > (15, 7, 4)).all()
assert (gain["lower"].mean(axis=1) > (4, 3, 2)).all()
assert np.diff(gain["frozen"].mean(axis=1)).max() < 0  # fewer labels, more to gain

# %% [markdown]
# Transfer wins, and the more the fewer labels there are: some 25 points with one label
# a class, 11 with four, 7 with fifteen. The whole network frozen is better here than
# its lower layers alone, because the task is so much alike that the upper layers fit,
# too. With other classes they would not, and C1 and C3 are what is worth keeping: after
# the old head, the layers to give up first are the upper ones.
#
# Transfer is no law, though. It depends on what the source has to give: a LeNet-5 that
# has seen 600 digits from 0 to 4 does not help with 5 to 9 at all. The library's page
# on transfer learning has that and larger experiments.

# %% [markdown]
# ## The picture

# %%
blue, orange, grey = "#0072B2", "#D55E00", "#666666"
figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.4), layout="constrained",
                                     width_ratios=[1.3, 1])  # fmt: skip
words = {"frozen": say("frozen", "congelada"),
         "lower": say("lower layers frozen", "camadas de baixo congeladas"),
         "scratch": say("from scratch", "do zero")}  # fmt: skip
styles = (("s-", blue), ("o-", orange), ("^--", grey))
for way, (style, colour) in zip(ways, styles, strict=True):
    left.errorbar(labels, scores[way].mean(axis=1), scores[way].std(axis=1),
                  fmt=style, color=colour, capsize=4, label=words[way])  # fmt: skip
left.set(xscale="log", xticks=labels, xticklabels=labels,
         title=say("digits of other writers", "dígitos de outras pessoas"),
         xlabel=say("labels a class", "rótulos por classe"),
         ylabel=say("test accuracy", "acurácia no teste"))  # fmt: skip
left.minorticks_off()
left.grid(alpha=0.3)
left.legend()

kernel = learnt[0]  # C1 as the source task has left it: what is reused
tiles = np.concatenate([kernel[..., m].mean(axis=-1) for m in range(6)], axis=1)
limit = np.abs(tiles).max()
image = right.imshow(tiles.reshape(5, 2, 15).transpose(1, 0, 2).reshape(10, 15),
                     cmap="PuOr", vmin=-limit, vmax=limit)  # fmt: skip
for place in (4.5, 9.5):
    right.axvline(place, color="white", linewidth=3)
right.axhline(4.5, color="white", linewidth=3)
right.set(xticks=[], yticks=[],
          title=say("C1: filters to reuse", "C1: filtros a reaproveitar"))  # fmt: skip
figure.colorbar(image, ax=right, label="$w$", shrink=0.8)
in_language(figure, language)
plt.show()

# %% [markdown]
# ## Exercises
#
# Put your answers into the cell below: it says right, nearly, or what to look at again.
# Solutions are in the folder `solutions`.
#
# 1. Thaw the whole network: no `freeze`, and
#    `layerwise_learning_rates(model, adam, decay=0.8)` from `dlkeras.transfer`, which
#    gives lower layers smaller steps. With four labels a class, is it closer to
#    *frozen* or to *lower layers frozen*? How many parameters learn in each?
# 2. Source and target have the same ten classes. How many digits does the source read
#    with its old head, without a single label? From how many labels on is a new head
#    better?
# 3. A network that has learnt nothing can be frozen, too. Freeze a *random* LeNet-5 and
#    train only its head. How far does that get, and what does it say about how much the
#    frozen source network really contributed?

# %%
check("15.1", None)  # parameters that learn: (frozen, lower layers frozen, thawed)
check("15.2", None)  # accuracy of the old head, 0 to 1
check("15.3", None)  # accuracy of the frozen random network, 0 to 1
