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
# # 12. AlexNet
#
# **O que foi preciso para ir dos dígitos a mil tipos de fotografia?**
#
# Em 2012 uma rede de oito camadas venceu o desafio ImageNet com 17 % de erro entre os
# seus cinco melhores palpites, quando a segunda tinha 26 %. É a LeNet-5 crescida:
# imagens maiores, mais mapas, ReLU no lugar de tanh, dropout, e convoluções empilhadas
# diretamente sobre convoluções. Foi treinada em duas placas gráficas, e ainda se vê a
# costura. Você vai calcular a tabela dela à mão, descobrir por que 224 pixels não podem
# estar certos, desmontar as duas peças peculiares e treinar uma pequena.
# (Krizhevsky, Sutskever e Hinton, 2012; Tabela 13-2 do curso.)

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display
from sklearn.datasets import load_digits, load_sample_image

from dlkeras import visualization
from dlkeras.architectures import alexnet, feature_extractor, summary_table
from dlkeras.layers import LocalResponseNormalization
from dlkeras.testing.course import check, compare, language, say

# %% [markdown]
# ## A tabela, à mão
#
# Com preenchimento VALID, $n$ pixels viram $\lfloor (n-f)/s \rfloor + 1$; com SAME
# viram $\lceil n/s \rceil$. O artigo diz 224 pixels e mapas 55x55 depois de C1, um
# kernel 11x11 com passo 4. Mas $(224-11)/4 + 1 = 54{,}25$, e SAME dá 56. Só 227 serve:
# $(227-11)/4+1 = 55$. O código dos próprios autores usava 227.
#
# No artigo, C3, C6 e C7 leem só os mapas da sua própria placa gráfica: dois *grupos*, o
# que reduz os pesos à metade.

# %%
TABLE = (  # nome, mapas ou unidades, kernel, passo, padding, grupos; pooling: sem mapas
    ("C1", 96, 11, 4, "valid", 1),
    ("S2", None, 3, 2, "valid", 1),
    ("C3", 256, 5, 1, "same", 2),
    ("S4", None, 3, 2, "valid", 1),
    ("C5", 384, 3, 1, "same", 1),
    ("C6", 384, 3, 1, "same", 2),
    ("C7", 256, 3, 1, "same", 2),
    ("S8", None, 3, 2, "valid", 1),
    ("F8", 4096, 6, 1, "valid", 1),  # uma camada densa vê todos os 6x6 pixels
    ("F9", 4096, 1, 1, "valid", 1),
    ("Out", 1000, 1, 1, "valid", 1),
)


def by_hand(size, grouped=True):
    rows, maps = {}, 3
    for name, m, f, s, padding, groups in TABLE:
        size = (size - f) // s + 1 if padding == "valid" else -(-size // s)
        reads = maps // groups if grouped else maps
        weights = f * f * reads * m if m else 0
        rows[name] = (size, weights + (m or 0), weights * size * size)
        maps = m or maps
    return rows


rows = by_hand(227)
keras.utils.set_random_seed(0)
full = alexnet(kernel_initializer="zeros")
table = summary_table(full)
for row in table:
    if row.layer in rows:
        compare(rows[row.layer][1:], (row.parameters, row.multiply_adds))
print(table)
parameters = {
    name: sum(row[1] for row in by_hand(227, grouped).values())
    for name, grouped in (("2012", True), ("one tower", False))
}
dense = sum(rows[name][1] for name in ("F8", "F9", "Out")) / parameters["2012"]
convolved = sum(row[2] for name, row in rows.items() if name[0] == "C")
print(f"as três camadas densas têm {dense:.0%} dos parâmetros, as convoluções "
      f"{convolved / table.multiply_adds:.0%} das multiplicações e somas")  # fmt: skip

# %% tags=["check"]
assert [rows[n][0] for n in ("C1", "S2", "C3", "S4", "C5")] == [55, 27, 27, 13, 13]
assert parameters == {"2012": 60_965_224, "one tower": 62_378_344}

# %% [markdown]
# Desenhada a partir do modelo; `(2 g)` marca as camadas de dois grupos.

# %%
display(visualization.architecture_diagram(full, language=language))

# %% [markdown]
# ## Duas peças peculiares, à mão
#
# *Grupos*: a primeira metade dos mapas de C3 lê a primeira metade dos mapas de baixo, a
# segunda a segunda. São duas convoluções lado a lado.
#
# *Normalização de resposta local*: um mapa forte amortece os vizinhos no mesmo pixel,
# $b_i = a_i / (2 + 10^{-4}\sum_j a_j^2)^{0{,}75}$, onde $j$ percorre os cinco mapas em
# torno de $i$.

# %%
random = np.random.default_rng(0)
below = random.normal(size=(1, 9, 9, 8)).astype("float32")
grouped = keras.layers.Conv2D(6, 3, groups=2)
grouped.build(below.shape)
kernel, bias = grouped.get_weights()  # 3x3, 4 dos 8 mapas de baixo, 6 mapas
halves = [
    keras.ops.conv(below[..., 4 * g : 4 * g + 4], kernel[..., 3 * g : 3 * g + 3])
    for g in (0, 1)
]
both_halves = keras.ops.concatenate(halves, axis=-1)
compare(*map(keras.ops.convert_to_numpy, (grouped(below), both_halves)), atol=1e-5)

