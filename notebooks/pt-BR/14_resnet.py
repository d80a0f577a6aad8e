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
# # 14. ResNet e a aprendizagem residual
#
# **Por que redes mais profundas pioram, e como uma simples soma mudou isso?**
#
# Uma rede mais profunda deveria ser ao menos tão boa quanto uma rasa: as camadas a mais
# poderiam só passar adiante o que recebem. Mas camadas têm dificuldade em aprender a
# não fazer nada, e redes simples *pioram* quando ficam mais profundas, também nos dados
# de treino. He e seus colegas fizeram do não fazer nada o ponto de partida: um atalho
# leva a entrada por fora das camadas, e estas só aprendem o que somar. Com 152 camadas
# eles venceram o desafio ImageNet de 2015 com menos de 3,6 % de erro entre os cinco
# melhores palpites. (He, Zhang, Ren e Sun, 2016.)

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display
from sklearn.datasets import load_digits, load_sample_image

from dlkeras import visualization
from dlkeras.architectures import (
    feature_extractor,
    resnet18,
    resnet20,
    resnet34,
    resnet50,
    summary_table,
)
from dlkeras.layers import ResidualBlock
from dlkeras.testing.course import check, compare, language, say

# %% [markdown]
# ## Um bloco residual, à mão
#
# Se as camadas devem modelar $h(\mathbf x)$, some a entrada à saída delas, e elas terão
# de modelar $f(\mathbf x) = h(\mathbf x) - \mathbf x$. O bloco do artigo é
#
# $$\mathbf y = \max\bigl(0,\; \mathbf x + N_2(\mathbf W_2 * \max(0, N_1(\mathbf W_1 *
# \mathbf x)))\bigr)$$
#
# com duas convoluções 3x3 e a normalização em lote $N(v) = \gamma\,(v-\mu)/
# \sqrt{\sigma^2+\epsilon} + \beta$. Na volta, a soma dentro do $\max$ de fora tem uma
# identidade na derivada: ali o erro passa, sejam quais forem os pesos. Mas a ReLU de
# fora só o deixa passar onde essa soma é positiva.


# %%
def convolve(image, kernel):
    """3x3 com um anel de zeros; imagem (linhas, colunas, mapas)."""
    padded = np.pad(image, ((1, 1), (1, 1), (0, 0)))
    fields = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(0, 1))
    return np.einsum("ijcab,abcm->ijm", fields, kernel)


def normalise(v, gamma, beta, mean, variance):
    return gamma * (v - mean) / np.sqrt(variance + 1e-5) + beta


random = np.random.default_rng(0)
block = ResidualBlock(4)
block.build((None, 6, 6, 4))
block.set_weights([np.abs(random.normal(size=w.shape)) for w in block.get_weights()])
parts = {w.path.split("/", 1)[-1]: keras.ops.convert_to_numpy(w) for w in block.weights}
image = random.normal(size=(6, 6, 4))


def normalisation(number):
    names = ("gamma", "beta", "moving_mean", "moving_variance")
    return [parts[f"normalization_{number}/{name}"] for name in names]


hidden = convolve(image, parts["convolution_1/kernel"])
hidden = np.maximum(0, normalise(hidden, *normalisation(1)))
added = normalise(convolve(hidden, parts["convolution_2/kernel"]), *normalisation(2))
y = np.maximum(0, image + added)
library = keras.ops.convert_to_numpy(block(image[None].astype("float32")))[0]
compare(library, y, rtol=1e-4, atol=1e-4)

# Não fazer nada está a um número: com gamma_2 = 0 o bloco é o seu atalho.
idle = ResidualBlock(4, zero_gamma=True)
positive = np.abs(image)[None].astype("float32")
compare(keras.ops.convert_to_numpy(idle(positive)), positive)
print("o bloco confere, e fica parado onde deve")

