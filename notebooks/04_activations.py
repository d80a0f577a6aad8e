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
# # 4. Activation functions and their derivatives
#
# **Why can a neuron be deaf, and how much of an error survives twenty layers?**
#
# Between the induced local field $v$ and the output $y$ of a neuron stands the
# activation function, $y = \varphi(v)$. Forward it bends; backward its slope
# $\varphi'(v)$ multiplies everything that the neuron may learn. Where the slope is
# nearly zero the neuron is *saturated*, and deaf. You will derive four slopes by hand,
# and see how much of an error is left after many layers of them.

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np

from dlkeras.optimization import local_gradients
from dlkeras.testing.course import check, compare, language, say
from dlkeras.visualization import in_language

# %% [markdown]
# ## Four functions and four slopes, by hand
#
# The logistic function $\varphi(v) = 1/(1+e^{-v})$ has
#
# $$\varphi'(v) = \frac{e^{-v}}{(1+e^{-v})^2} = y\,(1-y),$$
#
# because $e^{-v}/(1+e^{-v}) = 1-y$. The hyperbolic tangent is the same curve, stretched
# to $(-1, 1)$: $\tanh v = 2\varphi(2v) - 1$, so its slope is $4\varphi'(2v) = 1-y^2$.
# The rectifier (ReLU) is $\max(0, v)$, with slope 1 or 0. The leaky ReLU,
# $\max(\alpha v, v)$, leaves a slope of $\alpha$ below zero.

# %%
alpha = 0.01
functions = {
    "logistic": lambda v: 1 / (1 + np.exp(-v)),
    "tanh": np.tanh,
    "ReLU": lambda v: np.maximum(0, v),
    "leaky ReLU": lambda v: np.maximum(alpha * v, v),
}
slopes = {
    "logistic": lambda v, y: y * (1 - y),
    "tanh": lambda v, y: 1 - y**2,
    "ReLU": lambda v, y: (v > 0).astype(float),
    "leaky ReLU": lambda v, y: np.where(v > 0, 1, alpha),
}
v = np.linspace(-6, 6, 240)  # 0 itself, the corner of ReLU, is not among them

h = 1e-5
for name, phi in functions.items():
    measured = (phi(v + h) - phi(v - h)) / (2 * h)
    compare(slopes[name](v, phi(v)), measured, atol=1e-9)
compare(np.tanh(v), 2 * functions["logistic"](2 * v) - 1)
print("the slopes agree with small differences")

# %% [markdown]
# ## The same numbers from the library
#
# A network of one neuron with weight 1 and bias 0 has $v = x$. Its local gradient is
# $\delta = e\,\varphi'(v)$, so $\delta/e$ is the slope that the library used.

# %%
in_keras = {
    "logistic": "sigmoid",
    "tanh": "tanh",
    "ReLU": "relu",
    "leaky ReLU": keras.layers.LeakyReLU(negative_slope=alpha),
}
for name, activation in in_keras.items():
    neuron = keras.Sequential(
        [keras.layers.Input((1,)), keras.layers.Dense(1, activation)]
    )
    neuron.set_weights([np.ones((1, 1)), np.zeros(1)])
    desired = np.full((len(v), 1), 10.0)  # far from every output: no error is zero
    ours = local_gradients(neuron, v[:, None], desired)
    slope = (ours.local_gradients[0] / ours.errors)[:, 0]
    compare(ours.outputs[0][:, 0], functions[name](v), atol=1e-6)
    compare(slope, slopes[name](v, functions[name](v)), atol=1e-6)
    print(f"{name:10}  largest slope {slope.max():.4f}  at v = -6: {slope[0]:.6f}")

# %% [markdown]
# ## Saturation
#
# The logistic slope is at most $1/4$, at $v = 0$. Where is only a tenth of that left?
# $y(1-y) = 0.025$ gives $y = 0.9743$ and $v = \ln\frac{y}{1-y} = 3.64$. And every layer
# multiplies: with weights around 1, an error that passes 19 logistic layers is
# multiplied by at most $(1/4)^{19}$, about $4\cdot10^{-12}$. ReLU multiplies by 1
# wherever it is on.

# %%
y = (1 + np.sqrt(1 - 0.1)) / 2
v_tenth = np.log(y / (1 - y))
compare(functions["logistic"](v_tenth), y)
compare(y * (1 - y), 0.025)
print(f"the logistic slope falls to a tenth of its largest at |v| = {v_tenth:.2f}")

