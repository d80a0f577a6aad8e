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
# # Soluções do notebook 15, transferência de aprendizagem

# %%
import keras
import numpy as np
from sklearn.datasets import load_digits

from dlkeras.architectures import lenet5
from dlkeras.transfer import freeze, replace_head, unfreeze

digits = load_digits()
resize = keras.layers.Resizing(32, 32, interpolation="bilinear")
small = (digits.images[..., None] / 8 - 1).astype("float32")
x, y = keras.ops.convert_to_numpy(resize(small)), digits.target % 5
high = digits.target >= 5
test = np.random.default_rng(0).permutation(len(x)) < 600


def trained(model, chosen, epochs=6, rate=1e-3):
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy",
                  metrics=["accuracy"])  # fmt: skip
    model.fit(x[chosen], y[chosen], batch_size=20, epochs=epochs, verbose=0)
    return model


def accuracy(model, mine):
    return model.evaluate(x[mine], y[mine], batch_size=500, verbose=0)[1]


keras.utils.set_random_seed(0)
source = trained(
    lenet5(num_classes=5, activation="relu"), np.flatnonzero(~high & ~test)
)
learnt = source.get_weights()
random = np.random.default_rng(0)
few = np.concatenate(
    [random.permutation(np.flatnonzero(high & ~test & (y == c)))[:4] for c in range(5)]
)
few = np.concatenate([random.permutation(few) for _ in range(15)])

# %% [markdown]
# **1.** C1 tem 156 de 61.281 parâmetros: congelá-la quase não muda nada, e o resultado
# é o da rede descongelada.

# %%
found = {}
for until in ("F6", "stage1", None):
    source.set_weights(learnt)
    unfreeze(source)
    keras.utils.set_random_seed(1)
    model = replace_head(source, 5)
    if until:
        freeze(model, until)
    learning = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    rate = 1e-2 if until == "F6" else 1e-3  # a head alone
    found[until] = accuracy(trained(model, few, rate=rate), high & test)
    print(f"frozen until {until}: {learning:,} learn, accuracy {found[until]:.3f}")
assert abs(found["stage1"] - found[None]) < 0.1

# %% [markdown]
# **2.** A cabeça antiga ainda faz as perguntas antigas, mas as camadas abaixo agora
# respondem outras: nos seus próprios dígitos a rede ficou muito pior.

# %%
before = learnt[:-2]
now = source.get_weights()[:-2]  # shared with the thawed network, and changed by it
source.set_weights(learnt)
source.compile(metrics=["accuracy"], loss="sparse_categorical_crossentropy")
knew = accuracy(source, ~high & test)
source.set_weights([*now, *learnt[-2:]])
knows = accuracy(source, ~high & test)
print(f"digits 0-4: {knew:.3f} before, {knows:.3f} after learning 5-9")
assert knows < knew

# %% [markdown]
# **3.** Muito melhor que o acaso (0,2): filtros aleatórios são filtros, e em figuras
# tão simples a cabeça faz muito com eles. Uma conta justa do que a tarefa de origem
# trouxe compara com isto, não com o acaso, e aqui ela diz: nada. 600 figurinhas de
# cinco formas não ensinaram às camadas de cima mais sobre as outras cinco do que o
# acaso deu às aleatórias.

# %%
scores = {}
for name in ("random", "source"):
    keras.utils.set_random_seed(2)
    body = lenet5(num_classes=5, activation="relu")
    if name == "source":
        body.set_weights(learnt)
    model = replace_head(body, 5)
    freeze(model, until="F6")
    scores[name] = accuracy(trained(model, few, rate=1e-2), high & test)
    print(f"frozen {name} network: {scores[name]:.3f}")
assert scores["random"] > 0.3
