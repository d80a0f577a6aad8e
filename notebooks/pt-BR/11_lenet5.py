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
# # 11. LeNet-5
#
# **O que vê uma rede que lê dígitos manuscritos?**
#
# A LeNet-5 lia os dígitos dos cheques. Ela tem, em pequeno, tudo o que veio depois:
# convoluções que acham traços, pooling que esquece onde exatamente eles estavam, e
# camadas totalmente conectadas que decidem. Você vai calcular a tabela à mão,
# camada por camada, deixar a biblioteca confirmá-la, treiná-la em dígitos de verdade e
# olhar dentro dela: os mapas de características, o que um neurônio vê, e o que
# fala a favor de uma classe. (LeCun, Bottou, Bengio e Haffner, 1998; Tabela 13-1 do
# curso.)

# %%
import os

import keras
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display
from sklearn.datasets import load_digits

from dlkeras import visualization
from dlkeras.architectures import feature_extractor, lenet5, summary_table
from dlkeras.testing.course import check, compare, language, say

# %% [markdown]
# ## A tabela, à mão
#
# Uma convolução sem preenchimento transforma $n$ pixels em $n - f + 1$. De $c$ mapas a
# $m$ mapas ela tem $m\,(f^2c + 1)$ parâmetros e multiplica e soma $m\,f^2c$ vezes para
# cada pixel de saída. O pooling divide o tamanho por dois e não tem nem
# uma coisa nem outra. Uma camada totalmente conectada é uma convolução que só tem um
# pixel para olhar.

# %%
TABLE = (  # nome, tipo, mapas ou unidades, tamanho, kernel, passo: Tabela 13-1 do curso
    ("C1", "convolution", 6, 28, 5, 1),
    ("S2", "mean pooling", 6, 14, 2, 2),
    ("C3", "convolution", 16, 10, 5, 1),
    ("S4", "mean pooling", 16, 5, 2, 2),
    ("C5", "convolution", 120, 1, 5, 1),
    ("F6", "fully connected", 84, 1, 1, 1),
    ("Out", "fully connected", 10, 1, 1, 1),
)
by_hand, sizes, size, maps = {}, [], 32, 1
for name, kind, m, _, f, s in TABLE:
    size = (size - f) // s + 1
    sizes.append(size)
    weighted = kind != "mean pooling"
    by_hand[name] = (
        m * (f * f * maps + 1) if weighted else 0,
        m * f * f * maps * size * size if weighted else 0,
    )
    maps = m
print("tamanhos à mão:", sizes)

keras.utils.set_random_seed(0)
network = lenet5()
table = summary_table(network)
print(table)

# %% tags=["check"]
for row in table:
    if row.layer in by_hand:
        assert (row.parameters, row.multiply_adds) == by_hand[row.layer], row
assert sizes == [row[3] for row in TABLE]
assert table.parameters == 61_706 and table.multiply_adds == 416_520

# %% [markdown]
# A mesma rede, desenhada a partir do modelo: cada caixa diz o que a camada faz e a
# forma do que sai dela.

# %%
display(visualization.architecture_diagram(network, language=language))

# %% [markdown]
# A rede do artigo difere da tabela em três lugares: S2 e S4 somam os quatro pixels
# e têm dois números treináveis por mapa, cada mapa de C3 lê só alguns dos de S2, e as
# saídas são distâncias a dígitos desenhados. Ela tem 60.000 parâmetros treináveis, como
# diz o artigo.

# %%
paper = {row.layer: row for row in summary_table(lenet5(version="1998"))}
print({name: paper[name].parameters for name in by_hand})

# %% tags=["check"]
assert paper["C3"].parameters == 60 * 25 + 16 == 1516  # 60 connections of 25 weights
assert sum(row.parameters for row in paper.values()) == 60_000

# %% [markdown]
# ## Uma imagem pelas duas primeiras camadas, à mão
#
# Os dígitos têm 8x8; ampliados suavemente para 32x32, eles servem. A tinta vale 1,175 e
# o fundo -0,1, como no artigo, de modo que um pixel médio fica em torno de 0 e a
# dispersão em torno de 1. Para ver as imagens do MNIST do artigo, aponte a variável
# `DLKERAS_TFDS` para uma pasta do TensorFlow Datasets em que o MNIST já esteja
# preparado; usamos um décimo delas.

# %%
if os.environ.get("DLKERAS_TFDS"):
    import tensorflow_datasets as tfds

    parts = tfds.load("mnist", data_dir=os.environ["DLKERAS_TFDS"], download=False,
                      split=["train[:10%]", "test[:10%]"], batch_size=-1)  # fmt: skip
    images, labels = (
        np.concatenate([keras.ops.convert_to_numpy(part[key]) for part in parts])
        for key in ("image", "label")
    )
    images, test = images / 255.0, np.arange(len(images)) >= 6000
