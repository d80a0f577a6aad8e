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
# # Solutions to notebook 3, steepest descent

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
# **1.** A mode is critically damped at $\eta = 1/\lambda$: the eigenvector (1, 1) has
# $\lambda = 1.5$, so $\eta = 2/3$; (1, -1) has $\lambda = 0.5$, so $\eta = 2$, which is
# above the limit 4/3 of the other. One step does both only for a round bowl, where all
# eigenvalues are equal.

# %%
surface = QuadraticSurface([[1, 0.5], [0.5, 1]], [0.5, 0.25], sigma_d2=1)
assert regimes(surface, 1 / 1.5) == ("over-damped", "critically damped")
assert regimes(surface, 1 / 0.5) == ("critically damped", "divergent")
assert set(regimes(QuadraticSurface.bowl(), 1.0)) == {"critically damped"}
assert check("03.1", (1 / 1.5, 1 / 0.5))

# %% [markdown]
# **2.** $\kappa = 1.95/0.05 = 39$. The best rate is 38/40 = 0.95, so each digit costs
# $\ln 10 / -\ln 0.95 \approx 45$ iterations. Newton divides by the curvature and needs
# 1 step; conjugate gradients need at most 2, one per weight, whatever $\kappa$ is.

# %%
narrow = QuadraticSurface([[1, 0.95], [0.95, 1]], [0.5, 0.25])
steepest = steepest_descent(narrow, best_step_size(narrow), [2, 1], steps=2000)
print("kappa", round(narrow.condition_number, 6), " rate", round(steepest.rate, 6))
counts = [
    run.iterations
    for run in (steepest, newton(narrow, [2, 1]), conjugate_gradient(narrow, [2, 1]))
]
print("steepest descent, Newton, conjugate gradient:", counts)
np.testing.assert_allclose(steepest.rate, 0.95)
assert counts[1] == 1 and counts[2] == 2 and counts[0] > 300
assert check("03.2", steepest.rate)

# %% [markdown]
# **3.** Where the tanh is saturated the surface is a plateau that bends downwards: the
# Hessian has a negative eigenvalue and Newton's step would go uphill, so the library
# refuses it. $\mathbf{J}^T\mathbf{J}$ is never negative, and $\delta\mathbf{I}$ makes
# it positive, so Gauss-Newton always has a direction of descent. With a line search it
# cannot climb.

# %%
random = np.random.default_rng(3)
x = random.normal(size=(100, 2)) @ [[1.0, 0.9], [0.0, 0.44]]
d = np.tanh(x @ [1.0, -0.5]) + random.normal(scale=0.05, size=100)
neuron = NeuronSurface(x, d, "tanh")
print("eigenvalues there:", np.linalg.eigvalsh(neuron.hessian([-4, 4])))
try:
    newton(neuron, [-4, 4])
except ValueError as error:
    print(error)
else:
    raise AssertionError("Newton should have refused")
run = gauss_newton(neuron, [-4, 4], delta=0.01, steps=5)
assert run.iterations == 5
assert check("03.3", np.linalg.eigvalsh(neuron.hessian([-4, 4]))[0])
