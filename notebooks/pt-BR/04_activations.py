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
# # 4. Funções de ativação e suas derivadas
#
# **Por que um neurônio pode ficar surdo, e quanto de um erro sobrevive a vinte
# camadas?**
#
# Entre o campo local induzido $v$ e a saída $y$ de um neurônio está a função de
# ativação, $y = \varphi(v)$ (a *função de transferência* do curso). Na ida ela curva;
# na volta a inclinação $\varphi'(v)$ multiplica tudo o que o neurônio pode
# aprender. Onde a inclinação é quase zero o neurônio está *saturado*, e surdo. Você vai
# deduzir quatro inclinações à mão e ver quanto resta de um erro depois de muitas
# camadas delas.

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np

from dlkeras.optimization import local_gradients
from dlkeras.testing.course import check, compare, language, say
from dlkeras.visualization import in_language

# %% [markdown]
# ## Quatro funções e quatro inclinações, à mão
#
# A função logística $\varphi(v) = 1/(1+e^{-v})$ tem
#
# $$\varphi'(v) = \frac{e^{-v}}{(1+e^{-v})^2} = y\,(1-y),$$
#
# porque $e^{-v}/(1+e^{-v}) = 1-y$. A tangente hiperbólica é a mesma curva, esticada
# para $(-1, 1)$: $\tanh v = 2\varphi(2v) - 1$, e a inclinação é $4\varphi'(2v) =
# 1-y^2$. O retificador (ReLU) é $\max(0, v)$, de inclinação 1 ou 0. A ReLU com
# vazamento (*leaky*), $\max(\alpha v, v)$, deixa uma inclinação $\alpha$ abaixo de
# zero.

# %%
alpha = 0.01
functions = {
    "logística": lambda v: 1 / (1 + np.exp(-v)),
    "tanh": np.tanh,
    "ReLU": lambda v: np.maximum(0, v),
    "leaky ReLU": lambda v: np.maximum(alpha * v, v),
}
slopes = {
    "logística": lambda v, y: y * (1 - y),
    "tanh": lambda v, y: 1 - y**2,
    "ReLU": lambda v, y: (v > 0).astype(float),
    "leaky ReLU": lambda v, y: np.where(v > 0, 1, alpha),
}
v = np.linspace(-6, 6, 240)  # o próprio 0, a quina da ReLU, fica de fora

h = 1e-5
for name, phi in functions.items():
    measured = (phi(v + h) - phi(v - h)) / (2 * h)
    compare(slopes[name](v, phi(v)), measured, atol=1e-9)
compare(np.tanh(v), 2 * functions["logística"](2 * v) - 1)
print("as inclinações conferem com pequenas diferenças")

# %% [markdown]
# ## Os mesmos números na biblioteca
#
# Uma rede de um neurônio com peso 1 e bias 0 tem $v = x$. O seu gradiente local é
# $\delta = e\,\varphi'(v)$, e $\delta/e$ é a inclinação que a biblioteca usou.

# %%
in_keras = {
    "logística": "sigmoid",
    "tanh": "tanh",
    "ReLU": "relu",
    "leaky ReLU": keras.layers.LeakyReLU(negative_slope=alpha),
}
for name, activation in in_keras.items():
    neuron = keras.Sequential(
        [keras.layers.Input((1,)), keras.layers.Dense(1, activation)]
    )
    neuron.set_weights([np.ones((1, 1)), np.zeros(1)])
    desired = np.full((len(v), 1), 10.0)  # longe de toda saída: nenhum erro é zero
    ours = local_gradients(neuron, v[:, None], desired)
    slope = (ours.local_gradients[0] / ours.errors)[:, 0]
    compare(ours.outputs[0][:, 0], functions[name](v), atol=1e-6)
    compare(slope, slopes[name](v, functions[name](v)), atol=1e-6)
    print(f"{name:10}  maior inclinação {slope.max():.4f}  em v = -6: {slope[0]:.6f}")

# %% [markdown]
# ## Saturação
#
# A inclinação da logística é no máximo $1/4$, em $v = 0$. Onde resta só um décimo
# disso? $y(1-y) = 0{,}025$ dá $y = 0{,}9743$ e $v = \ln\frac{y}{1-y} = 3{,}64$. E cada
# camada multiplica: com pesos em torno de 1, um erro que atravessa 19 camadas
# logísticas é multiplicado por no máximo $(1/4)^{19}$, cerca de $4\cdot10^{-12}$. A
# ReLU multiplica por 1 onde está ligada.

# %%
y = (1 + np.sqrt(1 - 0.1)) / 2
v_tenth = np.log(y / (1 - y))
compare(functions["logística"](v_tenth), y)
compare(y * (1 - y), 0.025)
print(f"a inclinação da logística cai a um décimo da maior em |v| = {v_tenth:.2f}")

