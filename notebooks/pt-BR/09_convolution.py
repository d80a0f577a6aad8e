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
# # 9. Convolução
#
# **Como um filtro pequeno acha as linhas de uma fotografia inteira?**
#
# Em 1958 e 1959 David Hubel e Torsten Wiesel mostraram linhas de luz a gatos, e depois
# a macacos, e escutaram células isoladas do córtex visual. Cada uma reage a uma pequena
# região do campo visual, o *campo receptivo*, e muitas só a linhas de uma direção;
# outras têm campos maiores e reagem a combinações do que está abaixo delas (Prêmio
# Nobel de Fisiologia ou Medicina de 1981). Em 1980 Kunihiko Fukushima construiu uma
# rede desse jeito, o *neocognitron*, de onde vieram as redes convolucionais de hoje.
# Nelas cada neurônio olha um pequeno retângulo da imagem, e todos os neurônios de um
# *mapa de características* procuram a mesma coisa. Você vai calcular um mapa à mão,
# preencher a imagem com zeros, espaçar os campos com um passo (*stride*), achar as
# linhas numa fotografia e empilhar mapas sobre canais de cor.

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_image

from dlkeras.architectures import summary_table
from dlkeras.layers import PartiallyConnectedConv2D
from dlkeras.testing.course import check, compare, language, say
from dlkeras.visualization import (
    in_language,
    local_receptive_fields,
    stacked_layers,
)

# %% [markdown]
# ## Campos pequenos, juntos
#
# Cinco neurônios olham uma casa desenhada. Cada um vê um círculo, os círculos se
# sobrepõem, e um neurônio reage a uma linha de uma direção. Um neurônio acima só se
# liga a vizinhos, e reage ao que as linhas deles formam juntas. Você deve ver duas
# inclinadas, duas horizontais e uma parede; juntas, elas são a ponta do telhado, o
# telhado inteiro e um canto. Mova um círculo e veja a linha dele girar.

# %%
house = np.zeros((64, 64))
rows, columns = np.indices(house.shape)
house[(abs(rows - abs(columns - 32) - 8) <= 1) & (rows < 34)] = 1  # o telhado
house[34:60, [10, 11, 53, 54]] = 1  # duas paredes
house[[34, 35, 58, 59], 10:55] = 1  # o teto e o chão
circles = [(20, 20), (20, 44), (36, 32), (44, 11), (54, 24)]
local_receptive_fields(
    house, circles, 19, groups=[(1, 2), (1, 2, 3), (4, 5)], language=language
)

# %% [markdown]
# ## Um mapa de características, à mão
#
# O neurônio da linha $i$, coluna $j$ vê as linhas $i$ a $i+f_h-1$ e as colunas $j$ a
# $j+f_w-1$ da camada de baixo. A saída é a soma do que ele vê vezes o *filtro*, mais um
# bias. Com zeros em volta da imagem (*zero padding*), o mapa mantém o tamanho dela; com
# um passo $s_h$ e $s_w$, os campos começam em $i\,s_h$ e $j\,s_w$. Quantos zeros? O
# "same" do Keras quer $\lceil n/s\rceil$ campos em $n$ pixels, e eles alcançam
# $(\lceil n/s\rceil - 1)\,s + f$ pixels; o que falta se divide entre as duas pontas, e
# o zero que sobra vai no fim. Mude os tamanhos e veja.


