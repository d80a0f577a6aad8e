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
from dlkeras.testing.course import check
from dlkeras.transfer import freeze, layerwise_learning_rates, replace_head, unfreeze

digits = load_digits()
enlarge = keras.layers.Resizing(20, 20, interpolation="bilinear")
large = enlarge((digits.images[..., None] / 16).astype("float32"))
large = np.pad(keras.ops.convert_to_numpy(large), ((0, 0), (6, 6), (6, 6), (0, 0)))
x, y = 1.275 * large - 0.1, digits.target
test = np.random.default_rng(0).permutation(len(x)) < 600


def trained(model, k, adam):
    """Treina com k rótulos por classe, 90 passos; devolve a acurácia no teste."""
    random = np.random.default_rng(0)
    few = np.concatenate(
        [random.permutation(np.flatnonzero(~test & (y == c)))[:k] for c in range(10)]
    )
    few = np.concatenate([random.permutation(few) for _ in range(300 // len(few))])
    model.compile(adam, "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x[few], y[few], batch_size=20, epochs=6, verbose=0)
    return model.evaluate(x[test], y[test], batch_size=600, verbose=0)[1]


source = lenet5(weights="mnist")
learnt = source.get_weights()

# %% [markdown]
# **1.** Mais perto de *camadas de baixo congeladas*, que é a mesma coisa a não ser por
# C1 e C3: elas têm 2.572 de 61.706 parâmetros, e passos pequenos não as levam longe.
# A *congelada* treina 850.

# %%
found, learning = {}, {}
for until in ("F6", "stage2", None):
    source.set_weights(learnt)
    unfreeze(source)
    keras.utils.set_random_seed(0)
    model = replace_head(source, 10)
    if until:
        freeze(model, until)
    adam = keras.optimizers.Adam(1e-2 if until == "F6" else 1e-3)
    if until is None:
        adam = layerwise_learning_rates(model, adam, decay=0.8)
    free = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    learning[until] = free
    found[until] = trained(model, 4, adam)
    print(f"congelada até {until}: {free:,} aprendem, acurácia {found[until]:.3f}")
assert abs(found["stage2"] - found[None]) < abs(found["F6"] - found[None])
assert check("15.1", learning)

# %% [markdown]
# **2.** Ela lê mais de nove em cada dez sem nenhum rótulo: as classes são as mesmas, só
# mudam as pessoas. Uma cabeça nova precisa de uns quatro rótulos por classe para ser
# melhor. Só jogue uma cabeça fora se as perguntas dela já não são as suas.

# %%
source.set_weights(learnt)
old_head = np.mean(source.predict(x[test], verbose=0).argmax(axis=1) == y[test])
print(f"cabeça antiga, 0 rótulos: {old_head:.3f}; nova, 4 rótulos: {found['F6']:.3f}")
assert 0.85 < old_head < found["F6"]
assert check("15.2", old_head)

# %% [markdown]
# **3.** Muito melhor que o acaso (0,1): filtros aleatórios são filtros, e em imagens
# tão simples a cabeça faz muito com eles. Uma conta justa do que a origem trouxe
# compara com isto, não com o acaso. O que sobra ainda é muito.

# %%
keras.utils.set_random_seed(2)
model = replace_head(lenet5(), 10)
freeze(model, until="F6")
random_body = trained(model, 4, keras.optimizers.Adam(1e-2))
print(
    f"rede aleatória congelada: {random_body:.3f}; origem congelada: {found['F6']:.3f}"
)
assert 0.3 < random_body < found["F6"] - 0.05
assert check("15.3", random_body)