else:
    digits = load_digits()
    images, labels = digits.images[..., None] / 16, digits.target
    test = np.random.default_rng(0).permutation(len(labels)) < 360
resize = keras.layers.Resizing(32, 32, interpolation="bilinear")
x = 1.275 * keras.ops.convert_to_numpy(resize(images.astype("float32"))) - 0.1
print(f"{(~test).sum()} dígitos para aprender, {test.sum()} para testar")

image = x[0]
kernel, bias = network.get_layer("C1").get_weights()
fields = np.lib.stride_tricks.sliding_window_view(image[..., 0], (5, 5))  # 28x28x5x5
c1 = np.tanh(np.einsum("ijab,abm->ijm", fields, kernel[:, :, 0]) + bias)
s2 = np.tanh(c1.reshape(14, 2, 14, 2, 6).mean(axis=(1, 3)))

inside = feature_extractor(network, ["C1", "S2_activation"])
for hand, library in zip((c1, s2), inside(image[None]), strict=True):
    compare(keras.ops.convert_to_numpy(library)[0], hand, atol=1e-5)
print("C1 e S2 conferem")

# %% [markdown]
# ## Treino

# %%
network.compile(
    keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy", metrics=["accuracy"]
)
history = network.fit(
    x[~test], labels[~test], batch_size=32, epochs=12, verbose=0,
    validation_data=(x[test], labels[test]),
)  # fmt: skip
accuracy = history.history["val_accuracy"][-1]
print(f"acurácia no teste {accuracy:.4f}: {round((1 - accuracy) * test.sum())} de "
      f"{test.sum()} errados")  # fmt: skip

# %%
figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
epochs = range(1, len(history.history["loss"]) + 1)
axes.semilogy(epochs, history.history["loss"], "o-", color="#0072B2",
              label=say("training", "treino"))  # fmt: skip
axes.semilogy(epochs, history.history["val_loss"], "s--", color="#D55E00",
              label=say("test", "teste"))  # fmt: skip
axes.set(xlabel=say("epoch", "época"), ylabel=say("loss", "custo"))
axes.legend()
visualization.in_language(figure, language)
plt.show()

# %% tags=["check"]
assert accuracy > 0.95

# %% [markdown]
# ## As figuras
#
# Primeiro, o que a rede treinada faz de um dígito: C1 acha traços de várias direções,
# C3 os combina em algo que para nós já não é um dígito.

# %%
chosen = np.flatnonzero(test)[:3]
looking = feature_extractor(network, ["C1", "S2", "C3", "S4"])
outputs = [keras.ops.convert_to_numpy(maps)[0] for maps in looking(x[chosen[:1]])]
display(
    visualization.feature_maps(
        x[chosen[0]],
        dict(zip(("C1", "S2", "C3", "S4"), outputs, strict=True)),
        language=language,
    )
)

# %% [markdown]
# O que um neurônio no meio de cada camada vê da imagem: 5, 6, 14, 16 e, em C5, todos os
# 32 pixels.

# %%
fields = {row.layer: row.receptive_field for row in table}
display(
    visualization.receptive_field(
        network, ["C1", "C3", "S4", "C5"], x[chosen[0]], language=language
    )
)

# %% tags=["check"]
assert [fields[n] for n in ("C1", "S2", "C3", "S4", "C5")] == [5, 6, 14, 16, 32]

# %% [markdown]
# E o que fala a favor da classe que a rede respondeu (Grad-CAM em C3).

# %%
display(visualization.grad_cam(network, x[chosen], "C3", language=language))

# %% [markdown]
# ## Exercícios
#
# Ponha as suas respostas na célula abaixo: ela diz certo, quase, ou o que ver de novo.
# As soluções estão na pasta `solutions`.
#
# 1. Qual camada tem a maior parte dos parâmetros, e qual a maior parte das
#    multiplicações e somas? O que se conclui para deixar uma rede menor, e para
#    deixá-la mais rápida?
# 2. Treine com ReLU e max pooling no lugar de tanh e média, seis épocas cada, com três
#    sementes. A diferença é maior que a dispersão?
# 3. C5 é uma convolução, não uma camada totalmente conectada. Construa `lenet5((40, 48,
#    1), num_classes=0)`: qual é a forma da saída, e para que ela serviria?

# %%
check("11.1", None)  # ("mais parâmetros", "mais multiplicações e somas")
check("11.2", None)  # "sim" ou "não"
check("11.3", None)  # (altura, largura, mapas)
