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
# # Soluções do notebook 6, gradientes que desaparecem e que explodem

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
    """Dez passos de uma rede, com os dois monitores."""
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
# **1.** A regra fala quando uma camada tem menos de um milésimo do gradiente de outra:
# $(1/4)^{k} < 10^{-3}$ a partir de $k = 5$ passos, ou seja, com cerca de seis camadas
# escondidas. Que duas camadas escondidas aprendam e dez não, não é acaso.

# %%
named = {}
for depth in (3, 5, 6, 8):
    ratio, findings, _ = watched("sigmoid", "glorot_uniform", depth)
    named[depth] = any(f.name == "vanishing_gradient" for f in findings)
    print(f"{depth} camadas: razão {ratio:.1e}, (1/4)^{depth - 1} = "
          f"{0.25 ** (depth - 1):.1e}, nomeado: {named[depth]}")  # fmt: skip
assert not named[3] and named[8]
assert check("06.1", 1 + next(k for k in range(20) if 0.25**k < 1e-3))

# %% [markdown]
# **2.** O gradiente de um kernel é $\mathbf y_{l-1}\boldsymbol\delta_l^T$. Com $s < 1$
# as saídas encolhem por $s$ a cada camada a partir da esquerda e os gradientes locais
# por $s$ a partir da direita: o produto é o mesmo em toda parte, e pequeno demais em
# toda parte. Os dois sinais só chegam ao fim perto de $s = 1$: um desvio padrão de
# 0,1 é $\sqrt{2/(100+100)}$, o de Xavier.

# %%
lost = {}
for s in (0.5, 0.8, 1.0, 1.25, 2.0, 10.0):
    initializer = keras.initializers.RandomNormal(stddev=0.1 * s)
    ratio, _, history = watched("tanh", initializer, 20)
    spread = history.std[0, 19] / history.std[0, 0]  # última sobre primeira
    lost[s] = abs(np.log(ratio)) + abs(np.log(spread))
    print(f"s = {s:5}: gradientes, primeiro sobre último {ratio:.1e}; "
          f"saídas, última sobre primeira {spread:.1e}")  # fmt: skip
    assert s > 0.8 or (0.5 < ratio < 2 and spread < 2 * s**19)
assert min(lost, key=lambda s: lost[s]) in (1.0, 1.25)
assert check("06.2", "Xavier")

# %% [markdown]
# **3.** A ReLU deixa passar metade da potência, e os pesos de Glorot não compensam
# isso: cada camada encolhe o sinal por $\sqrt{1/2} = 0{,}71$, vinte por cerca de mil.

# %%
_, _, history = watched("relu", "glorot_uniform", 20)
spread = history.std[0, :20]
factor = (spread[-1] / spread[0]) ** (1 / 19)
print(f"fator por camada {factor:.3f}, dezenove vezes {spread[-1] / spread[0]:.1e}")
assert abs(factor - np.sqrt(0.5)) < 0.06
assert check("06.3", factor)
