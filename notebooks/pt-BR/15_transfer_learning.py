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
# # 15. Transferência de aprendizagem (*transfer learning*)
#
# **Até onde dá para chegar com quatro rótulos por classe?**
#
# As camadas de baixo de uma rede que aprendeu uma coisa veem traços e bordas, e traços
# e bordas servem para outras coisas também. Então ache uma rede que resolva uma tarefa
# parecida, conserve as camadas de baixo e treine só o que precisa ser novo. O exemplo
# do curso vai de 100 tipos de imagens a alguns tipos de veículo. Aqui uma LeNet-5 que
# conhece os 60.000 dígitos do MNIST aprende os dígitos de outras pessoas, digitalizados
# por outra máquina, com um, quatro e quinze exemplos de cada.

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from dlkeras.architectures import feature_extractor, lenet5
from dlkeras.testing.course import check, compare, language, say
from dlkeras.transfer import freeze, replace_head, unfreeze
from dlkeras.visualization import in_language

# %% [markdown]
# ## Origem e destino
#
# `lenet5(weights="mnist")` vem com a biblioteca. O destino são os 1.797 dígitos do
# scikit-learn: outras pessoas, 8x8 pixels. Origem e destino têm as mesmas dez classes,
# mais do que a transferência exige; mesmo assim jogamos fora a cabeça antiga, como é
# preciso quando as classes são novas. Como no MNIST, um dígito ocupa 20 dos 32 pixels,
# a tinta vale 1,175 e o fundo -0,1: entregue à origem o que ela conhece.

# %%
digits = load_digits()
enlarge = keras.layers.Resizing(20, 20, interpolation="bilinear")
large = enlarge((digits.images[..., None] / 16).astype("float32"))
large = np.pad(keras.ops.convert_to_numpy(large), ((0, 0), (6, 6), (6, 6), (0, 0)))
x, y = 1.275 * large - 0.1, digits.target
held = np.random.default_rng(0).permutation(len(x)) < 600
x, x_test, y, y_test = x[~held], x[held], y[~held], y[held]
classes = 10

source = lenet5(weights="mnist")
learnt = source.get_weights()
print(f"{source.count_params():,} parâmetros aprendidos em outro lugar; "
      f"{len(x)} dígitos para aprender, {len(x_test)} para testar")  # fmt: skip

# %% [markdown]
# ## Uma rede congelada e uma cabeça nova, à mão
#
# Congelada, a rede é uma função fixa $\mathbf f(\mathbf x)$, e a nova cabeça é uma
# camada, $\mathbf p = \mathrm{softmax}(\mathbf W^T\mathbf f + \mathbf b)$. A entropia
# cruzada $E = -\ln p_d$ tem a inclinação $\partial E/\partial v_k = p_k - d_k$, e a
# regra delta para a cabeça é
#
# $$\Delta\mathbf W = \eta\,\mathbf f\,(\mathbf d - \mathbf p)^T,\qquad
# \Delta\mathbf b = \eta\,(\mathbf d - \mathbf p),$$
#
# e abaixo dela nada muda.

# %%
few = np.arange(10)
network = replace_head(source, classes)
frozen = freeze(network, until="F6")
print(
    "congeladas:", frozen, " treináveis:", [w.path for w in network.trainable_weights]
)

f = keras.ops.convert_to_numpy(feature_extractor(network, "F6")(x[few]))
W, b = network.get_layer("classifier").get_weights()
v = f @ W + b
p = np.exp(v - v.max(axis=1, keepdims=True))
p /= p.sum(axis=1, keepdims=True)
library = keras.ops.convert_to_numpy(network(x[few]))
compare(p, library, atol=1e-5)

d, eta = np.eye(classes)[y[few]], 0.1
network.compile(keras.optimizers.SGD(eta), "sparse_categorical_crossentropy")
network.train_on_batch(x[few], y[few])
W_new, b_new = network.get_layer("classifier").get_weights()
compare(W_new, W + eta * f.T @ (d - p) / len(few), atol=1e-5)
compare(b_new, b + eta * np.mean(d - p, axis=0), atol=1e-5)
for before, after in zip(learnt[:-2], source.get_weights()[:-2], strict=True):
    compare(before, after)  # as camadas de baixo não se mexeram
