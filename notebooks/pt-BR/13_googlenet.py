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
# # 13. GoogLeNet e o módulo inception
#
# **De que tamanho deve ser um filtro, se você não precisa escolher?**
#
# De que tamanho deve ser um filtro? A resposta da GoogLeNet: experimente 1x1, 3x3 e 5x5
# ao mesmo tempo, empilhe o que eles acham e deixe a próxima camada escolher. Para poder
# pagar por isso, convoluções 1x1 primeiro espremem os muitos mapas em poucos. Assim, 22
# camadas têm cerca de um nono dos parâmetros da AlexNet, e em 2014 ela venceu o desafio
# ImageNet com menos de 7 % de erro entre os cinco melhores palpites. Você vai rodar um
# módulo inception à mão, reproduzir a tabela do artigo e treinar uma GoogLeNet
# estreita. (Szegedy et al., 2015.)

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display
from sklearn.datasets import load_digits, load_sample_image

from dlkeras import visualization
from dlkeras.architectures import feature_extractor, googlenet, summary_table
from dlkeras.layers import InceptionModule
from dlkeras.testing.course import check, compare, language, say

# %% [markdown]
# ## Um módulo inception, à mão
#
# Quatro vistas de uma entrada, todas com passo 1 e preenchimento SAME, para que todas
# tenham a altura e a largura dela: uma convolução 1x1; uma 3x3 e uma 5x5, cada uma
# atrás de uma 1x1 que reduz o número de mapas; e um max pooling 3x3, seguido de uma
# 1x1. ReLU em toda parte. As saídas são empilhadas na profundidade (*depth
# concatenation*): altura e largura são iguais, então os mapas de uma vêm
# depois dos da outra no último eixo.

# %%
random = np.random.default_rng(0)
module = InceptionModule(4, 3, 5, 2, 3, 2)
module.build((None, 8, 8, 6))
for weight in module.weights:
    weight.assign(random.normal(scale=0.5, size=weight.shape))
x = random.normal(size=(1, 8, 8, 6)).astype("float32")


