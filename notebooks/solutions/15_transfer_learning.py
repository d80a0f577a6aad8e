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
# # Solutions to notebook 15, transfer learning

# %%
import keras
import numpy as np
from sklearn.datasets import load_digits

from dlkeras.architectures import lenet5
from dlkeras.transfer import freeze, replace_head, unfreeze

digits = load_digits()
resize = keras.layers.Resizing(32, 32, interpolation="bilinear")
small = (digits.images[..., None] / 8 - 1).astype("float32")
x, y = keras.ops.convert_to_numpy(resize(small)), digits.target % 5
high = digits.target >= 5
test = np.random.default_rng(0).permutation(len(x)) < 600


def trained(model, chosen, epochs=6, rate=1e-3):
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy",
                  metrics=["accuracy"])  # fmt: skip
    model.fit(x[chosen], y[chosen], batch_size=20, epochs=epochs, verbose=0)
    return model


def accuracy(model, mine):
    return model.evaluate(x[mine], y[mine], batch_size=500, verbose=0)[1]


keras.utils.set_random_seed(0)
source = trained(
    lenet5(num_classes=5, activation="relu"), np.flatnonzero(~high & ~test)
)
learnt = source.get_weights()
random = np.random.default_rng(0)
few = np.concatenate(
    [random.permutation(np.flatnonzero(high & ~test & (y == c)))[:4] for c in range(5)]
)
few = np.concatenate([random.permutation(few) for _ in range(15)])

# %% [markdown]
# **1.** C1 has 156 of 61,281 parameters: freezing it changes next to nothing, and the
# result is that of the thawed network.

# %%
found = {}
for until in ("F6", "stage1", None):
    source.set_weights(learnt)
    unfreeze(source)
    keras.utils.set_random_seed(1)
    model = replace_head(source, 5)
    if until:
        freeze(model, until)
    learning = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    rate = 1e-2 if until == "F6" else 1e-3  # a head alone
    found[until] = accuracy(trained(model, few, rate=rate), high & test)
    print(f"frozen until {until}: {learning:,} learn, accuracy {found[until]:.3f}")
assert abs(found["stage1"] - found[None]) < 0.1

# %% [markdown]
# **2.** The old head still asks the old questions, but the layers below now answer
# others: on its own digits the network has become much worse.

# %%
before = learnt[:-2]
now = source.get_weights()[:-2]  # shared with the thawed network, and changed by it
source.set_weights(learnt)
source.compile(metrics=["accuracy"], loss="sparse_categorical_crossentropy")
knew = accuracy(source, ~high & test)
source.set_weights([*now, *learnt[-2:]])
knows = accuracy(source, ~high & test)
print(f"digits 0-4: {knew:.3f} before, {knows:.3f} after learning 5-9")
assert knows < knew

# %% [markdown]
# **3.** Better than guessing (0.2) by far: random filters are filters, and on pictures
# as simple as these the head can do much with them. A fair account of what the source
# task has brought compares with this, not with guessing, and here it says: nothing.
# 600 pictures of five shapes have taught the upper layers no more about the other five
# than chance gave to the random ones.

# %%
scores = {}
for name in ("random", "source"):
    keras.utils.set_random_seed(2)
    body = lenet5(num_classes=5, activation="relu")
    if name == "source":
        body.set_weights(learnt)
    model = replace_head(body, 5)
    freeze(model, until="F6")
    scores[name] = accuracy(trained(model, few, rate=1e-2), high & test)
    print(f"frozen {name} network: {scores[name]:.3f}")
assert scores["random"] > 0.3
