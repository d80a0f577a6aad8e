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
# # Solutions to notebook 2, unconstrained optimisation

# %%
import numpy as np

from dlkeras.optimization import QuadraticSurface, steepest_descent
from dlkeras.testing.course import check

random = np.random.default_rng(7)
x = random.normal(size=(200, 2)) @ [[1.0, 0.5], [0.0, 0.87]]
d = x @ [5.0, 3.0]

# %% [markdown]
# **1.** The minimum moves to the least-squares solution of the noisy data, near (5, 3).
# The bottom of the bowl rises to about the noise's variance, 4: no weights can explain
# the noise. It is a little less than the noise's own mean square, because two weights
# fit a little of it.

# %%
noise = 2 * random.normal(size=200)
noisy = QuadraticSurface.from_data(x, d + noise)
print("minimum at", noisy.minimizer.round(3), " J there", round(noisy.minimum_error, 3))
assert np.abs(noisy.minimizer - [5, 3]).max() < 0.6
assert 0.9 * np.mean(noise**2) < noisy.minimum_error < np.mean(noise**2)
assert check("02.1", noisy.minimum_error)

# %% [markdown]
# **2.** Along (1, -1) the inputs hardly differ, so the cost hardly changes: the
# contours become a long valley, and the condition number grows by hundreds. The step is
# limited by the steep direction, the time by the flat one.

# %%
near = x.copy()
near[:, 1] = near[:, 0] + 0.05 * random.normal(size=200)
for name, inputs in (("as before", x), ("almost a copy", near)):
    surface = QuadraticSurface.from_data(inputs, inputs @ [5.0, 3.0])
    run = steepest_descent(
        surface, 0.9 * surface.max_step_size, steps=100_000, tolerance=1e-6
    )
    print(f"{name:14} kappa {surface.condition_number:8.1f}  {run.iterations} steps")
assert surface.condition_number > 500 and run.iterations > 1000
assert check("02.2", surface.condition_number)

# %% [markdown]
# **3.** Halve the interval between a step that converges and one that does not.

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
print(f"by trial {low:.3f}, 2 / lambda_max = {surface.max_step_size:.3f}")
assert abs(low - surface.max_step_size) < 1e-3
assert check("02.3", low)
