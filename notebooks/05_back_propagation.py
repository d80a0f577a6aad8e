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
# # 5. Back-propagation
#
# **Who tells a hidden neuron what it did wrong?**
#
# A hidden neuron has no desired response, so nobody can tell it its error.
# Back-propagation gives it a share of the errors of the neurons it feeds: its *local
# gradient*. You will compute every quantity of one pass by hand, meet the same numbers
# in the library and in Keras's automatic differentiation, and train a network on XOR by
# nothing but the delta rule. (Haykin, *Neural Networks*, 2nd ed., chapter 4.)

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display

from dlkeras.optimization import DeltaRule, error_energy, local_gradients
from dlkeras.testing.course import check, compare, language, say
from dlkeras.visualization import in_language, signal_flow_graph

# %% [markdown]
# ## A network with one hidden layer
#
# Two inputs, three hidden neurons with tanh, one logistic output neuron. A Dense
# layer's kernel holds $w_{ji}$ in row $i$, column $j$.

# %%
model = keras.Sequential(
    [
        keras.layers.Input((2,)),
        keras.layers.Dense(3, "tanh", name="hidden"),
        keras.layers.Dense(1, "sigmoid", name="output"),
    ]
)
random = np.random.default_rng(4)
model.set_weights([random.normal(size=w.shape) for w in model.get_weights()])
model.summary()

x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], float)
d = np.array([[0], [1], [1], [0]], float)  # XOR: no single neuron can do it
W1, b1, W2, b2 = (w.astype(float) for w in model.get_weights())

# %% [markdown]
# ## Forward: induced local fields and errors
#
# $v_j = \sum_i w_{ji} y_i$ (the bias is a weight from a constant 1), $y_j =
# \varphi(v_j)$, $e_j = d_j - y_j$, $E(n) = \tfrac12\sum_j e_j^2$, and $E_{av}$ is the
# mean of $E(n)$ over the examples.

# %%
v1 = x @ W1 + b1
y1 = np.tanh(v1)
v2 = y1 @ W2 + b2
y2 = 1 / (1 + np.exp(-v2))
e = d - y2
E = 0.5 * np.sum(e**2, axis=1)
print("E(n) =", E.round(4), "  E_av =", E.mean().round(4))

# %% [markdown]
# ## Backward: local gradients
#
# The local gradient $\delta_j = -\partial E/\partial v_j$ is, by the chain rule,
#
# $$\delta_j = \begin{cases} e_j\,\varphi'(v_j) & j \text{ an output neuron} \\
# \varphi'(v_j)\sum_k \delta_k w_{kj} & j \text{ a hidden neuron.}\end{cases}$$
#
# The sum runs over the neurons $k$ that $j$ feeds: the layer *after* the one with $j$
# (the course's slide names it C). Both activations give their derivative away for free:
# $\varphi' = y(1-y)$ for the logistic function, $\varphi' = 1 - y^2$ for tanh. The
# delta rule then is $\Delta w_{ji} = \eta\,\delta_j\,y_i$.
#
# The graph shows the way back for three output neurons (ours has one): the errors come
# in at the right, and every arrow multiplies by the number beside it.

# %%
display(signal_flow_graph("back_propagated_error", language=language))

# %%
delta2 = e * y2 * (1 - y2)
delta1 = (1 - y1**2) * (delta2 @ W2.T)

ours = local_gradients(model, x, d)
for name, hand, library in (
    ("e", e, ours.errors),
    ("v", v1, ours.induced_fields[0]),
    ("delta", delta1, ours.local_gradients[0]),
    ("delta", delta2, ours.local_gradients[-1]),
):
    same = hand.shape == library.shape and np.allclose(hand, library, atol=1e-12)
    print(f"{name:5} {hand.shape}:", "by hand as in the library" if same else
          "NOT the library's: which line must follow your change?")  # fmt: skip
print("delta of the output neuron, per example:", delta2.ravel().round(4))
print("delta of the hidden neurons:\n", delta1.round(4))

# %% tags=["check"]
np.testing.assert_allclose(ours.errors, e, atol=1e-12)
np.testing.assert_allclose(ours.induced_fields[0], v1, atol=1e-12)
np.testing.assert_allclose(ours.induced_fields[1], v2, atol=1e-12)
np.testing.assert_allclose(ours.local_gradients[1], delta2, atol=1e-12)
np.testing.assert_allclose(ours.local_gradients[0], delta1, atol=1e-12)
np.testing.assert_allclose(ours.average_energy, E.mean(), atol=1e-12)

# %% [markdown]
# ## Equal to automatic differentiation
#
# Plain gradient descent with $\eta = 1$ subtracts the gradient. So one step of Keras's
# own optimiser on a copy of the network shows the gradient that its backend computed.

# %%
twin = keras.models.clone_model(model)
twin.set_weights(model.get_weights())
twin.compile(keras.optimizers.SGD(1.0), loss=error_energy)
twin.train_on_batch(x, d)

corrections = [part for layer in ours.corrections for part in layer]
for old, new, correction in zip(
    model.get_weights(), twin.get_weights(), corrections, strict=True
):
    compare(new - old, correction, atol=1e-6)
by_hand = [y.T @ delta / 4 for y, delta in ((x, delta1), (y1, delta2))]
largest = max(np.abs(n - o - c).max() for o, n, c in
              zip(model.get_weights(), twin.get_weights(), corrections,
                  strict=True))  # fmt: skip
print(f"largest difference to {keras.backend.backend()}: {largest:.1e}")

