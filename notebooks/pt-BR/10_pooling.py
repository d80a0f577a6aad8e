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
# # 10. Pooling
#
# **Como uma rede pode não ligar se um dígito se desloca um pixel?**
#
# Uma camada de pooling encolhe a imagem: cada um dos seus neurônios olha uma pequena
# janela de um mapa e passa adiante um único número, o maior ou a média. Ela não tem
# pesos. Isso poupa cálculo, memória e, mais acima, parâmetros; e como o número quase
# não depende de *onde* na janela algo está, a rede tolera um pequeno deslocamento. Você
# vai fazer pooling à mão, contar o que se descarta e medir essa tolerância em dígitos
# de verdade.

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits, load_sample_image
from sklearn.neighbors import KNeighborsClassifier

from dlkeras.layers import Subsampling2D
from dlkeras.testing.course import check, compare, language, say
from dlkeras.visualization import in_language

# %% [markdown]
# ## Máximo, média e a da LeNet, à mão
#
# Com uma janela 2x2 e passo 2, as linhas e colunas caem em pares. Mude a forma de $(2r,
# 2c)$ para $(r, 2, c, 2)$ e os eixos de tamanho 2 são as janelas:
#
# $$y_{ij} = \max_{a,b\in\{0,1\}} x_{2i+a,\,2j+b} \qquad\text{ou}\qquad
# y_{ij} = \frac14\sum_{a,b} x_{2i+a,\,2j+b}.$$
#
# A LeNet-5 de 1998 *somava* os quatro, multiplicava por um coeficiente treinável e
# somava um bias treinável, um de cada por mapa.


