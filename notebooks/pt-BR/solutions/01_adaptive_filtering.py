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
# # Soluções do notebook 1, filtragem adaptativa

# %%
import keras
import numpy as np

from dlkeras.layers import LMSFilter
from dlkeras.optimization import lms_theory
from dlkeras.testing.course import check

random = np.random.default_rng(1)
channel = np.array([0.8, -0.5, 0.3, 0.1])


def through(system, signal):
    return np.stack([np.convolve(row, system)[: signal.shape[1]] for row in signal])


def run(x, d, eta, taps=4):
    lms = LMSFilter(taps, eta, return_weights=True, dtype="float64")
    return [keras.ops.convert_to_numpy(part) for part in lms(x, d)]


# %% [markdown]
# **1.** A distância até o canal cai por $1 - \eta$ a cada amostra, e o tempo até restar
# um décimo da mudança é cerca de $\ln 10 / \eta$: 115 amostras para 0,02 e 23 para 0,1.
# Um filtro parado continua a responder por um sistema que não existe mais.

# %%
x = random.normal(size=(200, 2000))
d = np.concatenate(
    [through(channel, x)[:, :1000], through(-channel, x)[:, 1000:]], axis=1
)
needed = {}
for eta in (0.02, 0.1):
    weights = run(x, d, eta)[2].mean(axis=0)
    far = np.linalg.norm(weights[1000:] + channel, axis=1)
    needed[eta] = int(np.argmax(far < 0.1 * far[0]))
    print(f"eta = {eta}: {needed[eta]} amostras, ln 10 / eta = {np.log(10) / eta:.0f}")
    assert abs(needed[eta] - np.log(10) / eta) < 0.15 * np.log(10) / eta
assert check("01.1", needed[0.02])
stopped = through(channel, x[:, 1000:]) - d[:, 1000:]
print(f"um filtro parado erra com potência {np.mean(stopped**2):.2f}, "
      f"o dobro do sinal: {4 * channel @ channel:.2f}")  # fmt: skip

# %% [markdown]
# **2.** $x(n) + 0{,}9x(n-1)$ tem correlação 1,81 no atraso 0 e 0,9 no atraso 1. O maior
# autovalor fixa o limite, o menor o tempo: é a razão entre eles que atrapalha.

# %%
R = 1.81 * np.eye(4) + 0.9 * (np.eye(4, k=1) + np.eye(4, k=-1))
limit = 2 / np.linalg.eigvalsh(R)[-1]
theory = lms_theory(R, R @ channel, limit / 5, channel @ R @ channel)
print("autovalores", theory.eigenvalues.round(3), f" limite {limit:.3f}")
print("constantes de tempo", theory.time_constants.round(1), "amostras")
np.testing.assert_allclose(theory.max_step_size_mean, limit)
assert check("01.2", limit)
white = lms_theory(np.eye(4), channel, 2 / 5, channel @ channel)
assert theory.time_constants.max() > 4 * white.time_constants.max()

# %% [markdown]
# **3.** O filtro não pode dizer o que diz o quarto coeficiente. O seu erro fica com a
# potência dele, $0{,}1^2 = 0{,}01$, dez vezes o ruído, mais o desajuste.

# %%
x = random.normal(size=(400, 1000))
d = through(channel, x) + np.sqrt(1e-3) * random.normal(size=x.shape)
error = run(x, d, 0.02, taps=3)[1]
settled = np.mean(error[:, 500:] ** 2)
print(f"assenta em {settled:.5f}; ruído 0.001 + peso que falta {channel[3] ** 2:.3f}")
np.testing.assert_allclose(settled, 0.011, rtol=0.08)
assert check("01.3", settled)
