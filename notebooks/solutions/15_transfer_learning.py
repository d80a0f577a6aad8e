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
from dlkeras.testing.course import check
from dlkeras.transfer import freeze, layerwise_learning_rates, replace_head, unfreeze

digits = load_digits()
enlarge = keras.layers.Resizing(20, 20, interpolation="bilinear")
large = enlarge((digits.images[..., None] / 16).astype("float32"))
large = np.pad(keras.ops.convert_to_numpy(large), ((0, 0), (6, 6), (6, 6), (0, 0)))
x, y = 1.275 * large - 0.1, digits.target
test = np.random.default_rng(0).permutation(len(x)) < 600


def trained(model, k, adam):
    """Train on k labels of each class, each way in 90 steps; return test accuracy."""
    random = np.random.default_rng(0)
    few = np.concatenate(
        [random.permutation(np.flatnonzero(~test & (y == c)))[:k] for c in range(10)]
    )
    few = np.concatenate([random.permutation(few) for _ in range(300 // len(few))])
    model.compile(adam, "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x[few], y[few], batch_size=20, epochs=6, verbose=0)
    return model.evaluate(x[test], y[test], batch_size=600, verbose=0)[1]


source = lenet5(weights="mnist")
learnt = source.get_weights()

# %% [markdown]
# **1.** Closer to *lower layers frozen*, which it is but for C1 and C3: they have 2,572
# of 61,706 parameters, and small steps do not move them far. *Frozen* trains 850.

# %%
found, learning = {}, {}
for until in ("F6", "stage2", None):
    source.set_weights(learnt)
    unfreeze(source)
    keras.utils.set_random_seed(0)
    model = replace_head(source, 10)
    if until:
        freeze(model, until)
    adam = keras.optimizers.Adam(1e-2 if until == "F6" else 1e-3)
    if until is None:
        adam = layerwise_learning_rates(model, adam, decay=0.8)
    free = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    learning[until] = free
    found[until] = trained(model, 4, adam)
    print(f"frozen until {until}: {free:,} learn, accuracy {found[until]:.3f}")
assert abs(found["stage2"] - found[None]) < abs(found["F6"] - found[None])
assert check("15.1", learning)

# %% [markdown]
# **2.** It reads more than nine of ten without a label: the classes are the same, only
# the writers differ. A new head needs about four labels a class to do better. Throw a
# head away only if its questions are no longer yours.

# %%
source.set_weights(learnt)
old_head = np.mean(source.predict(x[test], verbose=0).argmax(axis=1) == y[test])
print(f"old head, no label: {old_head:.3f}; new head, four labels: {found['F6']:.3f}")
assert 0.85 < old_head < found["F6"]
assert check("15.2", old_head)

# %% [markdown]
# **3.** Better than guessing (0.1) by far: random filters are filters, and on pictures
# as simple as these the head can do much with them. A fair account of what the source
# has brought compares with this, not with guessing. What is left is still large.

# %%
keras.utils.set_random_seed(2)
model = replace_head(lenet5(), 10)
freeze(model, until="F6")
random_body = trained(model, 4, keras.optimizers.Adam(1e-2))
print(f"frozen random network: {random_body:.3f}; frozen source: {found['F6']:.3f}")
assert 0.3 < random_body < found["F6"] - 0.05
assert check("15.3", random_body)
