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
# # Solutions to notebook 6, vanishing and exploding gradients

# %%
import keras
import numpy as np
from sklearn.datasets import load_digits

from dlkeras.callbacks import ActivationMonitor, GradientNormMonitor
from dlkeras.testing.course import check

digits = load_digits()
x = ((digits.data - digits.data.mean()) / digits.data.std()).astype("float32")[:640]
y = digits.target[:640]


def watched(activation, initializer, depth):
    """Ten steps of a network, with both monitors."""
    keras.utils.set_random_seed(0)
    hidden = [
        keras.layers.Dense(
            100,
            activation,
            kernel_initializer=keras.initializers.get(initializer).clone(),
        )
        for _ in range(depth)
    ]
    model = keras.Sequential(
        [keras.layers.Input((64,)), *hidden, keras.layers.Dense(10)]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.01), loss)
    gradients = GradientNormMonitor(frequency=1, on_finding=None)
    activations = ActivationMonitor(x[:256], on_finding=None)
    model.fit(x, y, batch_size=64, verbose=0, callbacks=[gradients, activations])
    kernels = gradients.history.gradient_norm[0, ::2]
    return kernels[0] / kernels[depth - 1], gradients.findings, activations.history


# %% [markdown]
# **1.** The finding speaks when a layer has less than a thousandth of another's
# gradient: $(1/4)^{k} < 10^{-3}$ from $k = 5$ steps on, so at about six hidden layers.
# That two hidden layers learn and ten do not is no accident.

# %%
named = {}
for depth in (3, 5, 6, 8):
    ratio, findings, _ = watched("sigmoid", "glorot_uniform", depth)
    named[depth] = any(f.name == "vanishing_gradient" for f in findings)
    print(f"{depth} layers: ratio {ratio:.1e}, (1/4)^{depth - 1} = "
          f"{0.25 ** (depth - 1):.1e}, named: {named[depth]}")  # fmt: skip
assert not named[3] and named[8]
assert check("06.1", 1 + next(k for k in range(20) if 0.25**k < 1e-3))

# %% [markdown]
# **2.** A kernel's gradient is $\mathbf y_{l-1}\boldsymbol\delta_l^T$. For $s < 1$ the
# outputs fade by $s$ a layer from the left and the local gradients by $s$ a layer from
# the right: their product is the same everywhere, and too small everywhere. Both
# signals come through near $s = 1$ alone: a standard deviation of 0.1 is
# $\sqrt{2/(100+100)}$, Xavier's.

# %%
lost = {}
for s in (0.5, 0.8, 1.0, 1.25, 2.0, 10.0):
    initializer = keras.initializers.RandomNormal(stddev=0.1 * s)
    ratio, _, history = watched("tanh", initializer, 20)
    spread = history.std[0, 19] / history.std[0, 0]  # last over first
    lost[s] = abs(np.log(ratio)) + abs(np.log(spread))
    print(f"s = {s:5}: gradients, first over last {ratio:.1e}; outputs, last over "
          f"first {spread:.1e}")  # fmt: skip
    assert s > 0.8 or (0.5 < ratio < 2 and spread < 2 * s**19)
assert min(lost, key=lambda s: lost[s]) in (1.0, 1.25)
assert check("06.2", "Xavier")

# %% [markdown]
# **3.** ReLU passes half of the power, and Glorot's weights do not make up for it: each
# layer shrinks the signal by $\sqrt{1/2} = 0.71$, twenty by about a thousand.

# %%
_, _, history = watched("relu", "glorot_uniform", 20)
spread = history.std[0, :20]
factor = (spread[-1] / spread[0]) ** (1 / 19)
print(f"factor a layer {factor:.3f}, nineteen times {spread[-1] / spread[0]:.1e}")
assert abs(factor - np.sqrt(0.5)) < 0.06
assert check("06.3", factor)