# %% [markdown]
# ## Onde o erro passa, e onde não passa
#
# Faça $\beta_2$ virar -10, como um único passo ruim pode fazer. Toda soma fica
# negativa, a ReLU de fora se fecha e a derivada é exatamente 0: o atalho não ajuda. Com
# $\gamma_2 = 0$ o bloco é $\max(0, \mathbf x)$, que deixa passar onde $\mathbf x$ é
# positivo. Um ano depois os autores puseram a normalização e a ReLU *antes* de cada
# convolução ("Identity mappings in deep residual networks", 2016). Esse bloco de
# pré-ativação é
#
# $$\mathbf y = \mathbf x + \mathbf W_2 * \max(0, N_2(\mathbf W_1 * \max(0,
# N_1(\mathbf x)))),$$
#
# sem nada depois da soma, e a derivada tem uma identidade, aconteça o que acontecer
# com os pesos.


# %%
def slopes(block, h=1e-3):
    """Quanto cada saída sobe quando todas as entradas sobem um pouco."""
    ends = [
        keras.ops.convert_to_numpy(block((image[None] + step).astype("float32")))
        for step in (-h, h)
    ]
    return (ends[1] - ends[0]) / (2 * h)


found = {}
for version in ("v1", "v2"):
    for name, value in (("beta", -10.0), ("gamma", 0.0)):
        block = ResidualBlock(4, version=version)
        block.build((None, 6, 6, 4))
        for weight in block.weights:
            if weight.path.endswith(f"normalization_2/{name}"):
                weight.assign(np.full(weight.shape, value))
        found[version, name] = slopes(block)
        print(f"{version}, {name} 2 = {value:5}: chega erro a "
              f"{np.mean(found[version, name] != 0):.0%} das entradas")  # fmt: skip

# %% tags=["check"]
assert (found["v1", "beta"] == 0).all()  # shut, shortcut or not
assert 0.3 < np.mean(found["v1", "gamma"] == 0) < 0.7  # max(0, x)
for name in ("beta", "gamma"):
    np.testing.assert_allclose(found["v2", name], 1, atol=1e-3)  # the identity

# %% [markdown]
# ## A tabela 1 do artigo, à mão
#
# Depois de uma convolução 7x7 com passo 2 e de um pooling vêm quatro grupos de blocos,
# com 56, 28, 14 e 7 pixels. Um bloco básico são duas convoluções 3x3; um gargalo
# (*bottleneck*) espreme com uma 1x1, trabalha com uma 3x3 e alarga com uma 1x1 para
# quatro vezes mais mapas. O artigo conta bilhões de multiplicações e somas: 1,8, 3,6,
# 3,8, 7,6 e 11,3.


# %%
def multiply_adds(counts, bottleneck):
    total, maps = 112**2 * 7 * 7 * 3 * 64, 64
    for group, (count, width, size) in enumerate(
        zip(counts, (64, 128, 256, 512), (56, 28, 14, 7), strict=True)
    ):
        out = 4 * width if bottleneck else width
        for number in range(count):
            if bottleneck:
                total += size**2 * (maps * width + 9 * width**2 + width * out)
            else:
                total += size**2 * (9 * maps * width + 9 * width**2)
            if maps != out and not (number or (group == 0 and not bottleneck)):
                total += size**2 * maps * out  # uma projeção 1x1 no atalho
            maps = out
    return total + maps * 1000


PRINTED = {
    18: ((2, 2, 2, 2), False, 1.8),
    34: ((3, 4, 6, 3), False, 3.6),
    50: ((3, 4, 6, 3), True, 3.8),
    101: ((3, 4, 23, 3), True, 7.6),
    152: ((3, 8, 36, 3), True, 11.3),
}
counted = {depth: multiply_adds(*row[:2]) for depth, row in PRINTED.items()}
networks, tables = {}, {}
for depth, build in ((18, resnet18), (34, resnet34), (50, resnet50)):
    networks[depth] = build(kernel_initializer="zeros")  # aqui só importam as formas
    tables[depth] = summary_table(networks[depth])
for depth, (counts, _, printed) in PRINTED.items():
    print(f"ResNet-{depth}: blocos {counts}, {counted[depth] / 1e9:.2f} bilhões")
    # O artigo ora corta um dígito, ora arredonda.
    compare(printed, counted[depth] / 1e9, atol=0.1)
print(tables[18])

# %% tags=["check"]
for depth, table in tables.items():
    assert table.multiply_adds == counted[depth]

# %% [markdown]
# A ResNet-18, desenhada a partir do modelo: cada bloco mostra as duas convoluções
# e, acima delas, o atalho.

