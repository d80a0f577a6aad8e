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
# As camadas de baixo de uma rede que aprendeu uma coisa veem traços e bordas, e traços
# e bordas servem para outras coisas também. Portanto, ache uma rede que resolva uma
# tarefa parecida, conserve as suas camadas de baixo e treine só o que precisa ser novo.
# O exemplo do curso vai de 100 tipos de figuras a alguns tipos de veículo. Aqui uma
# LeNet-5 que só viu os dígitos de 0 a 4 aprende de 5 a 9 com pouquíssimos exemplos;
# onde as fotografias do CIFAR-10 estão presentes, uma que conhece animais aprende
# veículos.

# %%
import os
from pathlib import Path

try:
    import keras
    import matplotlib.pyplot as plt
    import numpy as np
    from PIL import Image
    from sklearn.datasets import load_digits

    from dlkeras.architectures import feature_extractor, lenet5
    from dlkeras.transfer import (
        freeze,
        layerwise_learning_rates,
        replace_head,
        unfreeze,
    )
    from dlkeras.visualization import in_language
except ImportError as error:
    raise ImportError(
        f"{error}. Install what this notebook needs with, in the project's folder: "
        "pip install '.[tensorflow,visualization]' scikit-learn pillow"
    ) from error
if tuple(map(int, keras.__version__.split(".")[:2])) < (3, 14):
    raise ImportError(f"Keras 3.14 or newer is needed. Found: {keras.__version__}")
print(f"Keras {keras.__version__} on {keras.backend.backend()}, NumPy {np.__version__}")
language = os.environ.get("DLKERAS_LANGUAGE", "en")  # of the pictures: "en" or "pt"


def say(english, portuguese):
    return portuguese if language == "pt" else english


# %% [markdown]
# ## Origem e destino
#
# Faça a variável `DLKERAS_CIFAR10` nomear uma pasta com `train/CLASSE/*.jpg` e
# `test/CLASSE/*.jpg` para transferir de animais a veículos.

# %%
VEHICLES = ("airplane", "automobile", "ship", "truck")


def photographs(split):
    """Images (number, 32, 32, 3) from -1 to 1, and the names of their classes."""
    files = sorted(Path(os.environ["DLKERAS_CIFAR10"], split).glob("*/*.jpg"))
    images = np.stack([np.asarray(Image.open(file)) for file in files])
    return images.astype("float32") / 127.5 - 1, np.array(
        [f.parent.name for f in files]
    )


if os.environ.get("DLKERAS_CIFAR10"):
    (x, names), (x_test, names_test) = photographs("train"), photographs("test")
    target, target_test = np.isin(names, VEHICLES), np.isin(names_test, VEHICLES)
    task = say("animals to vehicles", "de animais a veículos")
else:
    digits = load_digits()
    resize = keras.layers.Resizing(32, 32, interpolation="bilinear")
    small = (digits.images[..., None] / 8 - 1).astype("float32")
    x, names = keras.ops.convert_to_numpy(resize(small)), digits.target
    held = np.random.default_rng(0).permutation(len(x)) < 600
    x, x_test, names, names_test = x[~held], x[held], names[~held], names[held]
    target, target_test = names >= 5, names_test >= 5
    task = say("digits 0-4 to 5-9", "dos dígitos 0-4 aos 5-9")


def numbered(names):
    return np.unique(names, return_inverse=True)[1]


y, y_test = np.empty(len(x), int), np.empty(len(x_test), int)
for mine, mine_test in ((target, target_test), (~target, ~target_test)):
    y[mine], y_test[mine_test] = numbered(names[mine]), numbered(names_test[mine_test])
print(f"{task}: {(~target).sum()} examples of the source, {target.sum()} of the target")

# %%
keras.utils.set_random_seed(0)
source = lenet5(x.shape[1:], len(np.unique(y[~target])), activation="relu")
source.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy",
               metrics=["accuracy"])  # fmt: skip
source.fit(x[~target], y[~target], batch_size=32, epochs=8, verbose=0)
_, accuracy = source.evaluate(x_test[~target_test], y_test[~target_test], verbose=0)
print(f"the source network on its own task: {accuracy:.3f}")
learnt = source.get_weights()

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
few = np.flatnonzero(target)[:10]
classes = len(np.unique(y[target]))
network = replace_head(source, classes)
frozen = freeze(network, until="F6")
print("frozen:", frozen, " trainable:", [w.path for w in network.trainable_weights])

f = keras.ops.convert_to_numpy(feature_extractor(network, "F6")(x[few]))
W, b = network.get_layer("classifier").get_weights()
v = f @ W + b
p = np.exp(v - v.max(axis=1, keepdims=True))
p /= p.sum(axis=1, keepdims=True)
np.testing.assert_allclose(p, network(x[few]), atol=1e-5)

d, eta = np.eye(classes)[y[few]], 0.1
network.compile(keras.optimizers.SGD(eta), "sparse_categorical_crossentropy")
network.train_on_batch(x[few], y[few])
W_new, b_new = network.get_layer("classifier").get_weights()
np.testing.assert_allclose(W_new, W + eta * f.T @ (d - p) / len(few), atol=1e-5)
np.testing.assert_allclose(b_new, b + eta * np.mean(d - p, axis=0), atol=1e-5)
for before, after in zip(learnt[:-2], source.get_weights()[:-2], strict=True):
    np.testing.assert_array_equal(before, after)  # the lower layers have not moved
print("one step of the head agrees, and the frozen layers are bit for bit the same")