layers = np.arange(20)
left_of_error = {
    "logistic, $v = 0$": 0.25**layers,
    "tanh, $v = 1$": (1 - np.tanh(1) ** 2) ** layers,
    "ReLU, $v > 0$": 1.0**layers,
    "leaky ReLU, $v < 0$": alpha**layers,
}
for name, left in left_of_error.items():
    print(f"{name.replace('$', ''):17} after 19 layers: {left[-1]:.1e}")

# %% tags=["check"]
assert abs(v_tenth - 3.64) < 0.01
assert 3e-12 < left_of_error["logistic, $v = 0$"][-1] < 4e-12

# %% [markdown]
# ## The other side of never saturating: dead units
#
# A ReLU whose field is negative for *every* example has slope 0 for every example: its
# weights get no correction and it stays off. Give a ReLU neuron a bias of -10 and it is
# dead; a leaky one still moves, a hundredth as fast.

# %%
x = np.random.default_rng(0).normal(size=(64, 3))
d = np.ones((64, 1))
corrections = {}
for name in ("ReLU", "leaky ReLU"):
    neuron = keras.Sequential(
        [keras.layers.Input((3,)), keras.layers.Dense(1, in_keras[name])]
    )
    neuron.set_weights([np.ones((3, 1)), np.array([-10.0])])
    correction = local_gradients(neuron, x, d).corrections[0]
    corrections[name] = np.sqrt(sum(np.sum(part**2) for part in correction))
    print(f"{name:10}  size of the correction: {corrections[name]:.4f}")

# %% tags=["check"]
assert corrections["ReLU"] == 0 < corrections["leaky ReLU"]

# %% [markdown]
# ## The picture
#
# The functions (solid) with their slopes (dashed); shaded, where the slope is below a
# tenth of its largest. On the right, how much of an error is left after each layer.


# %%
blue, orange, green, pink = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
figure = plt.figure(figsize=(14, 5.6), layout="constrained")
rows = (len(functions) + 1) // 2
grid = figure.add_gridspec(rows, 3, width_ratios=[1, 1, 1.25])
for index, (name, phi) in enumerate(functions.items()):
    axes = figure.add_subplot(grid[index // 2, index % 2])
    y = phi(v)
    slope = slopes[name](v, y)
    limit = 6 if "ReLU" in name else 1.3
    axes.fill_between(v, -limit, limit, where=slope < 0.1 * slope.max(), color="0.9",
                      step="mid")  # fmt: skip
    axes.plot(v, y, color=blue, linewidth=2, label=r"$\varphi(v)$")
    axes.plot(v, slope, "--", color=orange, linewidth=2, label=r"$\varphi'(v)$")
    axes.set(xlabel="$v$", title=name, ylim=(-1.3, limit), xlim=(-6, 6))
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left")
right = figure.add_subplot(grid[:, 2])
styles = (("o-", blue), ("s-", orange), ("^-", green), ("v-", pink))
for (name, left), (style, colour) in zip(left_of_error.items(), styles, strict=True):
    shown = left > 1e-16
    right.semilogy(layers[shown], left[shown], style, color=colour, markersize=4,
                   label=name)  # fmt: skip
right.set(xlabel=say("layers passed", "camadas atravessadas"), xticks=range(0, 20, 2),
          ylabel=r"$\prod\varphi'$",
          title=say("What is left of an error", "O que resta de um erro"))  # fmt: skip
right.grid(alpha=0.3)
right.legend()
in_language(figure, language)
plt.show()

# %% [markdown]
# ## Exercises
#
# Put your answers into the cell below: it says right, nearly, or what to look at again.
# Solutions are in the folder `solutions`.
#
# 1. LeCun's squashing function is $1.7159\tanh(2v/3)$, `dlkeras.layers.scaled_tanh`.
#    Derive its slope. Where is its *second* derivative largest, and why did LeCun want
#    the targets +1 and -1 to lie there?
# 2. The softplus $\ln(1+e^v)$ is a smooth ReLU. Which function of this notebook is its
#    slope? Confirm it with `local_gradients`.
# 3. The slope of the logistic function is at most 1/4, but the weights multiply, too.
#    How large must a weight be for an error to survive a layer at $v = 0$, and what
#    happens to $v$, and so to the slope, when weights are that large?

# %%
check("04.1", None)  # the v > 0 where the second derivative is largest
check("04.2", None)  # the function's name, in quotes
check("04.3", None)  # how large the weight is
