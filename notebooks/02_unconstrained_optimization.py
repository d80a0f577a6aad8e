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
# # 2. Unconstrained optimisation
#
# **How does a neuron find the lowest point of a landscape in the dark, feeling only the
# slope under its feet?**
#
# A neuron learns by making a number small: its cost $\mathcal{E}(\mathbf{w})$. With two
# inputs there are two weights, so the cost is a landscape that we can draw. Here it is
# a bowl with its lowest point at $w_1 = 5$, $w_2 = 3$.
#
# You will see what the gradient field looks like, why the gradient vanishes at the
# minimum, how an iterative descent finds it, and how the same rule runs away when its
# step is too long. (Haykin, *Neural Networks*, 2nd ed., eq. 3.7 to 3.13.)

# %%
import matplotlib.pyplot as plt
import numpy as np

from dlkeras.optimization import QuadraticSurface, steepest_descent
from dlkeras.testing.course import check, compare, language, say
from dlkeras.visualization import in_language

# %% [markdown]
# ## The cost of a neuron with two weights
#
# A linear neuron answers $y = w_1 x_1 + w_2 x_2$. Its error on an example is
# $e = d - y$, and its cost is half the mean squared error. The system that produced the
# desired responses has the weights 5 and 3; the two inputs are correlated, which makes
# the bowl longer in one direction than in the other.

# %%
random = np.random.default_rng(7)
x = random.normal(size=(200, 2)) @ [[1.0, 0.5], [0.0, 0.87]]
d = x @ [5.0, 3.0]


def cost(w):
    e = d - x @ w
    return np.mean(e**2) / 2


surface = QuadraticSurface.from_data(x, d)
for w in ([0, 0], [5, 3], [-2, 8]):
    print(f"E({w[0]:2d}, {w[1]:2d}) = {cost(w):8.4f}")
    compare(surface.cost(w), cost(w), atol=1e-10)

# %% [markdown]
# ## The gradient field and the condition for a minimum
#
# The gradient collects the slopes, $\nabla\mathcal{E} = [\partial\mathcal{E}/\partial
# w_1, \partial\mathcal{E}/\partial w_2]^T$. For our neuron it is the mean of
# $-e\,\mathbf{x}$. A slope can also be measured: step a little to each side and compare
# the costs. Both must agree, and both must vanish at the minimum (eq. 3.7).


# %%
def gradient(w):
    e = d - x @ w
    return -np.mean(e[:, None] * x, axis=0)


def measured_gradient(w, h=1e-5):
    w = np.array(w, float)
    return np.array(
        [(cost(w + h * axis) - cost(w - h * axis)) / (2 * h) for axis in np.eye(2)]
    )


for w in ([0, 0], [-2, 8], [7, 1]):
    compare(measured_gradient(w), gradient(w), atol=1e-6)
    compare(surface.gradient(w), gradient(w), atol=1e-10)

# grad E = R w - p is linear in w: the condition grad E = 0 is a system of equations.
R, p = x.T @ x / len(x), x.T @ d / len(x)
w_star = np.linalg.solve(R, p)
print("grad E = 0 at", w_star.round(6))

# %% tags=["check"]
np.testing.assert_allclose(w_star, [5, 3], rtol=1e-10)
np.testing.assert_allclose(surface.minimizer, w_star, rtol=1e-10)
assert surface.is_optimal(w_star) and not surface.is_optimal([5, 2.99])

# %% [markdown]
# ## Iterative descent
#
# Start anywhere and walk against the gradient, $\mathbf{w}(n+1) = \mathbf{w}(n) -
# \eta\,\mathbf{g}(n)$. The cost should fall at every step,
# $\mathcal{E}(\mathbf{w}(n+1)) < \mathcal{E}(\mathbf{w}(n))$ (eq. 3.10). *Should*:
# there is a step size beyond which it climbs, $2/\lambda_{max}$, where $\lambda_{max}$
# is the largest eigenvalue of $\mathbf{R}$, the curvature of the steepest wall.


