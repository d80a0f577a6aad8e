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
# # 8. Aumento de dados (*data augmentation*)
#
# **Você tem dez exemplos de cada dígito. Dá para fazer mais a partir deles?**
#
# Um sete deslocado de um pixel ainda é um sete, e ninguém precisa escrevê-lo: novos
# exemplos de treino podem ser feitos a partir dos antigos. O truque é fazê-los
# *realistas*; uma pessoa não deveria saber dizer quais foram feitos. Ruído branco não é
# uma mudança dessas, e somá-lo não ajuda. Você vai deslocar à mão, ver por
# que o ruído não ensina nada sobre setes, e medir as duas coisas em dígitos de verdade.

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display
from sklearn.datasets import load_digits, load_sample_image

from dlkeras import visualization
from dlkeras.optimization import QuadraticSurface
from dlkeras.testing.course import check, language, say

# %% [markdown]
# ## Deslocar e espelhar, à mão
#
# Um deslocamento de um pixel move todas as linhas e preenche a lacuna com fundo;
# espelhar inverte as colunas. As camadas do Keras sorteiam essas mudanças; com as duas
# pontas do intervalo iguais, fazem exatamente a que queremos.

# %%
digits = load_digits()
images = (digits.images[..., None] / 16).astype("float32")  # (1797, 8, 8, 1)

down = np.zeros_like(images)
down[:, 1:] = images[:, :-1]
by_one = keras.layers.RandomTranslation((1 / 8, 1 / 8), (0, 0), fill_mode="constant")
shifted = keras.ops.convert_to_numpy(by_one(images[:20], training=True))

flip = keras.layers.RandomFlip("horizontal", seed=0)
flipped = keras.ops.convert_to_numpy(flip(images[:20], training=True))
print("as camadas deslocam e espelham como nós, e não tocam nas imagens de teste")

# %% tags=["check"]
np.testing.assert_allclose(shifted, down[:20], atol=1e-5)
for new, old in zip(flipped, images[:20], strict=True):
    assert np.allclose(new, old) or np.allclose(new, old[:, ::-1])
np.testing.assert_array_equal(flip(images[:20], training=False), images[:20])

# %% [markdown]
# ## Por que o ruído branco não ensina nada sobre os dígitos
#
# Tome um neurônio linear com a função de custo $\tfrac12(d - \mathbf w^T\mathbf x)^2$ e
# some à entrada um ruído $\mathbf n$ de variância $\sigma^2$. Na média sobre o ruído,
#
# $$\mathrm E\,\tfrac12\bigl(d - \mathbf w^T(\mathbf x + \mathbf n)\bigr)^2 =
# \tfrac12(d - \mathbf w^T\mathbf x)^2 + \tfrac{\sigma^2}{2}\lVert\mathbf w\rVert^2,$$
#
# porque o termo misto tem média zero e o quadrado de $\mathbf w^T\mathbf n$ tem média
# $\sigma^2\lVert\mathbf w\rVert^2$. É o custo antigo mais decaimento de pesos: o ruído
# diz "mantenha os pesos pequenos", e nada sobre como pode ser um sete. O mínimo vai de
# $\mathbf R^{-1}\mathbf p$ para $(\mathbf R + \sigma^2\mathbf I)^{-1} \mathbf p$.

# %%
random = np.random.default_rng(0)
x = random.normal(size=(400, 3)) @ [[1, 0.5, 0], [0, 1, 0.3], [0, 0, 1]]
d = x @ [2.0, -1.0, 0.5] + 0.1 * random.normal(size=400)
sigma, copies = 0.7, 2000
R, p = x.T @ x / 400, x.T @ d / 400
with_decay = np.linalg.solve(R + sigma**2 * np.eye(3), p)

noisy = np.tile(x, (copies, 1))
noisy += sigma * random.normal(size=noisy.shape)
surface = QuadraticSurface.from_data(noisy, np.tile(d, copies))
print("puro", np.linalg.solve(R, p).round(3), " cópias com ruído",
      surface.minimizer.round(3), " decaimento", with_decay.round(3))  # fmt: skip

# %% tags=["check"]
np.testing.assert_allclose(surface.minimizer, with_decay, atol=0.01)

