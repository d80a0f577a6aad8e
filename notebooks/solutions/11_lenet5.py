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
# # Solutions to notebook 11, LeNet-5

# %%
import keras
import numpy as np
from sklearn.datasets import load_digits

from dlkeras.architectures import lenet5, summary_table
from dlkeras.testing.course import check

digits = load_digits()
resize = keras.layers.Resizing(32, 32, interpolation="bilinear")
small = (digits.images[..., None] / 16).astype("float32")
x = 1.275 * keras.ops.convert_to_numpy(resize(small)) - 0.1
y = digits.target
test = np.random.default_rng(0).permutation(len(y)) < 360

# %% [markdown]
# **1.** C5 has 78 % of the parameters, C3 58 % of the multiply-adds. To make it
# smaller, shrink where maps meet units; to make it faster, where many pixels meet many
# maps.

# %%
table = summary_table(lenet5())
heaviest = max(table, key=lambda row: row.parameters)
busiest = max(table, key=lambda row: row.multiply_adds)
print(f"{heaviest.layer}: {heaviest.parameters / table.parameters:.0%} of parameters")
print(f"{busiest.layer}: {busiest.multiply_adds / table.multiply_adds:.0%} of work")
assert (heaviest.layer, busiest.layer) == ("C5", "C3")
assert check("11.1", (heaviest.layer, busiest.layer))


# %% [markdown]
# **2.** Both read almost all digits. Over three seeds the two means differ by no more
# than a few spreads: this data set is too easy to tell them apart.


# %%
def with_max_pooling():
    """LeNet-5's sizes with ReLU and max pooling."""
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input((32, 32, 1)),
            layers.Conv2D(6, 5, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(16, 5, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(120, 5, activation="relu"),
            layers.Flatten(),
            layers.Dense(84, "relu"),
            layers.Dense(10, "softmax"),
        ]
    )


found = {}
for name, build in (("tanh, mean", lenet5), ("ReLU, max", with_max_pooling)):
    found[name] = []
    for seed in range(3):
        keras.utils.set_random_seed(seed)
        model = build()
        model.compile(
            keras.optimizers.Adam(2e-3),
            "sparse_categorical_crossentropy",
            metrics=["accuracy"],
        )
        model.fit(x[~test], y[~test], batch_size=32, epochs=6, verbose=0)
        found[name].append(model.evaluate(x[test], y[test], verbose=0)[1])
    print(f"{name}: {np.mean(found[name]):.4f} +- {np.std(found[name], ddof=1):.4f}")
assert all(np.mean(values) > 0.94 for values in found.values())
means = [np.mean(values) for values in found.values()]
spread = max(np.std(values, ddof=1) for values in found.values())
larger = abs(means[0] - means[1]) > 4 * spread  # three seeds know no better
assert check("11.2", "yes" if larger else "no")

# %% [markdown]
# **3.** $40 \to 36 \to 18 \to 14 \to 7 \to 3$ and $48 \to 5$: C5 gives 3x5 maps, one
# answer for each 32x32 window at steps of 4 pixels. So one pass reads a whole line of
# text: LeCun's *space displacement neural network*.

# %%
features = lenet5((40, 48, 1), num_classes=0)
print("output:", features.output.shape)
assert features.output.shape == (None, 3, 5, 120)
assert check("11.3", features.output.shape[1:])