# %%
def descend(w, eta, steps):
    trajectory = [np.array(w, float)]
    for _ in range(steps):
        trajectory.append(trajectory[-1] - eta * gradient(trajectory[-1]))
    return np.array(trajectory)


eta = 0.4
by_hand = descend([-2, 8], eta, 25)
costs = [cost(w) for w in by_hand]

run = steepest_descent(surface, eta, [-2, 8], steps=25)
print(f"after {run.iterations} steps: w = {run.final_weights.round(3)}")

# %% tags=["check"]
assert (np.diff(costs) < 0).all()
np.testing.assert_allclose(run.weights, by_hand, atol=1e-10)

# %% [markdown]
# And above the limit. The library knows before it runs that it will diverge, and warns;
# it runs all the same, because seeing it happen is the lesson.

# %%
import warnings

limit = 2 / np.linalg.eigvalsh(R).max()
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    runaway = steepest_descent(surface, 1.05 * limit, [5.4, 3.6], steps=22)
for warning in caught:
    print(warning.message)

# %% tags=["check"]
np.testing.assert_allclose(surface.max_step_size, limit, rtol=1e-12)
assert runaway.divergent and runaway.cost[-1] > runaway.cost[0]
assert cost(descend([5.4, 3.6], 0.95 * limit, 200)[-1]) < 1e-6

# %% [markdown]
# ## The picture

# %%
blue, orange, green = "#0072B2", "#D55E00", "#009E73"  # safe for colour-blind readers
w1, w2 = np.linspace(-3, 13, 81), np.linspace(-5, 11, 81)
grid = np.stack(np.meshgrid(w1, w2), -1)

figure = plt.figure(figsize=(12, 5.2), layout="constrained")
bowl = figure.add_subplot(1, 2, 1, projection="3d")
bowl.plot_surface(grid[..., 0], grid[..., 1], surface.cost(grid), cmap="viridis",
                  alpha=0.6, linewidth=0)  # fmt: skip
bowl.plot(*run.weights.T, run.cost, "o-", color=orange, markersize=4, zorder=5)
bowl.set(
    xlabel="$w_1$", ylabel="$w_2$", zlabel="$E(w)$", title=say("The bowl", "A tigela")
)

plane = figure.add_subplot(1, 2, 2)
plane.contour(w1, w2, surface.cost(grid), levels=14, colors="0.75", linewidths=0.8)
coarse = w1[::8], w2[::8]
plane.quiver(*coarse, *(-g for g in surface.gradient_field(*coarse)), color="0.45",
             width=0.003)  # fmt: skip
plane.plot(*run.weights.T, "o-", color=orange, markersize=4,
           label=say("descent", "descida") + rf", $\eta = {eta}$")  # fmt: skip
plane.plot(*runaway.weights.T, "s--", color=blue, markersize=4,
           label=r"$\eta = 1.05 \cdot 2/\lambda_{max}$")  # fmt: skip
plane.plot(5, 3, "*", color=green, markersize=18, label=r"$\nabla E = 0$")
plane.set(xlabel="$w_1$", ylabel="$w_2$", xlim=(-3, 13), ylim=(-5, 11),
          title=say("Against the gradient", "Contra o gradiente"))  # fmt: skip
plane.legend(loc="lower left")
in_language(figure, language)
plt.show()

# %% [markdown]
# ## Exercises
#
# Put your answers into the cell below: it says right, nearly, or what to look at again.
# Solutions are in the folder `solutions`.
#
# 1. Add noise of standard deviation 2 to `d`. Where does the minimum move, and how high
#    is the bottom of the bowl now? Compare `surface.minimum_error` with the variance of
#    the noise.
# 2. Make the second input almost a copy of the first,
#    `x[:, 1] = x[:, 0] + 0.05 * random.normal(size=200)`. What happens to the contours,
#    to `surface.condition_number`, and to the number of steps that a descent needs?
# 3. Find by trial the largest step for which the descent from (-2, 8) still converges,
#    to three digits. Then compute $2/\lambda_{max}$.

# %%
check("02.1", None)  # how high the bottom of the bowl is
check("02.2", None)  # the new condition number
check("02.3", None)  # the largest step that converges