layers = np.arange(20)
left_of_error = {
    "logística, $v = 0$": 0.25**layers,
    "tanh, $v = 1$": (1 - np.tanh(1) ** 2) ** layers,
    "ReLU, $v > 0$": 1.0**layers,
    "leaky ReLU, $v < 0$": alpha**layers,
}
for name, left in left_of_error.items():
    print(f"{name.replace('$', ''):17} depois de 19 camadas: {left[-1]:.1e}")

# %% tags=["check"]
assert abs(v_tenth - 3.64) < 0.01
assert 3e-12 < left_of_error["logística, $v = 0$"][-1] < 4e-12

# %% [markdown]
# ## O outro lado de nunca saturar: unidades mortas
#
# Uma ReLU cujo campo local induzido é negativo para *todo* exemplo tem inclinação 0
# para todo exemplo: os pesos não recebem correção e ela fica desligada. Dê a um
# neurônio ReLU um bias de -10 e ele está morto; um *leaky* ainda se move, cem vezes
# mais devagar.

# %%
x = np.random.default_rng(0).normal(size=(64, 3))
d = np.ones((64, 1))
corrections = {}
for name in ("ReLU", "leaky ReLU"):
    neuron = keras.Sequential(
        [keras.layers.Input((3,)), keras.layers.Dense(1, in_keras[name])]
    )
    neuron.set_weights([np.ones((3, 1)), np.array([-10.0])])
    correction = local_gradients(neuron, x, d).corrections[0]
    corrections[name] = np.sqrt(sum(np.sum(part**2) for part in correction))
    print(f"{name:10}  tamanho da correção: {corrections[name]:.4f}")

# %% tags=["check"]
assert corrections["ReLU"] == 0 < corrections["leaky ReLU"]

# %% [markdown]
# ## A figura
#
# As funções (linha cheia) e as inclinações (tracejado); em cinza, onde a
# inclinação está abaixo de um décimo da maior. À direita, quanto resta de um erro
# depois de cada camada.


# %%
blue, orange, green, pink = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
figure = plt.figure(figsize=(14, 5.6), layout="constrained")
rows = (len(functions) + 1) // 2
grid = figure.add_gridspec(rows, 3, width_ratios=[1, 1, 1.25])
for index, (name, phi) in enumerate(functions.items()):
    axes = figure.add_subplot(grid[index // 2, index % 2])
    y = phi(v)
    slope = slopes[name](v, y)
    limit = 6 if "ReLU" in name else 1.3
    axes.fill_between(v, -limit, limit, where=slope < 0.1 * slope.max(), color="0.9",
                      step="mid")  # fmt: skip
    axes.plot(v, y, color=blue, linewidth=2, label=r"$\varphi(v)$")
    axes.plot(v, slope, "--", color=orange, linewidth=2, label=r"$\varphi'(v)$")
    axes.set(xlabel="$v$", title=name, ylim=(-1.3, limit), xlim=(-6, 6))
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left")
right = figure.add_subplot(grid[:, 2])
styles = (("o-", blue), ("s-", orange), ("^-", green), ("v-", pink))
for (name, left), (style, colour) in zip(left_of_error.items(), styles, strict=True):
    shown = left > 1e-16
    right.semilogy(layers[shown], left[shown], style, color=colour, markersize=4,
                   label=name)  # fmt: skip
right.set(xlabel=say("layers passed", "camadas atravessadas"), xticks=range(0, 20, 2),
          ylabel=r"$\prod\varphi'$",
          title=say("What is left of an error", "O que resta de um erro"))  # fmt: skip
right.grid(alpha=0.3)
right.legend()
in_language(figure, language)
plt.show()

# %% [markdown]
# ## Exercícios
#
# Ponha as suas respostas na célula abaixo: ela diz certo, quase, ou o que ver de novo.
# As soluções estão na pasta `solutions`.
#
# 1. A função de LeCun é $1{,}7159\tanh(2v/3)$, `dlkeras.layers.scaled_tanh`. Deduza a
#    inclinação. Onde a *segunda* derivada é maior, e por que LeCun quis que os
#    alvos +1 e -1 ficassem ali?
# 2. A softplus $\ln(1+e^v)$ é uma ReLU suave. Qual função deste notebook é a
#    inclinação dela? Confirme com `local_gradients`.
# 3. A inclinação da logística é no máximo 1/4, mas os pesos também multiplicam. De que
#    tamanho deve ser um peso para que um erro sobreviva a uma camada em $v = 0$, e o
#    que acontece com $v$, e portanto com a inclinação, quando os pesos são desse
#    tamanho?

# %%
check("04.1", None)  # o v > 0 onde a segunda derivada é maior
check("04.2", None)  # o nome da função, entre aspas
check("04.3", None)  # de que tamanho é o peso
