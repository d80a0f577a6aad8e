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
# # Solutions to notebook 4, activation functions

# %%
import keras
import numpy as np

from dlkeras.layers import scaled_tanh
from dlkeras.optimization import local_gradients
from dlkeras.testing.course import check

v = np.linspace(-6, 6, 240)


def slope_of(activation):
    neuron = keras.Sequential(
        [keras.layers.Input((1,)), keras.layers.Dense(1, activation)]
    )
    neuron.set_weights([np.ones((1, 1)), np.zeros(1)])
    ours = local_gradients(neuron, v[:, None], np.full((len(v), 1), 10.0))
    return (ours.local_gradients[0] / ours.errors)[:, 0]


# %% [markdown]
# **1.** The chain rule gives $1.7159\cdot\frac23\,(1-\tanh^2(2v/3))$. The second
# derivative is largest at $v = \pm 1$ (to two digits), where the function is $\pm 1$: a
# neuron that has learnt its target sits on the bend, not on the flat end, so that it
# can still be corrected.

# %%
by_hand = 1.7159 * 2 / 3 * (1 - np.tanh(2 * v / 3) ** 2)
np.testing.assert_allclose(slope_of(scaled_tanh), by_hand, atol=1e-6)

fine = np.linspace(0, 3, 30001)
slope = 1.7159 * 2 / 3 * (1 - np.tanh(2 * fine / 3) ** 2)
bend = fine[np.argmax(np.abs(np.gradient(slope, fine)))]
print(f"largest bend at v = {bend:.3f}, where y = {1.7159 * np.tanh(2 * bend / 3):.3f}")
assert abs(bend - 1) < 0.02
assert check("04.1", bend)

# %% [markdown]
# **2.** $\frac{d}{dv}\ln(1+e^v) = \frac{e^v}{1+e^v} = \frac1{1+e^{-v}}$: the logistic
# function.

# %%
np.testing.assert_allclose(slope_of("softplus"), 1 / (1 + np.exp(-v)), atol=1e-6)
assert check("04.2", "logistic")

# %% [markdown]
# **3.** At $v = 0$ the product $w\,\varphi'$ reaches 1 for $w = 4$. But then
# $v = 4y$ and more when several inputs add up: the field leaves 0, and the slope
# collapses faster than the weight grows. The largest $w\,\varphi'(w)$ over all weights,
# for an input of 1, stays far below 1.

# %%
w = np.linspace(0, 20, 20001)
y = 1 / (1 + np.exp(-w))
gain = w * y * (1 - y)
print(f"largest gain {gain.max():.3f} at w = {w[np.argmax(gain)]:.2f}; "
      f"at w = 4: {gain[4000]:.3f}")  # fmt: skip
assert gain.max() < 0.25
assert check("04.3", 1 / 0.25)
