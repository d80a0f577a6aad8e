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
# # 2. Otimização irrestrita
#
# **Como um neurônio acha o ponto mais baixo de uma paisagem no escuro, sentindo só a
# inclinação sob os pés?**
#
# Um neurônio aprende ao diminuir um número: a função de custo
# $\mathcal{E}(\mathbf{w})$. Com duas entradas há dois pesos, e o custo é uma paisagem
# que podemos desenhar. Aqui ela é uma tigela cujo ponto mais baixo está em $w_1 = 5$,
# $w_2 = 3$.
#
# Você verá como é o campo do gradiente, por que o gradiente se anula no mínimo, como
# uma descida iterativa o encontra, e como a mesma regra foge quando o passo é longo
# demais. (Haykin, *Redes Neurais*, 2ª ed., eq. 3.7 a 3.13.)

# %%
import matplotlib.pyplot as plt
import numpy as np

from dlkeras.optimization import QuadraticSurface, steepest_descent
from dlkeras.testing.course import check, compare, language, say
from dlkeras.visualization import in_language

# %% [markdown]
# ## O custo de um neurônio com dois pesos
#
# Um neurônio linear responde $y = w_1 x_1 + w_2 x_2$. O erro num exemplo é $e = d -
# y$, e o custo é metade do erro médio quadrático. O sistema que produziu as
# respostas desejadas tem os pesos 5 e 3; as duas entradas são correlacionadas, o que
# alonga a tigela numa direção.

# %%
random = np.random.default_rng(7)
x = random.normal(size=(200, 2)) @ [[1.0, 0.5], [0.0, 0.87]]
d = x @ [5.0, 3.0]


def cost(w):
    e = d - x @ w
    return np.mean(e**2) / 2


surface = QuadraticSurface.from_data(x, d)
for w in ([0, 0], [5, 3], [-2, 8]):
    print(f"E({w[0]:2d}, {w[1]:2d}) = {cost(w):8.4f}")
    compare(surface.cost(w), cost(w), atol=1e-10)

# %% [markdown]
# ## O campo do gradiente e a condição de mínimo
#
# O vetor gradiente reúne as inclinações, $\nabla\mathcal{E} =
# [\partial\mathcal{E}/\partial w_1, \partial\mathcal{E}/\partial w_2]^T$. Para o nosso
# neurônio ele é a média de $-e\,\mathbf{x}$. Uma inclinação também pode ser medida: dê
# um passinho para cada lado e compare os custos. Os dois devem concordar, e ambos devem
# se anular no mínimo (eq. 3.7).


# %%
def gradient(w):
    e = d - x @ w
    return -np.mean(e[:, None] * x, axis=0)


def measured_gradient(w, h=1e-5):
    w = np.array(w, float)
    return np.array(
        [(cost(w + h * axis) - cost(w - h * axis)) / (2 * h) for axis in np.eye(2)]
    )


for w in ([0, 0], [-2, 8], [7, 1]):
    compare(measured_gradient(w), gradient(w), atol=1e-6)
    compare(surface.gradient(w), gradient(w), atol=1e-10)

# grad E = R w - p é linear em w: a condição grad E = 0 é um sistema de equações.
R, p = x.T @ x / len(x), x.T @ d / len(x)
w_star = np.linalg.solve(R, p)
print("grad E = 0 em", w_star.round(6))

# %% tags=["check"]
np.testing.assert_allclose(w_star, [5, 3], rtol=1e-10)
np.testing.assert_allclose(surface.minimizer, w_star, rtol=1e-10)
assert surface.is_optimal(w_star) and not surface.is_optimal([5, 2.99])

# %% [markdown]
# ## Descida iterativa
#
# Comece em qualquer lugar e ande contra o gradiente, $\mathbf{w}(n+1) = \mathbf{w}(n) -
# \eta\,\mathbf{g}(n)$. O custo deve cair a cada passo, $\mathcal{E}(\mathbf{w}(n+1)) <
# \mathcal{E}(\mathbf{w}(n))$ (eq. 3.10). *Deve*: há um tamanho de passo além do qual
# ele sobe, $2/\lambda_{max}$, onde $\lambda_{max}$ é o maior autovalor de $\mathbf{R}$,
# a curvatura da parede mais íngreme.


