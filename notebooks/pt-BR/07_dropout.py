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
# # 7. Dropout
#
# **Por que uma rede melhora quando se desliga metade dela, ao acaso?**
#
# A cada passo de treino, cada neurônio pode faltar, com probabilidade $p$: a saída
# é zero nesse passo, e no seguinte ele pode voltar. Ninguém pode confiar num vizinho, e
# por isso cada um tem de ser útil sozinho. Depois do treino ninguém mais é desligado. O
# curso promete 1 a 2 % a mais de acurácia, e isso é mais do que parece: de 95 % para 97
# % são 3 erros no lugar de 5, ou 40 % a menos. Você verá o algoritmo numa linha, o
# detalhe que o curso deixa para depois, o que ele faz com uma função de custo que se
# pode escrever e, com sementes e dispersões, o que ele rende aqui.

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from dlkeras.optimization import QuadraticSurface
from dlkeras.testing.course import check, compare, language, say
from dlkeras.visualization import in_language

# %% [markdown]
# ## O algoritmo, à mão
#
# Sorteie uma máscara $\mathbf r$ de zeros e uns, um com probabilidade $1-p$, e
# multiplique: $\mathbf r \odot \mathbf x$. O detalhe técnico: em média só chega a
# fração $1-p$ de uma soma, e depois do treino cada neurônio ouviria demais. Dividir por
# $1-p$ durante o treino corrige isso,
#
# $$\tilde{\mathbf x} = \frac{\mathbf r \odot \mathbf x}{1-p}, \qquad
# \mathrm E\,\tilde x_i = x_i, \qquad
# \mathrm{Var}\,\tilde x_i = \frac{p}{1-p}\,x_i^2,$$
#
# e no teste a camada não faz nada.

# %%
random = np.random.default_rng(0)
p = 0.5
x = random.normal(size=100)
masks = random.random((20_000, 100)) >= p
dropped = masks * x / (1 - p)

layer = keras.layers.Dropout(p, seed=1)
batch = np.tile(x, (20_000, 1))
library = keras.ops.convert_to_numpy(layer(batch, training=True))
off = library == 0
print(f"desligados à mão {1 - masks.mean():.4f}, pelo Keras {off.mean():.4f}")

# %% tags=["check"]
np.testing.assert_allclose(dropped.mean(axis=0), x, atol=0.1)
np.testing.assert_allclose(dropped.var(axis=0), p / (1 - p) * x**2, rtol=0.1, atol=1e-3)
kept = (batch / (1 - p))[~off]  # all others are 0
np.testing.assert_allclose(library[~off], kept, rtol=1e-5)
np.testing.assert_allclose(off.mean(axis=0), p, atol=0.02)
np.testing.assert_allclose(library.mean(axis=0), x, atol=0.1)
still = keras.ops.convert_to_numpy(layer(batch[:2], training=False))
np.testing.assert_allclose(still, batch[:2], rtol=1e-6)

# %% [markdown]
# ## Mil redes em uma
#
# Quatro entradas têm 16 máscaras, cada uma uma rede própria com os mesmos pesos. Para
# um neurônio linear, a média das 16 respostas, cada uma com o peso da sua
# probabilidade, é exatamente a resposta da rede inteira: o dropout treina um comitê, e
# testar sem ele consulta o comitê pelo preço de uma rede.

# %%
w, four = random.normal(size=4), random.normal(size=4)
all_masks = (np.arange(16)[:, None] >> np.arange(4)) & 1
for rate in (0.2, 0.5):
    chance = np.prod(np.where(all_masks, 1 - rate, rate), axis=1)
    ensemble = chance @ (all_masks * four / (1 - rate) @ w)
    compare(ensemble, w @ four)
    print(f"p = {rate}: média de 16 redes {ensemble:.6f}, a inteira {w @ four:.6f}")

# %% [markdown]
# ## O que ele faz com uma função de custo
#
# Para um neurônio linear pode-se escrever a esperança sobre as máscaras. A média e a
# variância acima dão
#
# $$\mathrm E\,\tfrac12(d - \mathbf w^T\tilde{\mathbf x})^2 =
# \tfrac12(d - \mathbf w^T\mathbf x)^2 + \frac{p}{2(1-p)}\sum_i w_i^2 x_i^2:$$
#
# o custo antigo, mais um preço para cada peso, tanto mais alto quanto mais forte a
# entrada. Nas matrizes do notebook 3, $\mathbf R$ vira $\mathbf R + \frac{p}{1-p}\,
# \mathrm{diag}(\mathbf R)$: duas entradas correlacionadas têm de dividir o trabalho.

# %%
inputs = random.normal(size=(500, 2)) @ [[1.0, 0.9], [0.0, 0.44]]  # correlacionadas
d = inputs @ [2.0, 0.0]  # a primeira sozinha bastaria
R, cross = inputs.T @ inputs / 500, inputs.T @ d / 500
by_hand = np.linalg.solve(R + p / (1 - p) * np.diag(np.diag(R)), cross)

copies = np.tile(inputs, (1000, 1))
thinned = keras.ops.convert_to_numpy(layer(copies, training=True))
surface = QuadraticSurface.from_data(thinned, np.tile(d, 1000))
print("sem", np.linalg.solve(R, cross).round(3), " com dropout", by_hand.round(3),
      " medido", surface.minimizer.round(3))  # fmt: skip

# %% tags=["check"]
np.testing.assert_allclose(surface.minimizer, by_hand, atol=0.01)
assert by_hand[1] > 0.5  # the second input, superfluous before, takes its share