# %%
def zero_padded(image, filter_size, stride=1):
    """Zeros em volta, metade de cada lado; um zero ímpar vai atrás."""
    borders = []
    for pixels in image.shape[:2]:
        fields = -(-pixels // stride)  # arredondado para cima
        zeros = max(0, (fields - 1) * stride + filter_size - pixels)
        borders.append((zeros // 2, zeros - zeros // 2))
    return np.pad(image, (*borders, (0, 0)))


def feature_map(image, kernel, bias=0.0, stride=(1, 1)):
    """Imagem (linhas, colunas, canais), kernel (f_h, f_w, canais)."""
    f_h, f_w = kernel.shape[:2]
    s_h, s_w = stride
    rows = (image.shape[0] - f_h) // s_h + 1
    columns = (image.shape[1] - f_w) // s_w + 1
    output = np.empty((rows, columns))
    for i in range(rows):
        for j in range(columns):
            seen = image[i * s_h : i * s_h + f_h, j * s_w : j * s_w + f_w]
            output[i, j] = np.sum(seen * kernel) + bias
    return output


def keras_map(image, kernel, bias=0.0, **arguments):
    layer = keras.layers.Conv2D(1, kernel.shape[:2], **arguments)
    layer.build((None, *image.shape))
    layer.set_weights([kernel[..., None], np.array([bias])])
    return keras.ops.convert_to_numpy(layer(image[None]))[0, :, :, 0]


random = np.random.default_rng(2)
kernel = random.normal(size=(3, 3, 1))
f = len(kernel)
for rows, columns in ((5, 7), (6, 8)):  # o primeiro é o exemplo do curso
    image = random.normal(size=(rows, columns, 1))
    by_hand = feature_map(image, kernel, 0.5)
    compare(by_hand, keras_map(image, kernel, 0.5), atol=1e-5)
    print(f"{rows}x{columns} -> {by_hand.shape} sem zeros")
    for s in (1, 2, 3):
        by_hand = feature_map(zero_padded(image, f, s), kernel, stride=(s, s))
        library = keras_map(image, kernel, padding="same", strides=s)
        compare(by_hand, library, atol=1e-5)
        print(f"{rows}x{columns} -> {by_hand.shape} com zeros e passo {s}")

# %% tags=["check"]
for size in ((5, 7), (6, 8), (7, 7), (9, 4)):  # the rule holds at any of them
    for f in (1, 2, 3, 5):
        for s in (1, 2, 3, 4):
            image, kernel = random.normal(size=(*size, 2)), np.ones((f, f, 2))
            np.testing.assert_allclose(
                feature_map(zero_padded(image, f, s), kernel, stride=(s, s)),
                keras_map(image, kernel, padding="same", strides=s),
                atol=1e-5,
            )
assert zero_padded(np.ones((5, 7, 1)), 3, 2).shape == (7, 9, 1)
assert feature_map(np.ones((7, 9, 1)), np.ones((3, 3, 1)), stride=(2, 2)).shape == (
    3,
    4,
)

# %% [markdown]
# Empilhe duas dessas camadas e siga um neurônio para baixo. Ele vê um retângulo de 3x3
# da camada de baixo, e o neurônio do meio vê 3x3 pixels. Você deve ver que os nove
# juntos alcançam 5x5 pixels (tracejado), e o anel de zeros que mantém o tamanho
# (pontilhado). Tente um passo de 2, ou `position=(0, 0)`, que olha para os zeros.

# %%
thin = keras.Sequential(
    [
        keras.layers.Input((9, 12, 1)),
        keras.layers.Conv2D(1, 3, padding="same", name="first"),
        keras.layers.Conv2D(1, 3, padding="same", name="second"),
    ]
)
stacked_layers(thin, ["first", "second"], language=language)

# %% [markdown]
# ## Filtros que procuram linhas
#
# Um filtro 7x7 de zeros com uma coluna de uns no meio soma o que está sobre uma pequena
# linha vertical e ignora o resto: as linhas verticais saem claras, tudo o mais fica
# borrado. Girado 90 graus, ele acha linhas horizontais. A fotografia é do Palácio de
# Verão, em Pequim.

# %%
photo = load_sample_image("china.jpg")[60:360, 80:480] / 255.0
grey = photo.mean(axis=-1, keepdims=True)
vertical = np.zeros((7, 7, 1))
vertical[:, 3] = 1 / 7  # um sétimo: o mapa fica na faixa da foto
horizontal = vertical.transpose(1, 0, 2)

maps = {}
for name, line in (("vertical", vertical), ("horizontal", horizontal)):
    maps[name] = keras_map(grey, line, padding="same")
    corner = feature_map(zero_padded(grey, 7)[:30, :30], line)
    compare(maps[name][:24, :24], corner, atol=1e-5)


def contrast(picture):
    """Mudança média de um pixel para o de baixo, e para o do lado."""
    return np.abs(np.diff(picture, axis=0)).mean(), np.abs(
        np.diff(picture, axis=1)
    ).mean()


for name, picture in (("foto", grey[:, :, 0]), *maps.items()):
    down, across = contrast(picture)
    print(f"{name:10}  mudança para baixo {down:.4f}, para o lado {across:.4f}")

# %% tags=["check"]
# The vertical filter keeps the changes across vertical lines and smooths along them.
(down_v, across_v), (down_h, across_h) = map(contrast, maps.values())
assert across_v > 1.5 * down_v and down_h > 1.5 * across_h

# %% [markdown]
# ## Mapas empilhados e canais
#
# Uma camada de verdade tem vários mapas, cada um com o seu filtro, e cada filtro
# atravessa *todos* os mapas da camada de baixo. De $c$ canais a $m$ mapas ela tem
# $m\,(f_h f_w c + 1)$ parâmetros, qualquer que seja o tamanho da imagem. Uma camada
# totalmente conectada desta foto a dois mapas do mesmo tamanho teria 86 bilhões de
# pesos.
#
# A LeNet-5 é a exceção que confirma a regra: na sua camada C3 cada mapa lê só alguns
# dos mapas de baixo. A `PartiallyConnectedConv2D` da biblioteca recebe uma tabela de
# quem lê quem, o que equivale a um filtro com zeros.

# %%
filters = random.normal(size=(7, 7, 3, 2)) / 7
biases = np.array([0.1, -0.2])
layer = keras.layers.Conv2D(2, 7, padding="same")
layer.build((None, *photo.shape))
layer.set_weights([filters, biases])
stacked = keras.ops.convert_to_numpy(layer(photo[None]))[0]
for m in range(2):
    corner = feature_map(zero_padded(photo, 7)[:30, :30], filters[..., m], biases[m])
    compare(stacked[:24, :24, m], corner, atol=1e-4)
print(f"{layer.count_params()} parâmetros; totalmente conectada: "
      f"{photo.size * 2 * photo[..., 0].size:,}")  # fmt: skip

table = np.array([[1, 0], [1, 1], [0, 1]], bool)  # o mapa 0 lê vermelho e verde
partial = PartiallyConnectedConv2D(table, 7)
partial.build((None, *photo.shape))
partial.set_weights([filters[:, :, table], biases])
masked = keras.layers.Conv2D(2, 7)
masked.build((None, *photo.shape))
masked.set_weights([filters * table, biases])
compare(
    *(keras.ops.convert_to_numpy(layer(photo[None])) for layer in (partial, masked)),
    atol=1e-4,
)
print(f"parcialmente conectada: {partial.count_params()} parâmetros")

# %% tags=["check"]
assert layer.count_params() == 2 * (7 * 7 * 3 + 1) == 296
assert partial.count_params() == 4 * 49 + 2  # four of six connections

# %% [markdown]
# Em figura: embaixo estão o vermelho, o verde e o azul da foto, acima deles uma camada
# de quatro mapas e uma de três. Você deve ver o retângulo de um neurônio atravessar
# cada folha da camada de baixo, e nenhum mapa da sua própria.

# %%
maps_of = keras.Sequential(
    [
        keras.layers.Input((25, 34, 3)),
        keras.layers.Conv2D(4, 5, padding="same", name="first"),
        keras.layers.Conv2D(3, 5, padding="same", name="second"),
    ]
)
small = photo[::12, ::12]
stacked_layers(maps_of, ["first", "second"], small, language=language)

# %% [markdown]
# ## Até onde um neurônio profundo vê
#
# Cada camada alarga o campo receptivo em $(f-1)$ passos da camada de baixo, e cada
# *stride* alonga os passos: $r \leftarrow r + (f-1)\,t$, depois $t \leftarrow t\,s$.
# Três camadas de 3x3 com passo 2 na do meio veem 9 pixels. Uma medição concorda: mude
# um pixel de cada vez e veja quais o neurônio do meio sente.

# %%
deep = keras.Sequential(
    [
        keras.layers.Input((21, 21, 1)),
        keras.layers.Conv2D(1, 3, padding="same", name="first"),
        keras.layers.Conv2D(1, 3, strides=2, padding="same", name="second"),
        keras.layers.Conv2D(1, 3, padding="same", name="third"),
    ]
)
for weight in deep.weights:
    weight.assign(np.ones(weight.shape))
r, t = 1, 1
for f, s in ((3, 1), (3, 2), (3, 1)):
    r, t = r + (f - 1) * t, t * s
seen = {row.layer: row.receptive_field for row in summary_table(deep)}
print("a tabela da biblioteca:", seen, "  à mão:", r)

pixels = np.eye(21 * 21).reshape(-1, 21, 21, 1)  # na imagem k só o pixel k vale 1
silent = deep.predict(np.zeros((1, 21, 21, 1)), verbose=0)
felt = (deep.predict(pixels, verbose=0) != silent)[:, 5, 5, 0].reshape(21, 21)
print("sentidos:", np.ptp(np.argwhere(felt), axis=0) + 1)

# %% tags=["check"]
assert seen["third"] == r == 9
assert np.ptp(np.argwhere(felt), axis=0).tolist() == [r - 1, r - 1]

# %% [markdown]
# ## A figura
#
# Em cima, a fotografia e o que dela fazem uma camada de filtros de linhas verticais e
# uma de horizontais. Embaixo, os campos: a entrada 5x7 com um anel de zeros e os
# campos de dois vizinhos com passo 2; os dois filtros; e os pixels que o neurônio
# profundo sentiu.

# %%
blue, orange, green = "#0072B2", "#D55E00", "#009E73"
figure, (above, (left, middle, right)) = plt.subplots(
    2, 3, figsize=(14, 7.6), layout="constrained", height_ratios=[1.1, 1]
)
for axes, (title, picture) in zip(
    above,
    (
        (say("photograph", "fotografia"), photo),
        (say("vertical lines", "linhas verticais"), maps["vertical"]),
        (say("horizontal lines", "linhas horizontais"), maps["horizontal"]),
    ),
    strict=True,
):
    axes.imshow(picture, cmap="gray")
    axes.set(title=title, xticks=[], yticks=[])

inside = np.zeros((7, 9))
inside[1:-1, 1:-1] = 1
left.imshow(inside, cmap="gray", vmin=-2, vmax=1.4, extent=(-1, 8, 6, -1))
left.set(xticks=range(-1, 9), yticks=range(-1, 7),
         xlabel=say("column", "coluna"), ylabel=say("row", "linha"),
         title=say("5x7 and zeros, stride 2: 3x4",
                   "5x7 e zeros, passo 2: 3x4"))  # fmt: skip
left.grid(color="white")
for column, colour, style in ((0, orange, "-"), (1, blue, "--")):
    left.add_patch(plt.Rectangle((2 * column - 1, 1), 3, 3, fill=False, linewidth=3,
                                 edgecolor=colour, linestyle=style,
                                 zorder=3))  # fmt: skip
    left.text(2 * column + 0.5, 2.5, f"1, {column}", color=colour, ha="center",
              va="center", weight="bold")  # fmt: skip

bars = np.concatenate(
    [vertical[..., 0], np.full((7, 1), np.nan), horizontal[..., 0]], 1
)
middle.imshow(bars, cmap="gray")
middle.set_facecolor(blue)
middle.set(title=say("the two filters, 7x7", "os dois filtros, 7x7"),
           xticks=[], yticks=[])  # fmt: skip

right.imshow(felt, cmap="Greys", vmax=2)
right.add_patch(plt.Rectangle((5.5, 5.5), 9, 9, fill=False, linewidth=3,
                              edgecolor=green))  # fmt: skip
right.plot(10, 10, "s", color=orange)
right.set(xticks=range(0, 21, 5), yticks=range(0, 21, 5),
          xlabel=say("column", "coluna"), ylabel=say("row", "linha"),
          title=say("9x9 pixels felt by one neuron",
                    "9x9 pixels sentidos por um neurônio"))  # fmt: skip
in_language(figure, language)
plt.show()

# %% [markdown]
# ## Exercícios
#
# Ponha as suas respostas na célula abaixo: ela diz certo, quase, ou o que ver de novo.
# As soluções estão na pasta `solutions`.
#
# 1. Um filtro cujos pesos somam zero ignora áreas lisas. Aplique à fotografia o
#    operador de Sobel `[[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]` e a transposta, que
#    dão $g_x$ e $g_y$. O que mostra $\sqrt{g_x^2 + g_y^2}$?
# 2. Duas convoluções 3x3 empilhadas veem 5x5. Compare os parâmetros com os de uma
#    convolução 5x5, de 64 mapas a 64 mapas. Que mais trazem duas camadas?
# 3. A convolução do Keras não inverte o filtro; a da matemática, sim. Com qual de
#    `np.convolve` e `np.correlate` concorda um filtro 1x7 numa imagem de uma linha?

# %%
check("09.1", None)  # g_x onde as linhas saltam de 0 para 1
check("09.2", None)  # parâmetros: duas 3x3, uma 5x5
check("09.3", None)  # o nome da função, entre aspas
