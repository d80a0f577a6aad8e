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
# # 6. Vanishing and exploding gradients
#
# **Why do the first layers of a deep network hardly learn?**
#
# A deep network brings three problems: its gradients vanish or explode on their way
# down (this notebook), training it is slow (notebooks 2 and 3), and with millions of
# weights it learns its examples by heart (notebooks 7 and 8).
#
# In a deep network the error has a long way back. At every layer it is multiplied, by
# slopes and by weights, and twenty factors a little below 1 leave nothing while twenty
# a little above 1 blow up. (Recurrent networks, which use the same weights at each of
# hundreds of steps in time, explode most often.) You will compute that by hand for 20
# layers, watch it live with `GradientNormMonitor`, see that the textbook's story is not
# the whole one, and cure it with Xavier's and He's weights and with units that do not
# saturate.

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from dlkeras.callbacks import (
    ActivationMonitor,
    GradientNormMonitor,
    TrainingDoctor,
    diagnose,
)
from dlkeras.testing.course import check, compare, language, say
from dlkeras.visualization import in_language

# %%
digits = load_digits()
x = ((digits.data - digits.data.mean()) / digits.data.std()).astype("float32")
y = digits.target
DEPTH, WIDTH, BATCH = 20, 100, 64


def network(activation, initializer, depth=DEPTH, seed=0):
    """Hidden layers of one kind, and ten outputs without softmax."""
    keras.utils.set_random_seed(seed)
    hidden = [
        keras.layers.Dense(
            WIDTH,
            keras.layers.LeakyReLU(negative_slope=0.01)
            if activation == "leaky"
            else activation,
            kernel_initializer=keras.initializers.get(initializer).clone(),
            name=f"hidden_{number}",
        )
        for number in range(1, depth + 1)
    ]
    return keras.Sequential(
        [keras.layers.Input((64,)), *hidden, keras.layers.Dense(10)]
    )


def watched(model, optimizer, epochs=1):
    """Train with both monitors; return them."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss)
    gradients = GradientNormMonitor(frequency=1, on_finding=None)
    activations = ActivationMonitor(x[:256], on_finding=None)
    model.fit(x, y, batch_size=BATCH, epochs=epochs, shuffle=False, verbose=0,
              callbacks=[gradients, activations])  # fmt: skip
    return gradients, activations


def kernel_norms(gradients):
    """Norms of the hidden kernels' gradients in the first step, by depth."""
    history = gradients.history
    mine = [
        n.startswith("hidden") and n.endswith("kernel") for n in history.variable_names
    ]
    return history.gradient_norm[0, mine]


# %% [markdown]
# ## Twenty layers by hand
#
# The local gradients walk back by the rule of notebook 5,
# $\boldsymbol\delta_{l} = \varphi'(\mathbf v_l)\odot\mathbf W_{l+1}\boldsymbol
# \delta_{l+1}$, and the gradient of a kernel is $\mathbf y_{l-1}\boldsymbol\delta_l^T$.
# For the logistic function $\varphi' \le 1/4$. Glorot's weights have the variance
# $2/(100+100)$, so that $\mathbf W$ keeps a vector's length on average. What remains is
# $(1/4)^{19} = 3.6\cdot10^{-12}$ from the last hidden layer to the first. Gradients
# like these are called *unstable*: the layers learn at very different speeds, and here
# the first stands still while the last one learns.

# %%
model = network("sigmoid", "glorot_uniform")
kernels = [w.astype(float) for w in model.get_weights()[::2]]  # the biases are zero
outputs = [x[:BATCH].astype(float)]
for kernel in kernels[:-1]:
    outputs.append(1 / (1 + np.exp(-outputs[-1] @ kernel)))
logits = outputs[-1] @ kernels[-1]
softmax = np.exp(logits - logits.max(axis=1, keepdims=True))
softmax /= softmax.sum(axis=1, keepdims=True)

