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
# # Soluções do notebook 5, retropropagação

# %%
import keras
import numpy as np

from dlkeras.optimization import local_gradients
from dlkeras.testing.course import check

x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], float)


def network(*layers, seed=4):
    model = keras.Sequential([keras.layers.Input((2,)), *layers])
    random = np.random.default_rng(seed)
    model.set_weights([random.normal(size=w.shape) for w in model.get_weights()])
    return model


# %% [markdown]
# **1.** Só muda a $\varphi'$ do neurônio de saída, de $y(1-y)$ para $1-y^2$.

# %%
d = np.array([[-1], [1], [1], [-1]], float)
model = network(keras.layers.Dense(3, "tanh"), keras.layers.Dense(1, "tanh"))
W1, b1, W2, b2 = (w.astype(float) for w in model.get_weights())
y1 = np.tanh(x @ W1 + b1)
y2 = np.tanh(y1 @ W2 + b2)
delta2 = (d - y2) * (1 - y2**2)
ours = local_gradients(model, x, d)
np.testing.assert_allclose(ours.local_gradients[1], delta2, atol=1e-12)
assert check("05.1", delta2[1])

# %% [markdown]
# **2.** Os campos locais induzidos ficam vinte vezes maiores, a tanh satura, e a sua
# inclinação $1 - y^2$ é quase zero onde um campo está longe de zero. Ela é um fator dos
# gradientes locais dos neurônios escondidos: as correções deles se anulam e a primeira
# camada mal aprende (os biases não foram multiplicados: para a entrada 0 0 nada muda na
# primeira camada).

# %%
weights = model.get_weights()
model.set_weights([20 * weights[0], *weights[1:]])
saturated = local_gradients(model, x, d)
for name, result in (("antes", ours), ("depois", saturated)):
    field = np.abs(result.induced_fields[0][1:]).mean()
    slope = (1 - result.outputs[0][1:] ** 2).mean()
    delta = np.abs(result.local_gradients[0][1:]).mean()
    print(f"{name:6}: |v| {field:6.2f}  inclinação {slope:.1e}  |delta| {delta:.1e}")
assert delta < 0.1 * np.abs(ours.local_gradients[0][1:]).mean()
assert check("05.2", slope)

# %% [markdown]
# **3.** Cada camada pergunta à de cima: o $\delta$ dela através dos seus pesos, vezes a
# própria inclinação.

# %%
d = np.array([[0], [1], [1], [0]], float)
model = network(
    keras.layers.Dense(3, "tanh"),
    keras.layers.Dense(4, "tanh"),
    keras.layers.Dense(1, "sigmoid"),
)
W1, b1, W2, b2, W3, b3 = (w.astype(float) for w in model.get_weights())
y1 = np.tanh(x @ W1 + b1)
y2 = np.tanh(y1 @ W2 + b2)
y3 = 1 / (1 + np.exp(-(y2 @ W3 + b3)))
delta3 = (d - y3) * y3 * (1 - y3)
delta2 = (1 - y2**2) * (delta3 @ W3.T)
delta1 = (1 - y1**2) * (delta2 @ W2.T)
ours = local_gradients(model, x, d)
for theirs, mine in zip(ours.local_gradients, (delta1, delta2, delta3), strict=True):
    np.testing.assert_allclose(theirs, mine, atol=1e-12)
assert check("05.3", sum(delta.shape[1] for delta in ours.local_gradients))
print("as três camadas conferem")
