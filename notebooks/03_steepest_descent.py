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
# # 3. The method of steepest descent
#
# **The same rule, the same bowl: why does one step size glide to the minimum, another
# zigzag, and a third run away?**
#
# One number, the step size $\eta$, decides whether $\mathbf{w}(n)$ glides to the
# minimum (over-damped), zigzags towards it (under-damped) or runs away. You will see
# why, in one line of algebra, and what Newton and Gauss-Newton do about it. (Haykin,
# *Neural Networks*, 2nd ed., section 3.3 and fig. 3.2.)

# %%
import matplotlib.pyplot as plt
import numpy as np

from dlkeras.optimization import (
    NeuronSurface,
    QuadraticSurface,
    best_step_size,
    conjugate_gradient,
    convergence_rate,
    gauss_newton,
    newton,
    regimes,
    steepest_descent,
)
from dlkeras.testing.course import check, compare, language, say
from dlkeras.visualization import in_language

# %% [markdown]
# ## The recursion, by hand
#
# The inputs have the correlation matrix $\mathbf{R}$, and $\mathbf{p}$ is their
# cross-correlation with the desired response, whose mean square is 1. The mean-square
# error is $J(\mathbf{w}) = 1 - 2\mathbf{p}^T\mathbf{w} + \mathbf{w}^T\mathbf{R}
# \mathbf{w}$, the cost is half of it, and the gradient $\mathbf{g} =
# \mathbf{R}\mathbf{w} - \mathbf{p}$. So $\mathbf{w}(n+1) = \mathbf{w}(n) +
# \eta(\mathbf{p} - \mathbf{R}\mathbf{w}(n))$.

# %%
R, p = np.array([[1, 0.5], [0.5, 1]]), np.array([0.5, 0.25])
surface = QuadraticSurface(R, p, sigma_d2=1)

w, J = np.zeros(2), []
for _ in range(4):
    J.append(1 - 2 * p @ w + w @ R @ w)
    w = w + 0.8 * (p - R @ w)
print("J(n) =", np.round(J, 6))
run = steepest_descent(surface, 0.8, steps=3)

# %% tags=["check"]
np.testing.assert_allclose(J, [1, 0.78, 0.7584, 0.752928])
np.testing.assert_allclose(run.mean_square_error, J)

# %% [markdown]
# ## Why the step size decides
#
# Subtract the minimum, $\mathbf{w}^* = \mathbf{R}^{-1}\mathbf{p}$, from both sides, and
# turn the axes into the eigenvectors of $\mathbf{R}$. The two weights no longer
# disturb each other: along the axis with eigenvalue $\lambda_k$ the distance obeys
#
# $$\nu_k(n+1) = (1 - \eta\lambda_k)\,\nu_k(n).$$
#
# Everything follows from the factor $1 - \eta\lambda$:
#
# | step | factor | regime |
# |---|---|---|
# | $0 < \eta < 1/\lambda$ | between 0 and 1 | over-damped: approaches from one side |
# | $\eta = 1/\lambda$ | 0 | critically damped: there in one step |
# | $1/\lambda < \eta < 2/\lambda$ | between -1 and 0 | under-damped: a zigzag |
# | $\eta > 2/\lambda$ | below -1 | divergent |

# %%
eigenvalues, Q = np.linalg.eigh(R)
w_star = np.linalg.solve(R, p)
limit = 2 / eigenvalues[-1]
print("eigenvalues", eigenvalues, " minimum at", w_star, f" limit {limit:.4f}")

start = np.array([0.9, 1.8])
nu = Q.T @ (start - w_star)
for n, w in enumerate(steepest_descent(surface, 0.8, start, steps=10).weights):
    by_hand = w_star + Q @ ((1 - 0.8 * eigenvalues) ** n * nu)
    compare(w, by_hand, atol=1e-10)

for eta in (0.2, 1 / 1.5, 1.2):
    said = regimes(surface, eta)  # before anything has run
    run = steepest_descent(surface, eta, start)
    print(f"eta = {eta:.3f}:", ", ".join(regime.in_words(language) for regime in said),
          "- confirmed" if run.confirmed else "- not what the run shows")  # fmt: skip

# %% tags=["check"]
np.testing.assert_allclose(surface.eigenvalues, [0.5, 1.5])
np.testing.assert_allclose(surface.minimizer, [0.5, 0], atol=1e-12)
np.testing.assert_allclose(surface.max_step_size, 4 / 3)
for eta in (0.2, 1 / 1.5, 1.2):
    run = steepest_descent(surface, eta, start)
    assert run.measured_regimes == regimes(surface, eta) and run.confirmed

# %% [markdown]
# ## How fast it converges
#
# In the long run the slowest mode is all that is left: the distance shrinks by the
# largest $|1 - \eta\lambda_k|$. It is smallest where the two ends are equally bad, at
# $\eta = 2/(\lambda_{min} + \lambda_{max})$, and there it is $(\kappa-1)/(\kappa+1)$
# with $\kappa = \lambda_{max}/\lambda_{min}$. A narrow valley is always slow.

# %%
eta = 2 / (eigenvalues[0] + eigenvalues[-1])
kappa = eigenvalues[-1] / eigenvalues[0]
run = steepest_descent(surface, eta, start, steps=30)
print(f"predicted rate {run.rate:.4f}, measured {run.measured_rate:.4f}")