print("um passo da cabeça confere, e as congeladas são as mesmas bit a bit")

# %% [markdown]
# ## De quantos rótulos se precisa?
#
# Três maneiras de aprender a tarefa nova com $k$ exemplos rotulados de cada classe:
# *congelada*, só a cabeça aprende; *camadas de baixo congeladas* (*de baixo*), C1 e
# C3 ficam e o resto continua a aprender (figura 11-4 do curso); *do zero*, a
# partir de pesos aleatórios. Cada uma é feita três vezes, com outros exemplos e outros
# números aleatórios.
#
# Uma cabeça sozinha é uma só camada e aceita dez vezes a taxa de aprendizagem da rede
# inteira; com a mesma taxa ela ainda estaria longe do melhor depois de tão poucos
# passos, e *congelada* pareceria pior do que é.


# %%
def beginner(way, seed):
    """A rede como é antes de ver qualquer exemplo do destino."""
    keras.utils.set_random_seed(seed)
    if way == "do zero":
        return lenet5(num_classes=classes)
    source.set_weights(learnt)
    return replace_head(source, classes)


def learner(way):
    """Uma rede que aprende desta maneira, e o primeiro estado do otimizador."""
    unfreeze(source)
    model, adam = beginner(way, 0), keras.optimizers.Adam(1e-3)
    if way == "congelada":
        freeze(model, until="F6")
        adam = keras.optimizers.Adam(1e-2)
    if way == "de baixo":
        freeze(model, until="stage2")
    model.compile(adam, "sparse_categorical_crossentropy", metrics=["accuracy"])
    adam.build(model.trainable_variables)
    return model, [keras.ops.convert_to_numpy(v) for v in adam.variables]


def examples(k, seed):
    """k de cada classe, repetidos até encher 15 lotes de 20."""
    random = np.random.default_rng(seed)
    chosen = np.concatenate(
        [random.permutation(np.flatnonzero(y == c))[:k] for c in range(classes)]
    )
    repeats = max(1, 300 // len(chosen))
    return np.concatenate([random.permutation(chosen) for _ in range(repeats)])


ways, labels, seeds = ("congelada", "de baixo", "do zero"), (1, 4, 15), range(3)
scores = {way: np.empty((len(labels), len(seeds))) for way in ways}
for way in ways:
    model, blank = learner(way)  # compilada uma vez, recomeçada em cada experimento
    for row, k in enumerate(labels):
        for seed in seeds:
            model.set_weights(beginner(way, seed).get_weights())
            for variable, value in zip(model.optimizer.variables, blank, strict=True):
                variable.assign(value)
            chosen = examples(k, seed)
            model.fit(x[chosen], y[chosen], batch_size=20, epochs=6, verbose=0)
            scores[way][row, seed] = model.evaluate(
                x_test, y_test, batch_size=600, verbose=0
            )[1]
        print(f"{way:9} {k:3} rótulos por classe: {scores[way][row].mean():.3f} "
              f"+- {scores[way][row].std():.3f}")  # fmt: skip

gain = {way: 100 * (scores[way] - scores["do zero"]) for way in ways[:-1]}
for row, k in enumerate(labels):
    print(f"{k:3} rótulos, pontos sobre o do zero:", ", ".join(
        f"{way} {values[row].mean():+.1f} +- {values[row].std():.1f}"
        for way, values in gain.items()))  # fmt: skip

# %% tags=["check"]
# Measured over three seeds: +25, +11, +7 points frozen; +13, +7, +6 with C1 and C3.
assert (gain["congelada"].mean(axis=1) > (15, 7, 4)).all()
assert (gain["de baixo"].mean(axis=1) > (4, 3, 2)).all()
assert np.diff(gain["congelada"].mean(axis=1)).max() < 0  # fewer labels, more to gain

# %% [markdown]
# A transferência ganha, e tanto mais quanto menos rótulos há: uns 25 pontos com um
# rótulo por classe, 11 com quatro, 7 com quinze. A rede toda congelada é melhor aqui
# que só as camadas de baixo, porque a tarefa é tão parecida que as de cima também
# servem. Com outras classes não serviriam, e o que vale a pena conservar são C1 e C3:
# depois da cabeça antiga, as primeiras camadas de que se abre mão são as de cima.
#
# Mas a transferência não é uma lei. Ela depende do que a origem tem a dar: uma LeNet-5
# que só viu 600 dígitos de 0 a 4 não ajuda em nada com os de 5 a 9. A página da
# biblioteca sobre transferência traz esse e outros experimentos maiores.

# %% [markdown]
# ## A figura

# %%
blue, orange, grey = "#0072B2", "#D55E00", "#666666"
figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.4), layout="constrained",
                                     width_ratios=[1.3, 1])  # fmt: skip