delta = (np.eye(10)[y[:BATCH]] - softmax) / BATCH  # d - p, as in notebook 5
by_hand = []
for layer in reversed(range(DEPTH)):
    delta = (
        outputs[layer + 1] * (1 - outputs[layer + 1]) * (delta @ kernels[layer + 1].T)
    )
    by_hand.insert(0, np.linalg.norm(outputs[layer].T @ delta))

found = {"sigmoid, Glorot": watched(model, keras.optimizers.SGD(0.1))}
measured = kernel_norms(found["sigmoid, Glorot"][0])
compare(measured, by_hand, rtol=1e-3)
ratio = measured[0] / measured[-1]
print(f"first over last of 20 hidden layers: {ratio:.1e}; (1/4)^19 = {0.25**19:.1e}")

# %% tags=["check"]
assert 1e-13 < ratio < 1e-10  # about 1e-11 to 1e-12: the first layer cannot learn

# %% [markdown]
# ## Not the whole story
#
# The textbook says: bad weights, N(0, 1), make the gradients vanish. They do something
# else. With variance 1 a sum of a hundred terms has the standard deviation 10, and a
# logistic unit at $v = \pm10$ is *saturated*: its slope is tiny, but the weights that
# carry the error back are ten times too large, and the two nearly cancel. The gradient
# arrives; the units are stuck all the same. With tanh, whose slope is 1 where it is not
# flat, the weights win: the gradient *explodes*.

# %%
normal = keras.initializers.RandomNormal(stddev=1.0)
for activation in ("sigmoid", "tanh"):
    found[f"{activation}, N(0, 1)"] = watched(
        network(activation, normal), keras.optimizers.SGD(0.1)
    )
# The cures of the next section, trained here to be compared.
found["tanh, Xavier"] = watched(
    network("tanh", "glorot_normal"), keras.optimizers.Adam(1e-3), epochs=3
)
found["ReLU, He"] = watched(
    network("relu", "he_normal"), keras.optimizers.Adam(1e-3), epochs=3
)

ratios, saturated, names = {}, {}, {}
for name, (gradients, activations) in found.items():
    norms = kernel_norms(gradients)
    ratios[name] = norms[0] / norms[-1]
    shares = activations.history.saturated_share[0, :DEPTH]
    saturated[name] = 0.0 if np.isnan(shares).all() else np.nanmean(shares)
    names[name] = sorted({f.name for f in diagnose(gradients, activations)})
    print(f"{name:16} first/last gradient {ratios[name]:8.1e}, saturated "
          f"{saturated[name]:4.0%}  {', '.join(names[name])}")  # fmt: skip

# %% tags=["check"]
assert "vanishing_gradient" in names["sigmoid, Glorot"]
assert saturated["sigmoid, Glorot"] < 0.01
assert ratios["sigmoid, N(0, 1)"] > 1e-3 and saturated["sigmoid, N(0, 1)"] > 0.5
assert ratios["tanh, N(0, 1)"] > 1e3 and "exploding_gradient" in names["tanh, N(0, 1)"]

# %% [markdown]
# ## The cures
#
# *Xavier* (Glorot): signal and error should keep their variance. A sum of $n$ terms of
# variance $\sigma^2$ has $n\sigma^2$, so forward wants $n_{in}\sigma^2 = 1$, backward
# $n_{out}\sigma^2 = 1$, and the compromise is $\sigma^2 = 2/(n_{in}+n_{out})$, for a
# function of slope 1 around zero such as tanh. *He*: ReLU lets only half of the power
# pass, so $\sigma^2 = 2/n_{in}$. Uniform weights between $-r$ and $r$ have the variance
# $r^2/3$, so that $r = \sqrt3\,\sigma$:
#
# | activation | normal, $\sigma$ | uniform, $r$ |
# |---|---|---|
# | tanh | $\sqrt{2/(n_{in}+n_{out})}$ | $\sqrt{6/(n_{in}+n_{out})}$ |
# | logistic | 4 times that, its slope at 0 is 1/4 | 4 times that |
# | ReLU and its kin | $\sqrt{2/n_{in}}$ | $\sqrt{6/n_{in}}$ |
#
# Keras calls them `glorot_normal`, `glorot_uniform`, `he_normal` and `he_uniform`. Both
# networks above keep their gradients within a
# factor of ten over 20 layers, and they learn.