# %%
def descend(w, eta, steps):
    trajectory = [np.array(w, float)]
    for _ in range(steps):
        trajectory.append(trajectory[-1] - eta * gradient(trajectory[-1]))
    return np.array(trajectory)


eta = 0.4
by_hand = descend([-2, 8], eta, 25)
costs = [cost(w) for w in by_hand]

run = steepest_descent(surface, eta, [-2, 8], steps=25)
print(f"depois de {run.iterations} passos: w = {run.final_weights.round(3)}")

# %% tags=["check"]
assert (np.diff(costs) < 0).all()
np.testing.assert_allclose(run.weights, by_hand, atol=1e-10)

# %% [markdown]
# E acima do limite. A biblioteca sabe, antes de rodar, que vai divergir, e avisa; roda
# assim mesmo, porque ver isso acontecer é a lição.

# %%
import warnings

limit = 2 / np.linalg.eigvalsh(R).max()
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    runaway = steepest_descent(surface, 1.05 * limit, [5.4, 3.6], steps=22)
for warning in caught:
    print(warning.message)

# %% tags=["check"]
np.testing.assert_allclose(surface.max_step_size, limit, rtol=1e-12)
assert runaway.divergent and runaway.cost[-1] > runaway.cost[0]
assert cost(descend([5.4, 3.6], 0.95 * limit, 200)[-1]) < 1e-6

# %% [markdown]
# ## A figura

# %%
blue, orange, green = "#0072B2", "#D55E00", "#009E73"  # seguras para daltônicos
w1, w2 = np.linspace(-3, 13, 81), np.linspace(-5, 11, 81)
grid = np.stack(np.meshgrid(w1, w2), -1)

figure = plt.figure(figsize=(12, 5.2), layout="constrained")
bowl = figure.add_subplot(1, 2, 1, projection="3d")
bowl.plot_surface(grid[..., 0], grid[..., 1], surface.cost(grid), cmap="viridis",
                  alpha=0.6, linewidth=0)  # fmt: skip
bowl.plot(*run.weights.T, run.cost, "o-", color=orange, markersize=4, zorder=5)
bowl.set(
    xlabel="$w_1$", ylabel="$w_2$", zlabel="$E(w)$", title=say("The bowl", "A tigela")
)

plane = figure.add_subplot(1, 2, 2)
plane.contour(w1, w2, surface.cost(grid), levels=14, colors="0.75", linewidths=0.8)
coarse = w1[::8], w2[::8]
plane.quiver(*coarse, *(-g for g in surface.gradient_field(*coarse)), color="0.45",
             width=0.003)  # fmt: skip
plane.plot(*run.weights.T, "o-", color=orange, markersize=4,
           label=say("descent", "descida") + rf", $\eta = {eta}$")  # fmt: skip
plane.plot(*runaway.weights.T, "s--", color=blue, markersize=4,
           label=r"$\eta = 1.05 \cdot 2/\lambda_{max}$")  # fmt: skip
plane.plot(5, 3, "*", color=green, markersize=18, label=r"$\nabla E = 0$")
plane.set(xlabel="$w_1$", ylabel="$w_2$", xlim=(-3, 13), ylim=(-5, 11),
          title=say("Against the gradient", "Contra o gradiente"))  # fmt: skip
plane.legend(loc="lower left")
in_language(figure, language)
plt.show()

# %% [markdown]
# ## Exercícios
#
# Ponha as suas respostas na célula abaixo: ela diz certo, quase, ou o que ver de novo.
# As soluções estão na pasta `solutions`.
#
# 1. Some a `d` um ruído de desvio padrão 2. Para onde vai o mínimo, e qual é agora a
#    altura do fundo da tigela? Compare `surface.minimum_error` com a variância do
#    ruído.
# 2. Faça da segunda entrada quase uma cópia da primeira, `x[:, 1] = x[:, 0] + 0.05 *
#    random.normal(size=200)`. O que acontece com as curvas de nível, com
#    `surface.condition_number` e com o número de passos de que uma descida precisa?
# 3. Ache por tentativa o maior passo com que a descida a partir de (-2, 8) ainda
#    converge, com três algarismos. Depois calcule $2/\lambda_{max}$.

# %%
check("02.1", None)  # a altura do fundo da tigela
check("02.2", None)  # o novo número de condição
check("02.3", None)  # o maior passo que converge