# %% tags=["check"]
np.testing.assert_allclose(best_step_size(surface), eta)
np.testing.assert_allclose(convergence_rate(surface, eta), (kappa - 1) / (kappa + 1))
np.testing.assert_allclose(run.measured_rate, run.rate, rtol=1e-3)

# %% [markdown]
# ## Newton and Gauss-Newton
#
# Newton divides by the curvature, $\mathbf{w}(n+1) = \mathbf{w}(n) - \mathbf{H}^{-1}
# \mathbf{g}$. On a bowl, where $\mathbf{H} = \mathbf{R}$ everywhere, that is one step.
# Gauss-Newton needs no second derivatives: for a cost made of squared errors with
# Jacobian $\mathbf{J}$ it takes $\mathbf{w}(n+1) = \mathbf{w}(n) - (\mathbf{J}^T
# \mathbf{J})^{-1}\mathbf{J}^T\mathbf{e}$. A neuron with a tanh bends the bowl, and
# there neither is finished in one step.

# %%
one_step = start - np.linalg.solve(R, R @ start - p)
run = newton(surface, start)

random = np.random.default_rng(3)
x = random.normal(size=(100, 2)) @ [[1.0, 0.9], [0.0, 0.44]]
d = np.tanh(x @ [1.0, -0.5]) + random.normal(scale=0.05, size=100)
neuron = NeuronSurface(x, d, "tanh")

w = np.zeros(2)
for _ in range(5):
    e = d - np.tanh(x @ w)
    jacobian = -(1 - np.tanh(x @ w) ** 2)[:, None] * x
    w = w - np.linalg.solve(jacobian.T @ jacobian, jacobian.T @ e)

runs = {
    "steepest descent": steepest_descent(neuron, 0.9, steps=60),
    "conjugate gradient": conjugate_gradient(neuron, steps=60),
    "Gauss-Newton": gauss_newton(neuron, steps=60),
    "Newton": newton(neuron, steps=60),
}
for name, run in runs.items():
    print(
        f"{name:18}: {run.iterations:3d} iterations, w = {run.final_weights.round(4)}"
    )

# %% tags=["check"]
assert newton(surface, start).iterations == 1
np.testing.assert_allclose(newton(surface, start).final_weights, one_step, atol=1e-12)
np.testing.assert_allclose(one_step, w_star, atol=1e-12)
np.testing.assert_allclose(gauss_newton(neuron, steps=5).final_weights, w, atol=1e-8)

# %% [markdown]
# ## The picture
#
# Left and middle, Haykin's figure 3.2: the same start, a small and a large step. Right,
# the four methods on the tanh neuron.

# %%
blue, orange, green, pink = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
w1, w2 = np.linspace(-1.8, 2.4, 81), np.linspace(-1.6, 2.2, 81)
grid = np.stack(np.meshgrid(w1, w2), -1)

figure, (left, middle, right) = plt.subplots(
    1, 3, figsize=(14, 4.6), layout="constrained"
)
for axes, eta, colour, title in (
    (left, 0.2, blue, r"$\eta = 0.2$: " + say("over-damped", "sobreamortecida")),
    (middle, 1.2, orange, r"$\eta = 1.2$: " + say("under-damped", "subamortecida")),
):
    axes.contour(w1, w2, surface.cost(grid), levels=12, colors="0.75", linewidths=0.8)
    trajectory = steepest_descent(surface, eta, start, steps=25).weights
    axes.plot(*trajectory.T, "o-", color=colour, markersize=4)
    for axis in surface.contour_axes(0.8).T:  # the principal axes
        axes.plot(*np.stack([w_star - axis, w_star + axis]).T, ":", color="0.3")
    axes.plot(*w_star, "*", color=green, markersize=16)
    axes.annotate("w(0)", start, xytext=(6, 4), textcoords="offset points")
    axes.set(xlabel="$w_1$", ylabel="$w_2$", title=title, aspect="equal")

floor = min(run.cost.min() for run in runs.values())
styles = (("o-", orange), ("s-", blue), ("^-", green), ("v-", pink))
for (name, run), (style, colour) in zip(runs.items(), styles, strict=True):
    excess = np.maximum(run.cost - floor, 1e-16)
    right.semilogy(excess, style, color=colour, markersize=4, label=name)
right.set(xlabel=say("iteration n", "iteração n"), ylabel=r"$E(w(n)) - E_{min}$",
          xlim=(-0.5, 30),
          title=say("A tanh neuron, four methods",
                    "Um neurônio tanh, quatro métodos"))  # fmt: skip
right.legend()
in_language(figure, language)
plt.show()

# %% [markdown]
# ## Exercises
#
# Put your answers into the cell below: it says right, nearly, or what to look at again.
# Solutions are in the folder `solutions`.
#
# 1. Which step size makes the mode along (1, 1) critically damped, and which the other?
#    Predict both, then let `regimes` check you. Can one step size do both?
# 2. Set `R` to `[[1, 0.95], [0.95, 1]]`. How many iterations does steepest descent need
#    with its best step, and how many do Newton and `conjugate_gradient` need? Explain
#    the numbers with $\kappa$.
# 3. Start Newton on the tanh neuron from (-4, 4). What does the error message say about
#    the Hessian there, and why does Gauss-Newton with `delta=0.01` not stop?

# %%
check("03.1", None)  # step sizes: along (1, 1), along (1, -1)
check("03.2", None)  # error left by one iteration at the best step, 0 to 1
check("03.3", None)  # the negative eigenvalue of the Hessian there