words = {"congelada": say("frozen", "congelada"),
         "de baixo": say("lower layers frozen", "camadas de baixo congeladas"),
         "do zero": say("from scratch", "do zero")}  # fmt: skip
styles = (("s-", blue), ("o-", orange), ("^--", grey))
for way, (style, colour) in zip(ways, styles, strict=True):
    left.errorbar(labels, scores[way].mean(axis=1), scores[way].std(axis=1),
                  fmt=style, color=colour, capsize=4, label=words[way])  # fmt: skip
left.set(xscale="log", xticks=labels, xticklabels=labels,
         title=say("digits of other writers", "dígitos de outras pessoas"),
         xlabel=say("labels a class", "rótulos por classe"),
         ylabel=say("test accuracy", "acurácia no teste"))  # fmt: skip
left.minorticks_off()
left.grid(alpha=0.3)
left.legend()

kernel = learnt[0]  # C1 como a origem a deixou: o que se reaproveita
tiles = np.concatenate([kernel[..., m].mean(axis=-1) for m in range(6)], axis=1)
limit = np.abs(tiles).max()
image = right.imshow(tiles.reshape(5, 2, 15).transpose(1, 0, 2).reshape(10, 15),
                     cmap="PuOr", vmin=-limit, vmax=limit)  # fmt: skip
for place in (4.5, 9.5):
    right.axvline(place, color="white", linewidth=3)
right.axhline(4.5, color="white", linewidth=3)
right.set(xticks=[], yticks=[],
          title=say("C1: filters to reuse", "C1: filtros a reaproveitar"))  # fmt: skip
figure.colorbar(image, ax=right, label="$w$", shrink=0.8)
in_language(figure, language)
plt.show()

# %% [markdown]
# ## Exercícios
#
# Ponha as suas respostas na célula abaixo: ela diz certo, quase, ou o que ver de novo.
# As soluções estão na pasta `solutions`.
#
# 1. Descongele a rede inteira: sem `freeze`, e com
#    `layerwise_learning_rates(model, adam, decay=0.8)` de `dlkeras.transfer`, que dá
#    passos menores às camadas de baixo. Com quatro rótulos por classe, fica mais perto
#    da *congelada* ou da que tem só *as camadas de baixo congeladas*? Quantos
#    parâmetros aprendem em cada uma?
# 2. Origem e destino têm as mesmas dez classes. Quantos dígitos a origem lê com a
#    cabeça antiga, sem um único rótulo? A partir de quantos rótulos uma cabeça nova é
#    melhor?
# 3. Uma rede que não aprendeu nada também pode ser congelada. Congele uma LeNet-5
#    *aleatória* e treine só a cabeça. Até onde isso chega, e o que diz sobre quanto a
#    rede de origem congelada contribuiu de fato?

# %%
check("15.1", None)  # parâmetros que aprendem: (congelada, só embaixo, descongelada)
check("15.2", None)  # acurácia da cabeça antiga, 0 a 1
check("15.3", None)  # acurácia da rede aleatória congelada, 0 a 1