# %% [markdown]
# ## A galeria
#
# Uma flor, e um dígito, em novas versões: deslocados, girados, ampliados, com outra
# luz, e com ruído branco. Uma flor espelhada é uma flor; um 3 espelhado não é um
# dígito.

# %%
keras.utils.set_random_seed(1)
layers = {
    say("shift", "deslocar"): keras.layers.RandomTranslation(0.12, 0.12, "constant"),
    say("turn", "girar"): keras.layers.RandomRotation(15 / 360, "constant"),
    say("zoom", "ampliar"): keras.layers.RandomZoom((-0.2, 0.2), None, "constant"),
    say("contrast", "contraste"): keras.layers.RandomContrast(0.6, value_range=(0, 1)),
    say("flip", "espelhar"): keras.layers.RandomFlip("horizontal"),
    say("noise", "ruído"): keras.layers.GaussianNoise(0.25),
}
flower = load_sample_image("flower.jpg")[60:380, 160:480].astype("float32") / 255
flower = keras.ops.convert_to_numpy(keras.layers.Resizing(96, 96)(flower))
three = np.kron(images[3], np.ones((12, 12, 1))).repeat(3, axis=-1).astype("float32")
originals = np.stack([flower, three])
variants = np.stack(
    [
        np.clip(keras.ops.convert_to_numpy(layer(originals, training=True)), 0, 1)
        for layer in layers.values()
    ],
    axis=1,
)
display(visualization.augmentation_grid(originals, variants, captions=list(layers),
                                        language=language))  # fmt: skip

# %% [markdown]
# ## O que ajuda, medido
#
# Dez exemplos de cada dígito para aprender. Cada um é usado vinte vezes: como é; dez
# vezes com ruído branco; ou dez vezes movido, isto é, um pouco deslocado, girado e
# ampliado. O número de passos de treino é o mesmo. A rede lê então dígitos que nunca
# viu: como foram coletados, centrados e em pé, e movidos. Tudo é repetido com várias
# sementes, com outros exemplos, e comparado aos pares.
#
# Os dígitos foram feitos contando a tinta em blocos 4x4 de 32x32 pixels, e por isso os
# movemos onde há espaço: ampliados para 32x32, e contados de novo.

# %%
EXAMPLES, COPIES, SEEDS = 10, 10, 4
enlarge = keras.layers.Resizing(32, 32, interpolation="bilinear")
movements = (
    keras.layers.RandomTranslation(0.1, 0.1, "constant", seed=1),
    keras.layers.RandomRotation(15 / 360, "constant", seed=2),
    keras.layers.RandomZoom((-0.15, 0.15), None, "constant", seed=3),
)
count = keras.layers.AveragePooling2D(4)
white = keras.layers.GaussianNoise(0.3, seed=4)


def moved(batch):
    batch = enlarge(batch)
    for layer in movements:
        batch = layer(batch, training=True)
    return keras.ops.convert_to_numpy(count(batch))


def noisy(batch):
    return keras.ops.convert_to_numpy(white(batch, training=True))


changes = {"como são": lambda batch: batch, "ruído": noisy, "movidos": moved}
tests = {"centrados": images, "movidos": moved(images)}