# %%
for name, sigma in (
    ("glorot_normal", np.sqrt(2 / 200)),
    ("glorot_uniform", np.sqrt(6 / 200) / np.sqrt(3)),
    ("he_normal", np.sqrt(2 / 100)),
    ("he_uniform", np.sqrt(6 / 100) / np.sqrt(3)),
):
    drawn = keras.ops.convert_to_numpy(keras.initializers.get(name)((100, 100)))
    print(f"{name}: standard deviation {drawn.std():.4f}, by hand {sigma:.4f}")
    compare(drawn.std(), sigma, rtol=0.05)
for name in ("tanh, Xavier", "ReLU, He"):
    loss = found[name][0].history.epoch_logs[-1]["loss"]
    print(f"{name}: loss {loss:.3f} after 3 epochs (guessing: {np.log(10):.3f})")

# %% tags=["check"]
for name in ("tanh, Xavier", "ReLU, He"):
    assert 0.1 < ratios[name] < 10
    assert not {"vanishing_gradient", "exploding_gradient"} & set(names[name])
    assert found[name][0].history.epoch_logs[-1]["loss"] < 0.5 * np.log(10)

# %% [markdown]
# ## Dying ReLU, and one that can wake up
#
# One huge step can push all fields of a ReLU layer below zero, for every example. Its
# slope is then 0 everywhere and no correction ever comes back. A leaky ReLU keeps a
# slope of 0.01. We kill on purpose, with Adam's learning rate at 0.1 in place of 0.001
# for two epochs, and count the hidden units that are off for every example. Then both
# go on at 0.003 for fifteen epochs: who wakes up? With three seeds the ReLU networks
# then read 20, 28 and 10 % of the digits, the leaky ones 72, 79 and 72 %. (At 0.03
# about half of the ReLU units are off, as the course says. At 1 the leaky network does
# not come back either: that is divergence.)


# %%
def off(model):
    """Share of the hidden units whose slope is not 1 for any example."""
    values, shares = x[:512], []
    for layer in model.layers[:-1]:
        values = keras.ops.convert_to_numpy(layer(values))
        shares.append((values <= 0).all(axis=0).mean())
    return np.array(shares)