# %%
def windows(maps, size):
    """(linhas, colunas, mapas): (linhas / size, size, colunas / size, size, mapas)."""
    rows, columns, number = maps.shape
    return maps.reshape(rows // size, size, columns // size, size, number)


def max_pool(maps, size=2):
    return windows(maps, size).max(axis=(1, 3))


def mean_pool(maps, size=2):
    return windows(maps, size).mean(axis=(1, 3))


flower = load_sample_image("flower.jpg")[60:380, 160:480] / 255.0
coefficient, bias = np.array([0.25, 0.5, 1.0]), np.array([0.0, 0.1, -0.2])
subsampling = Subsampling2D(2)
subsampling.build((None, *flower.shape))
subsampling.set_weights([coefficient, bias])

for layer, by_hand in (
    (keras.layers.MaxPooling2D(2), max_pool(flower)),
    (keras.layers.AveragePooling2D(2), mean_pool(flower)),
    (keras.layers.MaxPooling2D(4), max_pool(flower, 4)),
    (subsampling, coefficient * windows(flower, 2).sum(axis=(1, 3)) + bias),
):
    library = keras.ops.convert_to_numpy(layer(flower[None]))[0]
    compare(library, by_hand, atol=1e-5)
    print(f"{type(layer).__name__:18} {flower.shape} -> {library.shape}, "
          f"{layer.count_params()} parâmetros")  # fmt: skip

# %% tags=["check"]
assert subsampling.count_params() == 2 * 3

# %% [markdown]
# ## O que se descarta
#
# De cada janela o max pooling passa um número; os outros três não fazem diferença e,
# por isso, não recebem gradiente: encolha todos eles e a saída é a mesma. A média ouve
# os quatro, mas só a soma deles.

# %%
largest = np.repeat(np.repeat(max_pool(flower), 2, axis=0), 2, axis=1)
passed = flower == largest  # mais de um onde há vizinhos iguais
dropped = np.where(passed, flower, 0.5 * flower)
compare(max_pool(dropped), max_pool(flower))
print(f"o max pooling 2x2 descarta {1 - passed.mean():.0%} dos valores "
      "(75 %, a não ser por empates)")  # fmt: skip

swapped = flower.copy()
# Troca as linhas dentro das janelas.
swapped[0::2], swapped[1::2] = flower[1::2], flower[0::2]
compare(mean_pool(swapped), mean_pool(flower), atol=1e-12)
compare(max_pool(swapped), max_pool(flower))
print("trocados dentro da janela, os pixels não mudam nem a média nem o máximo")

# %% tags=["check"]
assert 0.5 < 1 - passed.mean() <= 0.75

# %% [markdown]
# ## Tolerância ao deslocamento, medida
#
# Os dígitos são ampliados para 32x32 pixels, suavemente, para que um deslocamento de um
# pixel seja pequeno. Quanto se move a imagem quando o dígito se move? Comparamos a
# mudança, $\lVert f(\text{deslocada}) - f(x)\rVert / \lVert f(x)\rVert$, antes e depois
# do pooling. Depois um classificador de vizinho mais próximo, que nunca viu um dígito
# deslocado, tem de ler os deslocados.

# %%
digits = load_digits()
small = (digits.images[..., None] / 16).astype("float32")  # (1797, 8, 8, 1)
resize = keras.layers.Resizing(32, 32, interpolation="bilinear")
images = keras.ops.convert_to_numpy(resize(small))[..., 0]
canvas = np.pad(images, ((0, 0), (8, 8), (8, 8)))  # espaço para mover


def shifted(pixels):
    return canvas[:, 8 : 8 + 32, 8 - pixels : 8 - pixels + 32]


def pooled(batch, layer):
    maps = keras.ops.convert_to_numpy(layer(batch[..., None]))
    return maps.reshape(len(batch), -1)


layers = {
    "1x1": keras.layers.MaxPooling2D(1),  # passa a imagem como ela é
    "max 2x2": keras.layers.MaxPooling2D(2),
    "média 2x2": keras.layers.AveragePooling2D(2),
    "max 8x8": keras.layers.MaxPooling2D(8),
    "média 8x8": keras.layers.AveragePooling2D(8),
}
train, test = np.arange(0, 1797, 2), np.arange(1, 1797, 2)
change, accuracy = {}, {}
shifts = range(7)
for name, layer in layers.items():
    still = pooled(images, layer)
    reader = KNeighborsClassifier(1).fit(still[train], digits.target[train])
    change[name], accuracy[name] = [], []
    for pixels in shifts:
        moved = pooled(shifted(pixels), layer)
        ratio = np.linalg.norm(moved - still, axis=1) / np.linalg.norm(still, axis=1)
        change[name].append(ratio.mean())
        accuracy[name].append(reader.score(moved[test], digits.target[test]))
    print(f"{name:9} {still.shape[1]:4} números; deslocar 2: muda "
          f"{change[name][2]:.3f}, lê {accuracy[name][2]:.3f}; "
          f"deslocar 5: {change[name][5]:.3f}, {accuracy[name][5]:.3f}")  # fmt: skip

# %% tags=["check"]
for pixels in shifts[1:]:  # the wider the window, the less moves
    for kind in (("média 2x2", "média 8x8"), ("max 2x2", "max 8x8")):
        moves = [change[n][pixels] for n in ("1x1", *kind)]
        assert moves[0] > moves[1] > moves[2]
assert accuracy["1x1"][0] > 0.97 and accuracy["média 8x8"][0] > 0.9
assert accuracy["média 8x8"][5] > accuracy["1x1"][5] + 0.05

# %% [markdown]
# A mudança sempre cai com a janela. A leitura é outro assunto. Janelas 2x2 não custam
# nada e, nestes dígitos, também não rendem nada. A média de 8x8 guarda 16 de 1.024
# números: lê pior em repouso e melhor a partir de quatro pixels. O máximo de 8x8 é o
# mais firme de todos e o que pior lê: o que não se move não distingue dígitos.
# Tolerância se compra com detalhe, e por isso as redes fazem um pouco de pooling de
# cada vez.
#
# O curso chama isso de *invariância à localização*. Dentro de uma rede as camadas
# dividem esse trabalho: uma convolução desloca o mapa quando a imagem se desloca, e
# cada pooling 2x2 corta o deslocamento pela metade. Depois de dois, quatro pixels viram
# um, e mais acima importa cada vez menos onde estava um traço.

# %% [markdown]
# ## A figura
#
# Em cima, a flor, com pooling cada vez maior; à direita, o que a média faz dela.
# Embaixo, quanto a imagem se move e quão bem um classificador ainda a lê.

# %%
blue, orange, green, grey = "#0072B2", "#D55E00", "#009E73", "#666666"
figure = plt.figure(figsize=(14, 7.6), layout="constrained")
above, below = figure.subfigures(2, 1)
pictures = (
    (f"{flower.shape[0]}x{flower.shape[1]}", flower),
    ("max 4x4", max_pool(flower, 4)),
    ("max 16x16", max_pool(flower, 16)),
    (say("mean 4x4", "média 4x4"), mean_pool(flower, 4)),
    (say("mean 16x16", "média 16x16"), mean_pool(flower, 16)),
)
for axes, (title, picture) in zip(above.subplots(1, 5), pictures, strict=True):
    axes.imshow(picture)
    axes.set(title=title, xticks=[], yticks=[])

left, right = below.subplots(1, 2)
styles = {"1x1": ("o-", grey), "max 2x2": ("s--", blue), "média 2x2": ("^--", orange),
          "max 8x8": ("s-", blue), "média 8x8": ("^-", orange)}  # fmt: skip
for name, (style, colour) in styles.items():
    left.plot(shifts, change[name], style, color=colour, label=name)
    right.plot(shifts, accuracy[name], style, color=colour, label=name)
left.set(xlabel=say("shift (pixels)", "deslocamento (pixels)"),
         ylabel=r"$\|f(x_s) - f(x)\| / \|f(x)\|$",
         title=say("How far the picture moves",
                   "Quanto a imagem se move"))  # fmt: skip
right.set(xlabel=say("shift (pixels)", "deslocamento (pixels)"),
          ylabel=say("accuracy", "acurácia"), ylim=(0, 1.02),
          title=say("Reading shifted digits",
                    "Leitura de dígitos deslocados"))  # fmt: skip
for axes in (left, right):
    axes.grid(alpha=0.3)
    axes.legend()
in_language(figure, language)
plt.show()

# %% [markdown]
# ## Exercícios
#
# Ponha as suas respostas na célula abaixo: ela diz certo, quase, ou o que ver de novo.
# As soluções estão na pasta `solutions`.
#
# 1. Um pooling 2x2 com passo 2 não trata todos os deslocamentos do mesmo modo. Ache uma
#    imagem de um pixel claro cujo mapa não muda quando ele anda um pixel para a
#    direita, e uma cujo mapa muda. Que fração dos lugares é de cada tipo?
# 2. Deixe as janelas se sobreporem, 3x3 com passo 2, como na AlexNet. Com um
#    deslocamento de um a três pixels, a mudança é maior ou menor que com 2x2?
# 3. O global average pooling toma a média do mapa inteiro. Mostre que a saída de uma
#    rede de convoluções (com bordas que dão a volta) e global average pooling não muda
#    nada quando a imagem é rolada. Qual é o preço?

# %%
check("10.1", None)  # lugares de 8x8 que não notam o deslocamento
check("10.2", None)  # mudança com 3x3 sobre a com 2x2, deslocamento 1
check("10.3", None)  # números que sobram de 7x7x1024 depois da média