def score(change, seed):
    """Acurácia nos dois testes depois de treinar com poucos exemplos e cópias."""
    random = np.random.default_rng(seed)
    few = np.concatenate(
        [
            random.permutation(np.flatnonzero(digits.target == c))[:EXAMPLES]
            for c in range(10)
        ]
    )
    rest = np.setdiff1d(np.arange(len(images)), few)
    keras.utils.set_random_seed(seed)
    copies = np.tile(images[few], (COPIES, 1, 1, 1))
    made = np.concatenate([copies, change(copies)])
    labels = np.tile(digits.target[few], 2 * COPIES)
    model = keras.Sequential(
        [
            keras.layers.Input((8, 8, 1)),
            keras.layers.Conv2D(16, 3, padding="same", activation="relu"),
            keras.layers.Conv2D(32, 3, padding="same", activation="relu"),
            keras.layers.MaxPooling2D(2),
            keras.layers.Flatten(),
            keras.layers.Dense(64, "relu"),
            keras.layers.Dense(10, "softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(made, labels, batch_size=50, epochs=8, verbose=0)
    return [
        100 * model.evaluate(x[rest], digits.target[rest], batch_size=600, verbose=0)[1]
        for x in tests.values()
    ]


scores = {
    name: np.array([score(change, seed) for seed in range(SEEDS)])
    for name, change in changes.items()
}
gains = {name: scores[name] - scores["como são"] for name in ("ruído", "movidos")}
for column, test in enumerate(tests):
    print(f"leitura de dígitos {test}:")
    for name, values in scores.items():
        values = values[:, column]
        print(f"  treino {name:9} {values.mean():.1f} % +- {values.std(ddof=1):.1f}")
    for name, values in gains.items():
        values = values[:, column]
        print(
            f"  ganho de {name} {values.mean():+.1f} pontos +- {values.std(ddof=1):.1f}"
        )

# %% tags=["check"]
assert gains["movidos"][:, 1].mean() > 3  # tolerant to what it has been shown
assert gains["movidos"][:, 1].mean() > gains["ruído"][:, 1].mean() + 3
assert gains["ruído"][:, 0].mean() < 1  # noise does not help

# %% [markdown]
# ## A figura
#
# Uma linha por semente. À esquerda, os dígitos como foram coletados: alguém já os
# centrou, e sobra pouco para o aumento de dados ensinar. À direita, os movidos: a rede
# lê o que aprendeu a tolerar, e o ruído não a preparou.

# %%
blue, orange, grey = "#0072B2", "#D55E00", "#666666"
words = [say("as they are", "como são"), say("white noise", "ruído branco"),
         say("moved", "movidos")]  # fmt: skip
titles = [say("reading centred digits", "leitura de dígitos centrados"),
          say("reading moved digits", "leitura de dígitos movidos")]  # fmt: skip
figure, panels = plt.subplots(1, 2, figsize=(12, 4.4), layout="constrained")
for column, (axes, title) in enumerate(zip(panels, titles, strict=True)):
    table = np.stack([values[:, column] for values in scores.values()])
    axes.plot(range(3), table, color="0.85", zorder=0)
    for place, colour in enumerate((grey, orange, blue)):
        mean = table[place].mean()
        axes.plot(np.full(SEEDS, place), table[place], "o", color=colour, alpha=0.7)
        axes.hlines(mean, place - 0.2, place + 0.2, color=colour, linewidth=3)
        axes.annotate(f"{mean:.1f}", (place + 0.23, mean), va="center", color=colour)
    axes.set(xticks=range(3), xticklabels=words, xlim=(-0.5, 2.6), title=title,
             xlabel=say("trained with copies", "treino com cópias"),
             ylabel=say("test accuracy (%)", "acurácia no teste (%)"))  # fmt: skip
visualization.in_language(figure, language)
plt.show()

# %% [markdown]
# ## Exercícios
#
# Ponha as suas respostas na célula abaixo: ela diz certo, quase, ou o que ver de novo.
# As soluções estão na pasta `solutions`.
#
# 1. Tudo o que é demais estraga: aumente o deslocamento para metade da imagem e o giro
#    para 90 graus. O que acontece com a acurácia nos dígitos centrados?
# 2. Espelhe também os dígitos da esquerda para a direita: ponha
#    `keras.layers.RandomFlip("horizontal", seed=5)` entre os movimentos. Preveja quais
#    classes se confundem, e depois olhe: antes do `return`, faça `score` mostrar
#    `sklearn.metrics.confusion_matrix(digits.target[rest], model.predict(images[rest],
#    verbose=0).argmax(axis=1))` (`import sklearn.metrics`).
# 3. A mesma rede com 80 exemplos de cada dígito: quanto rende agora o aumento de dados
#    nos dígitos movidos? Mais exemplos do mesmo tipo, ou outros tipos de exemplo?

# %%
check("08.1", None)  # melhora em relação aos movimentos leves? "sim" ou "não"
check("08.2", None)  # os três dígitos que são quase a sua própria imagem no espelho
check("08.3", None)  # ainda rende? "sim" ou "não"