def trained(model, rate, epochs):
    """Train, without monitors; return the share of digits that are read."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(rate), loss)
    model.fit(x, y, batch_size=BATCH, epochs=epochs, shuffle=False, verbose=0)
    return np.mean(model.predict(x, batch_size=600, verbose=0).argmax(axis=1) == y)


dead, woken = {}, {}
for activation in ("relu", "leaky"):
    model = network(activation, "he_normal", depth=5)
    shocked = trained(model, 0.1, epochs=2)
    dead[activation] = off(model)
    # Now the right learning rate: who recovers?
    for _ in range(3):
        woken[activation] = trained(model, 3e-3, epochs=5)  # Adam starts over
    print(f"{activation:5}  off by layer {dead[activation].round(2)}  "
          f"reads {shocked:.2f}, and afterwards {woken[activation]:.2f}")  # fmt: skip

# %% tags=["check"]
assert dead["relu"].max() > 0.9
assert woken["leaky"] > woken["relu"] + 0.3  # over three seeds 0.51 to 0.62 more

# %% [markdown]
# ## The verdict, in one line
#
# `TrainingDoctor` has both monitors, and it looks at the model, the loss and the data,
# too. At the end of `fit` it says what a friendly colleague would say: one cause, what
# was seen of it in numbers, and one thing to change. The logistic network hears why its
# loss stays at $\ln 10$; the ReLU network with He's weights hears that it is healthy,
# and what was looked at.

# %%
verdicts = {}
for name, activation, initializer in (
    ("sigmoid, Glorot", "sigmoid", "glorot_uniform"),
    ("ReLU, He", "relu", "he_normal"),
):
    model, doctor = network(activation, initializer), TrainingDoctor(on_finding=None)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-3), loss, metrics=["accuracy"])
    model.fit(x, y, batch_size=BATCH, epochs=4, verbose=0, callbacks=[doctor])
    verdicts[name] = doctor.diagnosis
    print(f"{name}: {doctor.diagnosis.verdict}\n")

# %% tags=["check"]
assert verdicts["sigmoid, Glorot"].told[0].name == "vanishing_gradient"
assert verdicts["ReLU, He"].healthy

# %% [markdown]
# ## The picture
#
# Left, the gradient of each layer's weights in the first step. Middle, how many of each
# layer's outputs lie where the activation is flat. Right, the dead.

# %%
blue, orange, green = "#0072B2", "#D55E00", "#009E73"
pink, grey = "#CC79A7", "#666666"
figure, (left, middle, right) = plt.subplots(
    1, 3, figsize=(14, 4.6), layout="constrained"
)
layers = np.arange(1, DEPTH + 1)
styles = (("o-", blue), ("s-", orange), ("^-", pink), ("v--", green), ("x--", grey))
for (name, (gradients, activations)), (style, colour) in zip(
    found.items(), styles, strict=True
):
    left.semilogy(layers, kernel_norms(gradients), style, color=colour, markersize=4,
                  label=name)  # fmt: skip
    if "ReLU" not in name:
        shares = activations.history.saturated_share[0, :DEPTH]
        middle.plot(layers, shares, style, color=colour, markersize=4, label=name)
depth = say("layer, from input to output", "camada, da entrada à saída")
left.set(xlabel=depth, ylabel=r"$\|\partial E/\partial W\|$", xticks=range(2, 21, 3),
         title=say("Gradient in step 1", "Gradiente no passo 1"))  # fmt: skip
left.legend(fontsize=8)
middle.set(xlabel=depth, ylabel=say("share of outputs", "fração das saídas"),
           ylim=(-0.03, 1), xticks=range(2, 21, 3),
           title=say("Saturated outputs", "Saídas saturadas"))  # fmt: skip
for shift, (activation, colour) in enumerate((("relu", orange), ("leaky", green))):
    name = "ReLU" if activation == "relu" else "leaky ReLU"
    right.bar(np.arange(1, 6) + 0.4 * shift - 0.2, dead[activation], 0.38, color=colour,
              label=f"{name}: " + say("then reads", "depois lê")
              + f" {woken[activation]:.0%}")  # fmt: skip
right.set(xlabel=depth, ylabel=say("share of units", "fração das unidades"),
          ylim=(0, 1.25), title=say("Off for every example",
                                    "Desligadas para todo exemplo"))  # fmt: skip
right.legend()
in_language(figure, language)
plt.show()

# %% [markdown]
# ## Exercises
#
# Put your answers into the cell below: it says right, nearly, or what to look at again.
# Solutions are in the folder `solutions`.
#
# 1. How deep may the logistic network with Glorot's weights be before `diagnose` names
#    its gradient? Predict the depth from the factor 1/4 and the bound of the finding.
# 2. Tanh with N(0, 1) explodes. Give the kernels the standard deviation 0.1 times $s$
#    and compare the first and the last of 20 layers: their gradients, and the spread of
#    their outputs. Why are the gradients alike for every small $s$ too, and for which
#    $s$ do both signals come through? Which initialiser have you found?
# 3. Train the 20-layer ReLU network with Glorot's weights instead of He's. By which
#    factor does the standard deviation of the outputs shrink from layer to layer, and
#    what is it after 20? (`activations.history.std`)

# %%
check("06.1", None)  # hidden layers, by the prediction
check("06.2", None)  # whose initialiser it is, in quotes
check("06.3", None)  # the factor of one layer
