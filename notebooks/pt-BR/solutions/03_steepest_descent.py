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
# # Soluções do notebook 3, descida mais íngreme

# %%
import numpy as np

from dlkeras.optimization import (
    NeuronSurface,
    QuadraticSurface,
    best_step_size,
    conjugate_gradient,
    gauss_newton,
    newton,
    regimes,
    steepest_descent,
)
from dlkeras.testing.course import check

# %% [markdown]
# **1.** Um modo tem amortecimento crítico em $\eta = 1/\lambda$: o autovetor (1, 1) tem
# $\lambda = 1{,}5$, logo $\eta = 2/3$; (1, -1) tem $\lambda = 0{,}5$, logo $\eta = 2$,
# acima do limite 4/3 do outro. Um só passo consegue ambos apenas numa tigela redonda,
# em que todos os autovalores são iguais.

# %%
surface = QuadraticSurface([[1, 0.5], [0.5, 1]], [0.5, 0.25], sigma_d2=1)
assert regimes(surface, 1 / 1.5) == ("over-damped", "critically damped")
assert regimes(surface, 1 / 0.5) == ("critically damped", "divergent")
assert set(regimes(QuadraticSurface.bowl(), 1.0)) == {"critically damped"}
assert check("03.1", (1 / 1.5, 1 / 0.5))

# %% [markdown]
# **2.** $\kappa = 1{,}95/0{,}05 = 39$. A melhor razão é 38/40 = 0,95, e cada algarismo
# custa $\ln 10 / -\ln 0{,}95 \approx 45$ iterações. Newton divide pela curvatura e
# precisa de 1 passo; os gradientes conjugados precisam de no máximo 2, um por peso,
# qualquer que seja $\kappa$.

# %%
narrow = QuadraticSurface([[1, 0.95], [0.95, 1]], [0.5, 0.25])
steepest = steepest_descent(narrow, best_step_size(narrow), [2, 1], steps=2000)
print("kappa", round(narrow.condition_number, 6), " taxa", round(steepest.rate, 6))
counts = [
    run.iterations
    for run in (steepest, newton(narrow, [2, 1]), conjugate_gradient(narrow, [2, 1]))
]
print("descida mais íngreme, Newton, gradiente conjugado:", counts)
np.testing.assert_allclose(steepest.rate, 0.95)
assert counts[1] == 1 and counts[2] == 2 and counts[0] > 300
assert check("03.2", steepest.rate)

# %% [markdown]
# **3.** Onde a tanh está saturada a superfície é um planalto que se curva para baixo: a
# hessiana tem um autovalor negativo e o passo de Newton subiria, por isso a biblioteca
# o recusa. $\mathbf{J}^T\mathbf{J}$ nunca é negativa, e $\delta\mathbf{I}$ a torna
# positiva: Gauss-Newton sempre tem uma direção de descida. Com uma busca em linha ele
# não pode subir.

# %%
random = np.random.default_rng(3)
x = random.normal(size=(100, 2)) @ [[1.0, 0.9], [0.0, 0.44]]
d = np.tanh(x @ [1.0, -0.5]) + random.normal(scale=0.05, size=100)
neuron = NeuronSurface(x, d, "tanh")
print("autovalores ali:", np.linalg.eigvalsh(neuron.hessian([-4, 4])))
try:
    newton(neuron, [-4, 4])
except ValueError as error:
    print(error)
else:
    raise AssertionError("o método de Newton devia ter recusado")
run = gauss_newton(neuron, [-4, 4], delta=0.01, steps=5)
assert run.iterations == 5
assert check("03.3", np.linalg.eigvalsh(neuron.hessian([-4, 4]))[0])
