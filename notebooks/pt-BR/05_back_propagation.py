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
# # 5. Retropropagação (*back-propagation*)
#
# **Quem diz a um neurônio escondido o que ele fez de errado?**
#
# Um neurônio escondido não tem resposta desejada, e por isso ninguém pode dizer a ele
# quanto errou. A retropropagação dá a ele uma parte dos erros dos neurônios que ele
# alimenta: o *gradiente local*. Você vai calcular à mão cada grandeza de uma passagem,
# encontrar os mesmos números na biblioteca e na diferenciação automática do Keras, e
# treinar uma rede no XOR só com a regra delta. (Haykin, *Redes Neurais*, 2ª
# ed., capítulo 4.)

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display

from dlkeras.optimization import DeltaRule, error_energy, local_gradients
from dlkeras.testing.course import check, compare, language, say
from dlkeras.visualization import in_language, signal_flow_graph

# %% [markdown]
# ## Uma rede com uma camada escondida
#
# Duas entradas, três neurônios escondidos com tanh, um neurônio de saída logístico. O
# kernel de uma camada Dense guarda $w_{ji}$ na linha $i$, coluna $j$.

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
d = np.array([[0], [1], [1], [0]], float)  # XOR: nenhum neurônio sozinho consegue
W1, b1, W2, b2 = (w.astype(float) for w in model.get_weights())

# %% [markdown]
# ## A ida: campos locais induzidos e erros
#
# O campo local induzido do neurônio $j$ é $v_j = \sum_i w_{ji} y_i$ (o bias é um peso
# que vem de uma constante 1), $y_j = \varphi(v_j)$, $e_j = d_j - y_j$, a energia total
# do erro é $E(n) = \tfrac12\sum_j e_j^2$, e a energia média $E_{av}$ é a média de
# $E(n)$ sobre os exemplos.

# %%
v1 = x @ W1 + b1
y1 = np.tanh(v1)
v2 = y1 @ W2 + b2
y2 = 1 / (1 + np.exp(-v2))
e = d - y2
E = 0.5 * np.sum(e**2, axis=1)
print("E(n) =", E.round(4), "  E_av =", E.mean().round(4))

# %% [markdown]
# ## A volta: gradientes locais
#
# O gradiente local $\delta_j = -\partial E/\partial v_j$ é, pela regra da cadeia,
#
# $$\delta_j = \begin{cases} e_j\,\varphi'(v_j) & j \text{ nó de saída} \\
# \varphi'(v_j)\sum_k \delta_k w_{kj} & j \text{ nó escondido.}\end{cases}$$
#
# A soma corre pelos neurônios $k$ que $j$ alimenta: a camada *depois* da de $j$ (o
# slide do curso a chama de C). As duas ativações entregam a derivada de graça:
# $\varphi' = y(1-y)$ para a logística, $\varphi' = 1 - y^2$ para a tanh. A regra delta
# é então $\Delta w_{ji} = \eta\,\delta_j\,y_i$.
#
# O grafo mostra o caminho de volta para três neurônios de saída (a nossa rede tem um):
# os erros entram pela direita, e cada seta multiplica pelo que está escrito ao lado.

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
    print(f"{name:5} {hand.shape}:", "à mão igual à biblioteca" if same else
          "DIFERENTE da biblioteca: que linha falta mudar?")  # fmt: skip
print("delta do neurônio de saída, por exemplo:", delta2.ravel().round(4))
print("delta dos neurônios escondidos:\n", delta1.round(4))

# %% tags=["check"]
np.testing.assert_allclose(ours.errors, e, atol=1e-12)
np.testing.assert_allclose(ours.induced_fields[0], v1, atol=1e-12)
np.testing.assert_allclose(ours.induced_fields[1], v2, atol=1e-12)
np.testing.assert_allclose(ours.local_gradients[1], delta2, atol=1e-12)
np.testing.assert_allclose(ours.local_gradients[0], delta1, atol=1e-12)
np.testing.assert_allclose(ours.average_energy, E.mean(), atol=1e-12)

# %% [markdown]
# ## Igual à diferenciação automática
#
# A descida do gradiente simples com $\eta = 1$ subtrai o gradiente. Assim, um passo do
# otimizador do próprio Keras numa cópia da rede mostra o gradiente que o backend
# calculou.

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
print(f"maior diferença para o {keras.backend.backend()}: {largest:.1e}")

# %% tags=["check"]
np.testing.assert_allclose(corrections[0], by_hand[0], atol=1e-12)
np.testing.assert_allclose(corrections[2], by_hand[1], atol=1e-12)

# %% [markdown]
# ## Aprender o XOR pela regra delta
#
# Exemplo por exemplo, os pesos se movem depois de cada um; por lote, uma vez por época,
# sobre $E_{av}$. O momento soma uma parte $\alpha$ da última correção, $\Delta w(n) =
# \alpha\,\Delta w(n-1) + \eta\,\delta\,y$. Primeiro, uma correção à mão.

# %%
begin = model.get_weights()
DeltaRule(model, learning_rate=0.5).step(x[1:2], d[1:2])
moved = model.get_weights()[0] - W1
print("os primeiros pesos andam", moved.round(4).tolist())
print("à mão                   ", (0.5 * np.outer(x[1], delta1[1])).round(4).tolist())

curves = {}
for name, arguments, momentum in (
    ("exemplo por exemplo", {"batch_size": 1, "seed": 0}, 0.0),
    ("exemplo por exemplo, momento 0.8", {"batch_size": 1, "seed": 0}, 0.8),
    ("por lote, momento 0.8", {"batch_size": None}, 0.8),
):
    model.set_weights(begin)
    rule = DeltaRule(model, learning_rate=0.5, momentum=momentum)
    curves[name] = rule.fit(x, d, epochs=500, **arguments).average_energy
    print(f"{name:32} E_av: {curves[name][0]:.4f} -> {curves[name][-1]:.5f}")
    if name == "exemplo por exemplo, momento 0.8":
        learned = model.get_weights()
model.set_weights(learned)
answers = keras.ops.convert_to_numpy(model(x))
print("respostas:", answers.ravel().round(3))

# %% tags=["check"]
np.testing.assert_allclose(moved, 0.5 * np.outer(x[1], delta1[1]), atol=1e-6)
assert ((answers > 0.5) == d).all()

# %% [markdown]
# ## A figura

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
# ## Exercícios
#
# Ponha as suas respostas na célula abaixo: ela diz certo, quase, ou o que ver de novo.
# As soluções estão na pasta `solutions`.
#
# 1. Dê ao neurônio de saída a tanh e as respostas desejadas -1 e 1. Qual linha do
#    cálculo à mão muda? Confira o seu novo `delta2` com `local_gradients`.
# 2. Multiplique todos os primeiros pesos por 20 antes do treino. Olhe
#    `ours.induced_fields` e os gradientes locais: qual fator ficou quase zero, e o que
#    isso faz com a aprendizagem?
# 3. Numa célula nova, monte uma rede com uma terceira camada Dense, de quatro neurônios
#    com tanh. Escreva os gradientes locais à mão em três linhas e compare com
#    `local_gradients`.

# %%
check("05.1", None)  # delta2 do segundo exemplo, 0 1
check("05.2", None)  # a inclinação média em 0 1, 1 0 e 1 1
check("05.3", None)  # quantos gradientes locais tem um exemplo
