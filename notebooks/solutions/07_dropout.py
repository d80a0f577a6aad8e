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
# # Solutions to notebook 7, dropout

# %%
import keras
import numpy as np
from sklearn.datasets import load_digits

from dlkeras.testing.course import check

digits = load_digits()
images = (digits.images[..., None] / 16).astype("float32")


def trained(rate, seed, epochs=60, examples=10):
    """A network that has learnt ten of each digit, and the digits it has not seen."""
    random = np.random.default_rng(seed)
    few = np.concatenate(
        [
            random.permutation(np.flatnonzero(digits.target == c))[:examples]
            for c in range(10)
        ]
    )
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
    order = np.concatenate([random.permutation(few) for _ in range(10)])
    model.fit(images[order], digits.target[order], batch_size=50, epochs=epochs // 10,
              verbose=0)  # fmt: skip
    return model, np.setdiff1d(np.arange(len(images)), few)


# %% [markdown]
# **1.** Nothing at 0, most in a broad middle, and a loss at 0.95, where too little of
# the network is left to learn at all.

# %%
found = {}
for rate in (0.0, 0.3, 0.6, 0.95):
    model, rest = trained(rate, seed=0)
    found[rate] = model.evaluate(images[rest], digits.target[rest], verbose=0)[1]
    print(f"p = {rate}: test accuracy {found[rate]:.3f}")
assert found[0.95] < max(found.values())
assert check("07.1", min(found, key=lambda rate: found[rate]))

# %% [markdown]
# **2.** Thirty thinned networks answer each image. Where they disagree the network does
# not know, and there the wrong answers are: the spread is larger for them.

# %%
model, rest = trained(0.5, seed=0)
answers = np.stack(
    [keras.ops.convert_to_numpy(model(images[rest], training=True)) for _ in range(30)]
)
mean = answers.mean(axis=0)
wrong = mean.argmax(axis=1) != digits.target[rest]
spread = answers.std(axis=0).max(axis=1)
print(
    f"spread where right {spread[~wrong].mean():.3f}, wrong {spread[wrong].mean():.3f}"
)
assert spread[wrong].mean() > 1.2 * spread[~wrong].mean()
assert check("07.2", spread[wrong].mean() / spread[~wrong].mean())

# %% [markdown]
# **3.** With $\mathbf r\odot\mathbf x$ and no division, a sum after training would be
# $1/(1-p)$ times too large; Srivastava multiplies the weights by $1-p$ instead. For the
# same expectation it does not matter which, but dividing during training leaves the
# network that is used untouched.

# %%
random = np.random.default_rng(0)
p, w, x = 0.3, random.normal(size=50), random.normal(size=50)
masks = random.random((200_000, 50)) >= p
paper = (masks @ (x * w)).mean()
np.testing.assert_allclose(paper, (1 - p) * (w @ x), atol=0.05)
np.testing.assert_allclose(paper / (1 - p), w @ x, atol=0.05)
assert check("07.3", 1 - p)
print(f"mean in training {paper:.3f}, (1 - p) w.x = {(1 - p) * (w @ x):.3f}")
