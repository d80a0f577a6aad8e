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
# # Soluções do notebook 2, otimização irrestrita

# %%
import numpy as np

from dlkeras.optimization import QuadraticSurface, steepest_descent
from dlkeras.testing.course import check

random = np.random.default_rng(7)
x = random.normal(size=(200, 2)) @ [[1.0, 0.5], [0.0, 0.87]]
d = x @ [5.0, 3.0]

# %% [markdown]
# **1.** O mínimo vai para a solução de mínimos quadrados dos dados ruidosos, perto de
# (5, 3). O fundo da tigela sobe até cerca da variância do ruído, 4: nenhum peso explica
# o ruído. Fica um pouco abaixo da média quadrática do próprio ruído, porque dois pesos
# ajustam um pouco dele.

# %%
noise = 2 * random.normal(size=200)
noisy = QuadraticSurface.from_data(x, d + noise)
print("mínimo em", noisy.minimizer.round(3), " onde J =", round(noisy.minimum_error, 3))
assert np.abs(noisy.minimizer - [5, 3]).max() < 0.6
assert 0.9 * np.mean(noise**2) < noisy.minimum_error < np.mean(noise**2)
assert check("02.1", noisy.minimum_error)

# %% [markdown]
# **2.** Ao longo de (1, -1) as entradas quase não diferem, e o custo quase não muda: as
# curvas de nível viram um vale comprido, e o número de condição cresce centenas de
# vezes. O passo é limitado pela direção íngreme, o tempo pela direção plana.

# %%
near = x.copy()
near[:, 1] = near[:, 0] + 0.05 * random.normal(size=200)
for name, inputs in (("como antes", x), ("quase uma cópia", near)):
    surface = QuadraticSurface.from_data(inputs, inputs @ [5.0, 3.0])
    run = steepest_descent(
        surface, 0.9 * surface.max_step_size, steps=100_000, tolerance=1e-6
    )
    print(f"{name:14} kappa {surface.condition_number:8.1f}  {run.iterations} passos")
assert surface.condition_number > 500 and run.iterations > 1000
assert check("02.2", surface.condition_number)

# %% [markdown]
# **3.** Divida ao meio o intervalo entre um passo que converge e um que não converge.

# %%
surface = QuadraticSurface.from_data(x, d)


def converges(eta):
    w = np.array([-2.0, 8.0])
    for _ in range(20_000):
        w = w - eta * surface.gradient(w)
        if np.abs(w).max() > 1e6:
            return False
    return surface.cost(w) < 1


low, high = 0.1, 10.0
while high - low > 1e-4:
    middle = (low + high) / 2
    low, high = (middle, high) if converges(middle) else (low, middle)
print(f"por tentativas {low:.3f}, 2 / lambda_max = {surface.max_step_size:.3f}")
assert abs(low - surface.max_step_size) < 1e-3
assert check("02.3", low)