a = 50 * np.abs(random.normal(size=(4, 4, 12)))
b = np.empty_like(a)
for i in range(12):
    power = np.sum(a[..., max(0, i - 2) : i + 3] ** 2, axis=-1)
    b[..., i] = a[..., i] / (2 + 1e-4 * power) ** 0.75
normalisation = LocalResponseNormalization()
library = keras.ops.convert_to_numpy(normalisation(a[None]))[0]
compare(library, b, rtol=1e-4)
print("grupos e normalização de resposta local conferem")

# %% [markdown]
# ## Uma AlexNet pequena lê dígitos
#
# Um oitavo dos mapas, 67x67 pixels (o mínimo que deixa um pixel para S8), dez classes,
# e normalização em lote, com a qual um treino curto vai longe.

# %%
digits = load_digits()
small = (digits.images[..., None] / 8 - 1).astype("float32")
resize = keras.layers.Resizing(67, 67, interpolation="bilinear")
x, labels = keras.ops.convert_to_numpy(resize(small)), digits.target
test = random.permutation(len(labels)) < 360

network = alexnet((67, 67, 1), 10, width_multiplier=0.125, normalization="batch",
                  kernel_initializer="he_normal", weight_decay=0.0)  # fmt: skip
network.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy",
                metrics=["accuracy"])  # fmt: skip
history = network.fit(x[~test], labels[~test], batch_size=32, epochs=6, verbose=0,
                      validation_data=(x[test], labels[test]))  # fmt: skip
accuracy = history.history["val_accuracy"][-1]
print(f"{network.count_params():,} parâmetros, acurácia no teste {accuracy:.3f}")

# %% tags=["check"]
assert accuracy > 0.9

# %% [markdown]
# ## As figuras
#
# Mapas de um dígito; o que fala a favor da classe (Grad-CAM em C3, onde ainda há
# 7x7 pixels); e o que um neurônio da rede completa vê de uma fotografia.

# %%
shown = x[np.flatnonzero(test)[:3]]
names = ["C1", "C3", "C5"]
values = [
    keras.ops.convert_to_numpy(maps)[0]
    for maps in feature_extractor(network, names)(shown[:1])
]
display(
    visualization.feature_maps(
        shown[0], dict(zip(names, values, strict=True)), language=language
    )
)
display(visualization.grad_cam(network, shown, "C3", language=language))

# %%
photo = load_sample_image("flower.jpg")[60:380, 160:480].astype("float32") / 255
photo = keras.ops.convert_to_numpy(keras.layers.Resizing(227, 227)(photo))
display(visualization.receptive_field(full, ["C1", "C3", "C5", "C7"], photo,
                                      language=language))  # fmt: skip

# %% [markdown]
# Onde estão os parâmetros, e onde está o trabalho: em pontas opostas.

# %%
blue, orange = "#0072B2", "#D55E00"
weighted = [name for name in rows if name[0] != "S"]
places = np.arange(len(weighted))
figure, axes = plt.subplots(figsize=(10, 4.2), layout="constrained")
for shift, column, colour, hatch, label in (
    (-0.2, 1, blue, "", say("parameters", "parâmetros")),
    (0.2, 2, orange, "//", say("multiply-adds", "multiplicações e somas")),
):
    total = sum(row[column] for row in rows.values())
    shares = [100 * rows[name][column] / total for name in weighted]
    axes.bar(places + shift, shares, 0.38, color=colour, hatch=hatch,
             edgecolor="white", label=f"{label}: {total / 1e6:.0f} M")  # fmt: skip
axes.set(xticks=places, xticklabels=weighted, ylabel="%", title="AlexNet")
axes.legend()
visualization.in_language(figure, language)
plt.show()

# %% [markdown]
# ## Exercícios
#
# Ponha as suas respostas na célula abaixo: ela diz certo, quase, ou o que ver de novo.
# As soluções estão na pasta `solutions`.
#
# 1. A Tabela 13-2 não tem pooling depois de C7. Quantos parâmetros tem então F8?
#    Construa `alexnet(version="table", pool_after_c7=False, kernel_initializer="zeros",
#    width_multiplier=0.25)` e compare com a sua fórmula.
# 2. Aqui o pooling se sobrepõe, 3x3 com passo 2. O que dariam S2, S4 e S8 com 2x2, e o
#    que isso pouparia?
# 3. A primeira camada tem passo 4, e cada pixel é visto por poucos neurônios. Quais
#    pixels na borda dos 227 são vistos por menos neurônios que os do meio?

# %%
check("12.1", None)  # parâmetros de F8 na rede que você montou
check("12.2", None)  # (S2, S4, S8), pixels de um lado
check("12.3", None)  # pixels dos 227 num eixo que um só neurônio vê