# %% [markdown]
# ## Em dígitos de verdade, com poucos exemplos
#
# Cinco de cada dígito para aprender, todos os outros para testar: um conjunto de treino
# assim é logo decorado, e o que conta é o que se aprendeu dele. Uma rede convolucional
# com e sem dropout, com sementes que sorteiam os pesos e os exemplos, comparada aos
# pares depois de 20, 40 e 60 épocas.

# %%
EXAMPLES, EPOCHS, SEEDS = 5, 60, 6
digits = load_digits()
images = (digits.images[..., None] / 16).astype("float32")  # (1797, 8, 8, 1)


def score(rate, seed):
    """Acurácia no teste a cada vinte épocas, com a fração `rate` desligada."""
    random = np.random.default_rng(seed)
    few = np.concatenate(
        [
            random.permutation(np.flatnonzero(digits.target == c))[:EXAMPLES]
            for c in range(10)
        ]
    )
    rest = np.setdiff1d(np.arange(len(images)), few)
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((8, 8, 1)),
            layers.Conv2D(16, 3, padding="same", activation="relu"),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dropout(rate),
            layers.Dense(128, "relu"),
            layers.Dropout(rate),
            layers.Dense(10, "softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    found = []
    for _ in range(3):
        model.fit(images[few], digits.target[few], batch_size=10, epochs=EPOCHS // 3,
                  verbose=0)  # fmt: skip
        found.append(model.evaluate(images[rest], digits.target[rest], batch_size=600,
                                    verbose=0)[1])  # fmt: skip
    return found


rates = (0.0, 0.5)
scores = {
    rate: 100 * np.array([score(rate, seed) for seed in range(SEEDS)]) for rate in rates
}
gain = scores[rates[-1]] - scores[rates[0]]
for rate, values in scores.items():
    print(f"p = {rate}: {values.mean(axis=0).round(1)} %, "
          f"dispersão {values.std(axis=0, ddof=1).round(1)}")  # fmt: skip
print(f"ganho de {rates[-1]}: {gain.mean(axis=0).round(2)}, "
      f"dispersão {gain.std(axis=0, ddof=1).round(2)}")  # fmt: skip

# %% tags=["check"]
assert gain[:, 0].mean() < 0  # thinned networks learn more slowly
assert gain[:, -1].mean() > 0.2  # and in the end better

# %% [markdown]
# Duas coisas merecem um segundo olhar. O dropout começa *atrás*: cada passo treina só
# uma parte da rede. Com tempo ele ultrapassa, e termina cerca de um ponto à frente, o
# mínimo que o curso promete. E a dispersão entre sementes é várias vezes
# esse ganho: quem compara uma rodada com outra só vê a sorte. A comparação é justa
# porque é feita aos pares, com os mesmos exemplos.

# %% [markdown]
# ## A figura
#
# À esquerda, cada semente com e sem dropout. À direita, o ganho à medida que o treino
# avança, semente por semente, e a média.

# %%
blue, orange, grey = "#0072B2", "#D55E00", "#666666"
figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.4), layout="constrained")
ends = np.stack([scores[rate][:, -1] for rate in rates])
left.plot(
    range(len(rates)), ends, "o-", color="0.75", markerfacecolor=blue, markersize=9
)
for place, values in enumerate(ends):
    left.hlines(values.mean(), place - 0.2, place + 0.2, color=orange, linewidth=3)
    summary = f"{values.mean():.1f} ± {values.std(ddof=1):.1f}"
    left.annotate(summary, (place, ends.max()), xytext=(0, 10), ha="center",
                  textcoords="offset points", color=orange)  # fmt: skip
left.set(xticks=range(len(rates)), xticklabels=[f"$p$ = {rate}" for rate in rates],
         xlim=(-0.5, len(rates) - 0.5), ylim=(None, ends.max() + 1.2),
         ylabel=say("test accuracy (%)", "acurácia no teste (%)"),
         title=say("50 digits to learn from", "50 dígitos para aprender"))  # fmt: skip

epochs = EPOCHS // 3 * np.arange(1, 4)
right.plot(epochs, gain.T, "o-", color="0.8", markersize=4)
right.errorbar(epochs, gain.mean(axis=0), gain.std(axis=0, ddof=1), fmt="s-",
               color=blue, capsize=5, linewidth=2)  # fmt: skip
right.axhline(0, color=grey, linestyle=":")
right.set(xticks=epochs, xlabel=say("epoch", "época"),
          ylabel=say("gain (points)", "ganho (pontos)"),
          title=say("Slower, then better", "Mais lento, depois melhor"))  # fmt: skip
in_language(figure, language)
plt.show()

# %% [markdown]
# ## Exercícios
#
# Ponha as suas respostas na célula abaixo: ela diz certo, quase, ou o que ver de novo.
# As soluções estão na pasta `solutions`.
#
# 1. Experimente as taxas 0, 0,3, 0,6 e 0,95. Onde está a melhor, e o que acontece no
#    fim?
# 2. Deixe o dropout ligado no teste, `model(images, training=True)`, e faça trinta
#    redes desfalcadas responderem a cada imagem. A dispersão das respostas é maior onde
#    a resposta média está errada?
# 3. O artigo de Srivastava não divide durante o treino. O que ele tem de fazer então
#    depois do treino? Mostre, com uma soma de cinquenta termos, que a média é a mesma.

# %%
check("07.1", None)  # a pior das quatro taxas
check("07.2", None)  # a dispersão onde erra, dividida pela de onde acerta
check("07.3", None)  # o que multiplica os pesos depois do treino, p = 0.3