# %%
display(visualization.architecture_diagram(networks[18], language=language))

# %% [markdown]
# ## Mais profunda é pior, e com atalhos não é
#
# O experimento do artigo em pequeno: redes de convoluções 3x3 em dígitos de verdade,
# com 8 e 32 camadas, com atalhos e sem eles, todas com normalização em lote. O atalho
# da `resnet20` e suas parentes não tem parâmetros, e cada par tem os mesmos pesos.
# Olhamos o custo no *treino*: não se trata de sobreajuste.

# %%
digits = load_digits()
resize = keras.layers.Resizing(16, 16, interpolation="bilinear")
small = (digits.images[..., None] / 8 - 1).astype("float32")
x = keras.ops.convert_to_numpy(resize(small))
test = random.permutation(len(x)) < 360
labels = digits.target


def tower(n, shortcuts, width=8):
    """6n + 2 camadas: n blocos de cada uma de três larguras."""
    keras.utils.set_random_seed(1)
    inputs = keras.layers.Input((16, 16, 1))
    values = keras.layers.Conv2D(width, 3, padding="same", activation="relu")(inputs)
    for stage in range(3):
        for number in range(n):
            filters, stride = width * 2**stage, 2 if stage and not number else 1
            if shortcuts:
                values = ResidualBlock(filters, stride, shortcut="A")(values)
                continue
            for step in (stride, 1):
                values = keras.layers.Conv2D(
                    filters, 3, step, padding="same", use_bias=False,
                    kernel_initializer="he_normal",
                )(values)  # fmt: skip
                values = keras.layers.BatchNormalization(momentum=0.9)(values)
                values = keras.layers.ReLU()(values)
    values = keras.layers.GlobalAveragePooling2D()(values)
    return keras.Model(inputs, keras.layers.Dense(10, "softmax")(values))


curves, sizes = {}, {}
for n, shortcuts in ((1, False), (5, False), (1, True), (5, True)):
    model = tower(n, shortcuts)
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9),
                  "sparse_categorical_crossentropy")  # fmt: skip
    name = f"{6 * n + 2} " + ("+" if shortcuts else "-")
    history = model.fit(x[~test], labels[~test], batch_size=64, epochs=4, verbose=0)
    curves[name] = history.history["loss"]
    sizes[name] = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    print(f"{6 * n + 2:2} camadas, {'com' if shortcuts else 'sem'} atalhos: "
          f"{sizes[name]:,} parâmetros, custo {curves[name][-1]:.3f}")  # fmt: skip

# %% tags=["check"]
assert sizes["32 -"] == sizes["32 +"] and sizes["8 -"] == sizes["8 +"]
assert curves["32 -"][-1] > 1.5 * curves["8 -"][-1]
assert curves["32 +"][-1] < curves["32 -"][-1] / 2

# %% [markdown]
# ## O que fala a favor de uma classe
#
# A ResNet termina numa média sobre todos os pixels e uma camada densa, e a pontuação da
# classe $c$ é $y^c = \sum_k w^c_k \frac1{hw}\sum_{ij} A^k_{ij} + b^c$. A sua inclinação
# em relação a cada pixel do mapa $k$ é $w^c_k/(hw)$. Esse é o peso do Grad-CAM, e o seu
# mapa é $\max(0, \sum_k w^c_k A^k/(hw))$: lido dos pesos, sem retropropagação.

# %%
keras.utils.set_random_seed(0)
network = resnet20((16, 16, 1), 10, width_multiplier=0.5)
network.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy",
                metrics=["accuracy"])  # fmt: skip
network.fit(x[~test], labels[~test], batch_size=32, epochs=5, verbose=0)
_, accuracy = network.evaluate(x[test], labels[test], verbose=0)
print(f"ResNet-20 de meia largura: acurácia no teste {accuracy:.3f}")

shown = x[np.flatnonzero(test)[:3]]
maps = keras.ops.convert_to_numpy(feature_extractor(network, "stage3")(shown))
weights, _ = network.layers[-1].get_weights()
ours, classes = visualization.grad_cam_map(network, shown, "stage3")
by_hand = np.einsum("nijk,kn->nij", maps, weights[:, classes]) / maps[0, ..., 0].size
compare(ours, np.maximum(by_hand, 0), atol=1e-5)
print("o Grad-CAM confere com os pesos da última camada")

