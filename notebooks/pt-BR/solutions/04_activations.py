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
# # Soluções do notebook 4, funções de ativação

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
# **1.** A regra da cadeia dá $1{,}7159\cdot\frac23\,(1-\tanh^2(2v/3))$. A segunda
# derivada é maior em $v = \pm 1$ (com dois algarismos), onde a função vale $\pm 1$: um
# neurônio que aprendeu o seu alvo fica na curva, não na ponta plana, e ainda pode ser
# corrigido.

# %%
by_hand = 1.7159 * 2 / 3 * (1 - np.tanh(2 * v / 3) ** 2)
np.testing.assert_allclose(slope_of(scaled_tanh), by_hand, atol=1e-6)

fine = np.linspace(0, 3, 30001)
slope = 1.7159 * 2 / 3 * (1 - np.tanh(2 * fine / 3) ** 2)
bend = fine[np.argmax(np.abs(np.gradient(slope, fine)))]
print(
    f"maior curvatura em v = {bend:.3f}, onde y = {1.7159 * np.tanh(2 * bend / 3):.3f}"
)
assert abs(bend - 1) < 0.02
assert check("04.1", bend)

# %% [markdown]
# **2.** $\frac{d}{dv}\ln(1+e^v) = \frac{e^v}{1+e^v} = \frac1{1+e^{-v}}$: a função
# logística.

# %%
np.testing.assert_allclose(slope_of("softplus"), 1 / (1 + np.exp(-v)), atol=1e-6)
assert check("04.2", "logistic")

# %% [markdown]
# **3.** Em $v = 0$ o produto $w\,\varphi'$ chega a 1 com $w = 4$. Mas então $v = 4y$, e
# mais quando várias entradas se somam: o campo deixa o 0, e a inclinação desaba mais
# depressa do que o peso cresce. O maior $w\,\varphi'(w)$ entre todos os pesos, para uma
# entrada 1, fica muito abaixo de 1.

# %%
w = np.linspace(0, 20, 20001)
y = 1 / (1 + np.exp(-w))
gain = w * y * (1 - y)
print(f"maior ganho {gain.max():.3f} em w = {w[np.argmax(gain)]:.2f}; "
      f"em w = 4: {gain[4000]:.3f}")  # fmt: skip
assert gain.max() < 0.25
assert check("04.3", 1 / 0.25)
