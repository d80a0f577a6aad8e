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
# Um sete deslocado de um pixel ainda é um sete, e ninguém precisa escrevê-lo: novos
# exemplos de treino podem ser feitos a partir dos antigos. O truque é fazê-los
# *realistas*; uma pessoa não deveria saber dizer quais foram feitos. Ruído branco não é
# uma mudança dessas, e simplesmente somá-lo não ajuda. Você vai deslocar à mão, ver por
# que o ruído não ensina nada sobre setes, e medir as duas coisas em dígitos de verdade.

# %%
import os

try:
    import keras
    import matplotlib.pyplot as plt
    import numpy as np
    from IPython.display import display
    from sklearn.datasets import load_digits, load_sample_image

    from dlkeras import visualization
    from dlkeras.optimization import QuadraticSurface
except ImportError as error:
    raise ImportError(
        f"{error}. Install what this notebook needs with: "
        "pip install 'dlkeras[tensorflow,visualization]' scikit-learn pillow"
    ) from error
if tuple(map(int, keras.__version__.split(".")[:2])) < (3, 14):
    raise ImportError(f"Keras 3.14 or newer is needed. Found: {keras.__version__}")
print(f"Keras {keras.__version__} on {keras.backend.backend()}, NumPy {np.__version__}")
language = os.environ.get("DLKERAS_LANGUAGE", "en")  # of the pictures: "en" or "pt"


def say(english, portuguese):
    return portuguese if language == "pt" else english


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
np.testing.assert_allclose(shifted, down[:20], atol=1e-5)

flip = keras.layers.RandomFlip("horizontal", seed=0)
flipped = keras.ops.convert_to_numpy(flip(images[:20], training=True))
for new, old in zip(flipped, images[:20], strict=True):
    assert np.allclose(new, old) or np.allclose(new, old[:, ::-1])
np.testing.assert_array_equal(flip(images[:20], training=False), images[:20])
print("the layers shift and flip as we do, and leave test images alone")

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
print("plain", np.linalg.solve(R, p).round(3), " noisy copies",
      surface.minimizer.round(3), " weight decay", with_decay.round(3))  # fmt: skip
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
    [np.clip(layer(originals, training=True), 0, 1) for layer in layers.values()],
    axis=1,
)
display(visualization.augmentation_grid(originals, variants, captions=list(layers),
                                        language=language))  # fmt: skip

# %% [markdown]
# ## O que ajuda, medido
#
# Dez exemplos de cada dígito para aprender, todos os outros para testar. Cada um é
# usado vinte vezes: como é; com ruído branco; ou deslocado, girado e ampliado. O número
# de passos de treino é o mesmo. Tudo é repetido com várias sementes, com outros
# exemplos, e comparado aos pares.

# %%
EXAMPLES, COPIES, SEEDS = 10, 20, 5
realistic = (
    keras.layers.RandomTranslation(1 / 8, 1 / 8, fill_mode="constant"),
    keras.layers.RandomRotation(12 / 360, fill_mode="constant"),
    keras.layers.RandomZoom((-0.12, 0.12), fill_mode="constant"),
)
changes = {
    "none": (),
    "noise": (keras.layers.GaussianNoise(0.3),),
    "realistic": realistic,
}


def score(change, seed):
    """Test accuracy after training on augmented copies of a few examples."""
    random = np.random.default_rng(seed)
    few = np.concatenate(
        [
            random.permutation(np.flatnonzero(digits.target == c))[:EXAMPLES]
            for c in range(10)
        ]
    )
    rest = np.setdiff1d(np.arange(len(images)), few)
    keras.utils.set_random_seed(seed)
    made = np.tile(images[few], (COPIES, 1, 1, 1))
    labels = np.tile(digits.target[few], COPIES)
    for layer in change:
        made = layer(made, training=True)
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
    model.fit(np.asarray(made), labels, batch_size=50, epochs=8, verbose=0)
    return model.evaluate(images[rest], digits.target[rest], batch_size=600, verbose=0)[
        1
    ]


scores = {
    name: np.array([score(change, seed) for seed in range(SEEDS)])
    for name, change in changes.items()
}
gains = {name: 100 * (scores[name] - scores["none"]) for name in ("noise", "realistic")}
for name, values in scores.items():
    print(f"{name:10} accuracy {values.mean():.3f} +- {values.std(ddof=1):.3f}")
for name, values in gains.items():
    print(f"{name:10} gains {values.mean():+.1f} points +- {values.std(ddof=1):.1f}")
assert gains["realistic"].mean() > 1
assert gains["realistic"].mean() > gains["noise"].mean() + 1
assert gains["noise"].mean() < 0.5

# %% [markdown]
# ## A figura

# %%
blue, orange, grey = "#0072B2", "#D55E00", "#666666"
words = {
    "none": say("as they are", "como são"),
    "noise": say("white noise", "ruído branco"),
    "realistic": say("shift, turn, zoom", "deslocar, girar, ampliar"),
}
figure, axes = plt.subplots(figsize=(8, 4.4), layout="constrained")
for place, (name, colour) in enumerate(zip(scores, (grey, orange, blue), strict=True)):
    values = 100 * scores[name]
    axes.plot(np.full(SEEDS, place), values, "o", color=colour, alpha=0.7, markersize=9)
    axes.hlines(values.mean(), place - 0.25, place + 0.25, color=colour, linewidth=3)
    axes.annotate(f"{values.mean():.1f}", (place + 0.27, values.mean()), va="center",
                  color=colour)  # fmt: skip
for seed in range(SEEDS):
    joined = [100 * values[seed] for values in scores.values()]
    axes.plot(range(3), joined, color="0.85", zorder=0)
axes.set(xticks=range(3), xticklabels=list(words.values()), xlim=(-0.5, 2.6),
         ylabel=say("test accuracy (%)", "acurácia no teste (%)"),
         title=say("100 digits to learn from, five seeds",
                   "100 dígitos para aprender, cinco sementes"))  # fmt: skip
plt.show()

# %% [markdown]
# ## Exercícios
#
# As soluções estão na pasta `solutions`.
#
# 1. Bom demais: aumente o deslocamento para metade da imagem e o giro para 90 graus. O
#    que acontece com a acurácia, e quais dígitos sofrem?
# 2. Espelhe também os dígitos da esquerda para a direita. Preveja quais classes se
#    confundem, e depois olhe a matriz de confusão.
# 3. A mesma rede com 100 exemplos de cada dígito: quanto rende agora o aumento de
#    dados? O que isso diz sobre quando ele vale a pena?