# %% [markdown]
# ## De quantos rótulos se precisa?
#
# Três maneiras de aprender a tarefa nova com $k$ exemplos rotulados de cada classe:
# *congelada* (frozen), só a cabeça aprende; *descongelada* (thawed), a rede inteira
# continua a aprender dali, cada estágio com 0,8 vezes a taxa de aprendizagem do de
# cima; *do zero* (scratch), a partir de pesos aleatórios. Cada uma é feita três vezes,
# com outros exemplos e outros números aleatórios.
#
# Uma cabeça sozinha é uma só camada e aceita dez vezes a taxa de aprendizagem da rede
# inteira; com a mesma taxa ela ainda estaria longe do seu melhor depois de tão poucos
# passos, e *congelada* pareceria pior do que é.


# %%
def beginner(way, seed):
    """The network as it is before it has seen any of the target."""
    keras.utils.set_random_seed(seed)
    if way == "scratch":
        return lenet5(x.shape[1:], classes, activation="relu")
    source.set_weights(learnt)
    return replace_head(source, classes)


def learner(way):
    """A network that learns in this way, and its optimizer's first state."""
    unfreeze(source)
    model, adam = beginner(way, 0), keras.optimizers.Adam(1e-3)
    if way == "frozen":
        freeze(model, until="F6")
        adam = keras.optimizers.Adam(1e-2)
    if way == "thawed":
        adam = layerwise_learning_rates(model, adam, decay=0.8)
    model.compile(adam, "sparse_categorical_crossentropy", metrics=["accuracy"])
    adam.build(model.trainable_variables)
    return model, [keras.ops.convert_to_numpy(v) for v in adam.variables]


def examples(k, seed):
    """k of each class of the target, repeated to fill 15 batches of 20."""
    random = np.random.default_rng(seed)
    chosen = np.concatenate(
        [
            random.permutation(np.flatnonzero(target & (y == c)))[:k]
            for c in range(classes)
        ]
    )
    return np.concatenate(
        [random.permutation(chosen) for _ in range(300 // len(chosen))]
    )


ways, labels, seeds = ("frozen", "thawed", "scratch"), (1, 4, 15), range(3)
scores = {way: np.empty((len(labels), len(seeds))) for way in ways}
for way in ways:
    model, blank = learner(way)  # compiled once, and begun anew for each experiment
    for row, k in enumerate(labels):
        for seed in seeds:
            model.set_weights(beginner(way, seed).get_weights())
            for variable, value in zip(model.optimizer.variables, blank, strict=True):
                variable.assign(value)
            chosen = examples(k, seed)
            model.fit(x[chosen], y[chosen], batch_size=20, epochs=6, verbose=0)
            scores[way][row, seed] = model.evaluate(
                x_test[target_test], y_test[target_test], batch_size=500, verbose=0
            )[1]
        print(f"{way:8} {k:3} labels a class: {scores[way][row].mean():.3f} "
              f"+- {scores[way][row].std(ddof=1):.3f}")  # fmt: skip

gain = {way: 100 * (scores[way] - scores["scratch"]) for way in ways[:2]}
for row, k in enumerate(labels):
    print(f"{k:3} labels, points against scratch:", ", ".join(
        f"{way} {values[row].mean():+.1f} +- {values[row].std(ddof=1):.1f}"
        for way, values in gain.items()))  # fmt: skip
if os.environ.get("DLKERAS_CIFAR10"):  # few labels, and a rich source
    assert gain["frozen"].mean() > 0 < gain["thawed"][:2].mean()
else:
    assert scores["thawed"][-1].mean() > scores["frozen"][-1].mean()

# %% [markdown]
# A transferência não é uma lei; depende do que a origem tinha a dar. Nas fotografias,
# com 6.000 animais por trás, a rede congelada e a descongelada ficam ambas uns três a
# quatro pontos à frente da treinada do zero enquanto há um ou quatro rótulos por
# classe, e com 15 a congelada ainda fica. Nos dígitos a origem são 600 figurinhas de
# cinco formas: a descongelada empata com a do zero, e a *congelada* fica para trás,
# tanto mais quanto mais rótulos há. As suas camadas de cima se especializaram nas
# formas antigas, e não podem aprender as novas. São as de baixo que vale a pena
# conservar.

# %% [markdown]
# ## A figura

# %%
blue, orange, grey = "#0072B2", "#D55E00", "#666666"
figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.4), layout="constrained",
                                     width_ratios=[1.3, 1])  # fmt: skip
words = {"frozen": say("frozen", "congelada"), "thawed": say("thawed", "descongelada"),
         "scratch": say("from scratch", "do zero")}  # fmt: skip
styles = (("s-", blue), ("o-", orange), ("^--", grey))
for way, (style, colour) in zip(ways, styles, strict=True):
    left.errorbar(labels, scores[way].mean(axis=1), scores[way].std(axis=1, ddof=1),
                  fmt=style, color=colour, capsize=4, label=words[way])  # fmt: skip
left.set(xscale="log", xticks=labels, xticklabels=labels, title=task,
         xlabel=say("labels a class", "rótulos por classe"),
         ylabel=say("test accuracy", "acurácia no teste"))  # fmt: skip
left.minorticks_off()
left.grid(alpha=0.3)
left.legend()

kernel = learnt[0]  # C1 as the source task has left it: what is reused
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
# As soluções estão na pasta `solutions`.
#
# 1. Congele só o primeiro estágio, `freeze(network, until="stage1")`, e treine com
#    quatro rótulos por classe. Fica mais perto da *congelada* ou da *descongelada*?
#    Quantos parâmetros aprendem?
# 2. O que acontece com a tarefa de *origem* quando a rede descongelada aprendeu a nova?
#    Ponha a cabeça antiga de volta e avalie: chama-se esquecimento catastrófico.
# 3. Uma rede que não aprendeu nada também pode ser congelada. Congele uma LeNet-5
#    *aleatória* e treine só a cabeça. Até onde isso chega, e o que diz sobre quanto a
#    rede de origem congelada contribuiu de fato?