def convolve(values, name):
    kernel, bias = module.convolutions[name].get_weights()
    f = kernel.shape[0]
    border = ((0, 0), (f // 2, f // 2), (f // 2, f // 2), (0, 0))
    fields = np.lib.stride_tricks.sliding_window_view(
        np.pad(values, border), (f, f), axis=(1, 2)
    )
    return np.maximum(0, np.einsum("nijcab,abcm->nijm", fields, kernel) + bias)


low = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-np.inf)
pooled = np.lib.stride_tricks.sliding_window_view(low, (3, 3), axis=(1, 2)).max(
    (-2, -1)
)
by_hand = np.concatenate(
    [
        convolve(x, "1x1"),
        convolve(convolve(x, "3x3_reduce"), "3x3"),
        convolve(convolve(x, "5x5_reduce"), "5x5"),
        convolve(pooled, "pool_proj"),
    ],
    axis=-1,
)
compare(keras.ops.convert_to_numpy(module(x)), by_hand, rtol=1e-4, atol=1e-4)
print("um módulo:", x.shape, "->", by_hand.shape)

# %% [markdown]
# ## O que as reduções 1x1 poupam
#
# A inception 3a lê 192 mapas de 28x28 pixels. A sua convolução 5x5 para 32 mapas custa
# $28^2\cdot25\cdot192\cdot32 = 120$ milhões de multiplicações e somas sem redução, e
# $28^2\,(192\cdot16 + 25\cdot16\cdot32) = 12$ milhões com uma redução a 16 mapas.

# %%
direct = 28**2 * 25 * 192 * 32
reduced = 28**2 * (192 * 16 + 25 * 16 * 32)
print(f"5x5 da inception 3a: {direct / 1e6:.0f} milhões, reduzida {reduced / 1e6:.0f}")

# %% tags=["check"]
assert direct > 9 * reduced

# %% [markdown]
# ## A tabela 1 do artigo
#
# As colunas de um módulo: #1x1, #3x3 reduce, #3x3, #5x5 reduce, #5x5, pool proj. Delas
# decorrem os parâmetros, a profundidade da saída e as multiplicações e somas; o artigo
# traz estas em milhões. A camada de saída (1.024 entradas, 1.000 classes) tem 1.025.000
# dos 6.998.552 parâmetros; sem ela são 5.973.552: daí os "6 milhões" do curso.

# %%
MODULES = {  # nome: tamanho, mapas de baixo, as seis colunas, milhões no artigo
    "inception_3a": (28, 192, (64, 96, 128, 16, 32, 32), 128),
    "inception_3b": (28, 256, (128, 128, 192, 32, 96, 64), 304),
    "inception_4a": (14, 480, (192, 96, 208, 16, 48, 64), 73),
    "inception_4b": (14, 512, (160, 112, 224, 24, 64, 64), 88),
    "inception_4c": (14, 512, (128, 128, 256, 24, 64, 64), 100),
    "inception_4d": (14, 512, (112, 144, 288, 32, 64, 64), 119),
    "inception_4e": (14, 528, (256, 160, 320, 32, 128, 128), 170),
    "inception_5a": (7, 832, (256, 160, 320, 32, 128, 128), 54),
    "inception_5b": (7, 832, (384, 192, 384, 48, 128, 128), 71),
}
full = googlenet(kernel_initializer="zeros")
table = summary_table(full)
rows = {row.layer: row for row in table}
for name, (size, c, (a, r3, b, r5, d, p), printed) in MODULES.items():
    weights = c * (a + r3 + r5 + p) + 9 * r3 * b + 25 * r5 * d
    row = rows[name]
    parameters = weights + a + r3 + b + r5 + d + p
    compare((size, size, a + b + d + p), row.output)
    compare((parameters, size**2 * weights), (row.parameters, row.multiply_adds))
    print(f"{name}: {row.output}, {row.parameters:9,} parâmetros, "
          f"{row.multiply_adds / 1e6:5.1f} milhões (no artigo {printed})")  # fmt: skip
    # Os 54 da 5a no artigo pedem 48 filtros de redução, e a tabela traz 32.
    compare(printed, row.multiply_adds / 1e6, atol=3.5 if name == "inception_5a" else 1)
print(f"ao todo {table.parameters:,} parâmetros; a AlexNet tem 60,965,224")
print(table)

# %% tags=["check"]
assert rows["inception_3a"].parameters == 163_696
assert table.parameters - 1000 * (1024 + 1) == 5_973_552  # the course's 6 million
assert table.parameters == 6_998_552 and 60_965_224 / table.parameters > 8.5

# %% [markdown]
# A rede inteira, desenhada a partir do modelo. Em cada módulo estão as quatro visões
# que você fez à mão.

# %%
display(visualization.architecture_diagram(full, language=language))

# %% [markdown]
# ## Uma GoogLeNet estreita lê dígitos
#
# Um quarto dos filtros, 64x64 pixels, dez classes. O artigo treinou sem normalização em
# lote, por dias; com ela, um minuto basta.

# %%
keras.utils.set_random_seed(0)
digits = load_digits()
small = (digits.images[..., None] / 8 - 1).astype("float32")
resize = keras.layers.Resizing(64, 64, interpolation="bilinear")
x, labels = keras.ops.convert_to_numpy(resize(small)), digits.target
test = random.permutation(len(labels)) < 360

network = googlenet((64, 64, 1), 10, width_multiplier=0.25, normalization="batch",
                    dropout=0.2)  # fmt: skip
network.compile(keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy",
                metrics=["accuracy"])  # fmt: skip
network.fit(x[~test], labels[~test], batch_size=32, epochs=4, verbose=0)
_, accuracy = network.evaluate(x[test], labels[test], verbose=0)
print(f"{network.count_params():,} pesos, acurácia no teste {accuracy:.3f}")

# %% tags=["check"]
assert accuracy > 0.85

# %% [markdown]
# ## As figuras
#
# Um módulo da rede treinada: as quatro vistas de um dígito ficam lado a lado na
# profundidade. Depois, o que fala a favor de uma classe, e o que um neurônio da rede
# completa vê de uma fotografia.

# %%
shown = x[np.flatnonzero(test)[:3]]
values = keras.ops.convert_to_numpy(
    feature_extractor(network, "inception_3b")(shown[:1])
)
edges = np.cumsum([0, *(row // 4 for row in (128, 192, 96, 64))])
views = {
    f"3b {name}": values[0, ..., first : min(last, first + 8)]
    for name, first, last in zip(
        ("1x1", "3x3", "5x5", "pool"), edges[:-1], edges[1:], strict=True
    )
}
display(visualization.feature_maps(shown[0], views, language=language))
display(visualization.grad_cam(network, shown, "inception_3b", language=language))

# %%
photo = load_sample_image("china.jpg")[60:360, 100:400].astype("float32") / 255
photo = keras.ops.convert_to_numpy(keras.layers.Resizing(224, 224)(photo))
display(visualization.receptive_field(
    full, ["inception_3a", "inception_3b", "inception_4a"], photo, language=language
))  # fmt: skip

# %% [markdown]
# O trabalho dos nove módulos, contado aqui e como está no artigo.

# %%
blue, orange = "#0072B2", "#D55E00"
figure, axes = plt.subplots(figsize=(10, 4.2), layout="constrained")
places = np.arange(len(MODULES))
counted = [rows[name].multiply_adds / 1e6 for name in MODULES]
axes.bar(places, counted, color=blue, label=say("counted", "contado"))
axes.plot(places, [row[3] for row in MODULES.values()], "D", color=orange,
          label=say("printed", "impresso"))  # fmt: skip
axes.set(xticks=places, xticklabels=[name[-2:] for name in MODULES], xlabel="inception",
         ylabel=say("multiply-adds ($10^6$)", "multiplicações e somas ($10^6$)"),
         title=say("GoogLeNet, table 1", "GoogLeNet, tabela 1"))  # fmt: skip
axes.legend()
visualization.in_language(figure, language)
plt.show()

# %% [markdown]
# ## Exercícios
#
# Ponha as suas respostas na célula abaixo: ela diz certo, quase, ou o que ver de novo.
# As soluções estão na pasta `solutions`.
#
# 1. Troque cada 5x5 da inception 3a por duas 3x3 de 32 filtros. Conte à mão os pesos
#    depois da redução. (Foi o que fez o segundo artigo sobre a inception.)
# 2. A GoogLeNet faz a média dos últimos mapas 7x7 onde a AlexNet tem duas camadas
#    densas. Quantos parâmetros teria uma camada densa de 4.096 unidades sobre os mapas
#    sem a média?
# 3. Que fração da saída de cada módulo vem da 1x1, da 3x3, da 5x5 e do pooling? Como
#    muda a fração dos filtros largos de 3a a 5b, e por que os autores podem ter querido
#    isso?

# %%
check("13.1", None)  # pesos das duas 3x3, sem os biases
check("13.2", None)  # parâmetros da camada densa
check("13.3", None)  # fração de 3x3 e 5x5 juntas: (3a, 5b), 0 a 1