# %% tags=["check"]
np.testing.assert_allclose(corrections[0], by_hand[0], atol=1e-12)
np.testing.assert_allclose(corrections[2], by_hand[1], atol=1e-12)

# %% [markdown]
# ## Learning XOR by the delta rule
#
# Example by example, the weights move after each one; over the batch, once per epoch on
# $E_{av}$. Momentum adds a share $\alpha$ of the last correction, $\Delta w(n) =
# \alpha\,\Delta w(n-1) + \eta\,\delta\,y$. First one correction by hand.

# %%
begin = model.get_weights()
DeltaRule(model, learning_rate=0.5).step(x[1:2], d[1:2])
moved = model.get_weights()[0] - W1
print("the first weights move by", moved.round(4).tolist())
print("by hand                  ", (0.5 * np.outer(x[1], delta1[1])).round(4).tolist())

curves = {}
for name, arguments, momentum in (
    ("per example", {"batch_size": 1, "seed": 0}, 0.0),
    ("per example, momentum 0.8", {"batch_size": 1, "seed": 0}, 0.8),
    ("batch, momentum 0.8", {"batch_size": None}, 0.8),
):
    model.set_weights(begin)
    rule = DeltaRule(model, learning_rate=0.5, momentum=momentum)
    curves[name] = rule.fit(x, d, epochs=500, **arguments).average_energy
    print(f"{name:26} E_av: {curves[name][0]:.4f} -> {curves[name][-1]:.5f}")
    if name == "per example, momentum 0.8":
        learned = model.get_weights()
model.set_weights(learned)
answers = keras.ops.convert_to_numpy(model(x))
print("answers:", answers.ravel().round(3))

# %% tags=["check"]
np.testing.assert_allclose(moved, 0.5 * np.outer(x[1], delta1[1]), atol=1e-6)
assert ((answers > 0.5) == d).all()

# %% [markdown]
# ## The picture

# %%
blue, orange, green = "#0072B2", "#D55E00", "#009E73"
figure, (left, middle, right) = plt.subplots(
    1, 3, figsize=(14, 4.4), layout="constrained"
)
neurons = [f"{say('hidden', 'escondido')} {j}" for j in (1, 2, 3)]
neurons.append(say("output", "saída"))
table = np.hstack([delta1, delta2]).T
size = np.abs(table).max()
image = left.imshow(table, cmap="PuOr", vmin=-size, vmax=size, aspect="auto")
for j, row in enumerate(table):
    for n, value in enumerate(row):
        dark = abs(value) > 0.7 * size
        left.text(n, j, f"{value:.3f}", ha="center", va="center",
                  color="white" if dark else "black")  # fmt: skip
left.set(xticks=range(4), xticklabels=["0 0", "0 1", "1 0", "1 1"], yticks=range(4),
         yticklabels=neurons, xlabel=say("example", "exemplo"),
         ylabel=say("neuron $j$", "neurônio $j$"),
         title=say(r"Local gradients $\delta_j$ before training",
                   r"Gradientes locais $\delta_j$ antes do treino"))  # fmt: skip

styles = (("-", blue), ("-", orange), ("--", green))
for (name, curve), (style, colour) in zip(curves.items(), styles, strict=True):
    middle.semilogy(curve, style, color=colour, label=name)
middle.set(xlabel=say("epoch", "época"), ylabel="$E_{av}$",
           title=say("The delta rule at work", "A regra delta em ação"))  # fmt: skip
middle.legend()

ticks = np.linspace(-0.5, 1.5, 61)
plane = np.stack(np.meshgrid(ticks, ticks), -1).reshape(-1, 2)
response = keras.ops.convert_to_numpy(model(plane)).reshape(61, 61)
shades = right.contourf(ticks, ticks, response, levels=np.linspace(0, 1, 11),
                        cmap="cividis")  # fmt: skip
right.contour(ticks, ticks, response, levels=[0.5], colors="white")
for value, marker, label in ((0, "o", "d = 0"), (1, "s", "d = 1")):
    right.plot(*x[d[:, 0] == value].T, marker, color="white", markersize=11,
               markeredgecolor="black", label=label)  # fmt: skip
figure.colorbar(shades, ax=right, label=say("output $y$", "saída $y$"))
right.set(
    xlabel="$x_1$",
    ylabel="$x_2$",
    xticks=(-0.5, 0, 0.5, 1, 1.5),
    yticks=(-0.5, 0, 0.5, 1, 1.5),
    title=say("What the network learned", "O que a rede aprendeu"),
)
right.legend(loc="upper center", ncols=2)
in_language(figure, language)
plt.show()

# %% [markdown]
# ## Exercises
#
# Put your answers into the cell below: it says right, nearly, or what to look at again.
# Solutions are in the folder `solutions`.
#
# 1. Give the output neuron tanh and the desired responses -1 and 1. Which line of the
#    hand calculation changes? Check your new `delta2` against `local_gradients`.
# 2. Multiply all first weights by 20 before training. Look at `ours.induced_fields`
#    and at the local gradients: which factor has become almost zero, and what does
#    that do to learning?
# 3. In a new cell, build a network with a third Dense layer, of four tanh neurons.
#    Write the local gradients by hand in three lines, and compare them with
#    `local_gradients`.

# %%
check("05.1", None)  # delta2 of the second example, 0 1
check("05.2", None)  # the mean slope for 0 1, 1 0 and 1 1
check("05.3", None)  # how many local gradients an example has