# %% tags=["check"]
assert accuracy > 0.9

# %% [markdown]
# ## As figuras
#
# O que os mapas mais profundos fazem de um dígito, e o que fala a favor da classe.

# %%
stages = feature_extractor(network, ["stage1", "stage2", "stage3"])
values = [keras.ops.convert_to_numpy(maps)[0] for maps in stages(shown[:1])]
display(
    visualization.feature_maps(
        shown[0], dict(zip(("stage1", "stage2", "stage3"), values, strict=True)),
        language=language,
    )
)  # fmt: skip
display(visualization.grad_cam(network, shown, "stage2", language=language))

# %% [markdown]
# O que um neurônio da ResNet-18 vê de uma fotografia de 224x224 pixels: já no terceiro
# estágio, 16 vezes menor que a imagem, quase tudo.

# %%
photo = load_sample_image("china.jpg")[60:360, 100:400].astype("float32") / 255
photo = keras.ops.convert_to_numpy(keras.layers.Resizing(224, 224)(photo))
display(visualization.receptive_field(
    networks[18], ["stage1", "stage2", "stage3"], photo, language=language
))  # fmt: skip

# %% [markdown]
# E o experimento. Sem atalhos, 32 camadas aprendem pior que 8; com eles, melhor.

# %%
blue, orange = "#0072B2", "#D55E00"
figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.4), layout="constrained")
for name, curve in curves.items():
    depth, kind = name.split()
    colour, style = (blue if kind == "+" else orange), ("-" if depth == "32" else "--")
    words = say("shortcuts", "atalhos") if kind == "+" else say("plain", "sem atalhos")
    left.semilogy(range(1, len(curve) + 1), curve, "o" + style, color=colour,
                  label=f"{depth} {say('layers', 'camadas')}, {words}")  # fmt: skip
left.set(xlabel=say("epoch", "época"), ylabel=say("training loss", "custo no treino"),
         xticks=range(1, len(curve) + 1), title=say("Deeper is worse, or not",
                                       "Mais profunda é pior, ou não"))  # fmt: skip
left.legend()
left.grid(alpha=0.3)
depths = list(PRINTED)
right.bar(range(5), [counted[d] / 1e9 for d in depths], color=blue,
          label=say("counted", "contado"))  # fmt: skip
right.plot(range(5), [PRINTED[d][2] for d in depths], "D", color=orange,
           label=say("printed", "impresso"))  # fmt: skip
right.set(xticks=range(5), xticklabels=[f"ResNet-{d}" for d in depths],
          ylabel=say("multiply-adds ($10^9$)", "multiplicações e somas ($10^9$)"),
          title=say("Table 1 of the paper", "Tabela 1 do artigo"))  # fmt: skip
right.legend()
visualization.in_language(figure, language)
plt.show()

# %% [markdown]
# ## Exercícios
#
# Ponha as suas respostas na célula abaixo: ela diz certo, quase, ou o que ver de novo.
# As soluções estão na pasta `solutions`.
#
# 1. As redes para o CIFAR têm $6n+2$ camadas com 16, 32 e 64 filtros. Conte à mão os
#    pesos das convoluções e da camada densa para $n = 3$ e compare com `resnet20` (que
#    tem também normalizações). O artigo dá 0,27 milhão.
# 2. Por que a ResNet-50 dá pouco mais trabalho que a ResNet-34? Compare as
#    multiplicações e somas de um bloco básico com 256 mapas às de um gargalo com 256
#    mapas na entrada e na saída.
# 3. Multiplique por 0,01 o segundo kernel de cada bloco de uma ResNet-20 não treinada.
#    O que acontece com a resposta da rede quando você então remove um bloco? Por que a
#    normalização em lote estraga o experimento, e `normalization=None` não?

# %%
check("14.1", None)  # pesos das convoluções e da camada densa
check("14.2", None)  # bloco básico sobre gargalo
check("14.3", None)  # fator na saída normalizada quando o kernel é 0.01 vez
