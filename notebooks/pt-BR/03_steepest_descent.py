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
# # 3. O método da descida mais íngreme
#
# **A mesma regra, a mesma tigela: por que um passo desliza até o mínimo, outro
# ziguezagueia e um terceiro dispara?**
#
# Um número, o tamanho do passo $\eta$ ou taxa de aprendizagem, decide se
# $\mathbf{w}(n)$ desliza até o mínimo (sobreamortecido), vai até ele em zigue-zague
# (subamortecido) ou foge. Você verá por quê, numa linha de álgebra, e o que Newton e
# Gauss-Newton fazem a respeito. (Haykin, *Redes Neurais*, 2ª ed., seção 3.3 e fig.
# 3.2.)

# %%
import matplotlib.pyplot as plt
import numpy as np

from dlkeras.optimization import (
    NeuronSurface,
    QuadraticSurface,
    best_step_size,
    conjugate_gradient,
    convergence_rate,
    gauss_newton,
    newton,
    regimes,
    steepest_descent,
)
from dlkeras.testing.course import check, compare, language, say
from dlkeras.visualization import in_language

# %% [markdown]
# ## A recursão, à mão
#
# As entradas têm a matriz de correlação $\mathbf{R}$, e $\mathbf{p}$ é a correlação
# cruzada delas com a resposta desejada, cuja média quadrática é 1. O erro médio
# quadrático é $J(\mathbf{w}) = 1 - 2\mathbf{p}^T\mathbf{w} + \mathbf{w}^T\mathbf{R}
# \mathbf{w}$, a função de custo é a metade dele, e o gradiente é $\mathbf{g} =
# \mathbf{R}\mathbf{w} - \mathbf{p}$. Portanto $\mathbf{w}(n+1) = \mathbf{w}(n) +
# \eta(\mathbf{p} - \mathbf{R}\mathbf{w}(n))$.

# %%
R, p = np.array([[1, 0.5], [0.5, 1]]), np.array([0.5, 0.25])
surface = QuadraticSurface(R, p, sigma_d2=1)

w, J = np.zeros(2), []
for _ in range(4):
    J.append(1 - 2 * p @ w + w @ R @ w)
    w = w + 0.8 * (p - R @ w)
print("J(n) =", np.round(J, 6))
run = steepest_descent(surface, 0.8, steps=3)

# %% tags=["check"]
np.testing.assert_allclose(J, [1, 0.78, 0.7584, 0.752928])
np.testing.assert_allclose(run.mean_square_error, J)

# %% [markdown]
# ## Por que o tamanho do passo decide
#
# Subtraia o mínimo, $\mathbf{w}^* = \mathbf{R}^{-1}\mathbf{p}$, dos dois lados, e gire
# os eixos para os autovetores de $\mathbf{R}$. Os dois pesos deixam de se perturbar: ao
# longo do eixo de autovalor $\lambda_k$ a distância obedece a
#
# $$\nu_k(n+1) = (1 - \eta\lambda_k)\,\nu_k(n).$$
#
# Tudo decorre do fator $1 - \eta\lambda$:
#
# | passo | fator | regime |
# |---|---|---|
# | $0 < \eta < 1/\lambda$ | entre 0 e 1 | sobreamortecido: chega por um lado só |
# | $\eta = 1/\lambda$ | 0 | amortecimento crítico: chega num passo |
# | $1/\lambda < \eta < 2/\lambda$ | entre -1 e 0 | subamortecido: um zigue-zague |
# | $\eta > 2/\lambda$ | abaixo de -1 | divergente |

# %%
eigenvalues, Q = np.linalg.eigh(R)
w_star = np.linalg.solve(R, p)
limit = 2 / eigenvalues[-1]
print("autovalores", eigenvalues, " mínimo em", w_star, f" limite {limit:.4f}")

start = np.array([0.9, 1.8])
nu = Q.T @ (start - w_star)
for n, w in enumerate(steepest_descent(surface, 0.8, start, steps=10).weights):
    by_hand = w_star + Q @ ((1 - 0.8 * eigenvalues) ** n * nu)
    compare(w, by_hand, atol=1e-10)

for eta in (0.2, 1 / 1.5, 1.2):
    said = regimes(surface, eta)  # antes de rodar qualquer coisa
    run = steepest_descent(surface, eta, start)
    print(f"eta = {eta:.3f}:", ", ".join(regime.in_words(language) for regime in said),
          "- confirmado" if run.confirmed else "- não é o que se vê")  # fmt: skip

# %% tags=["check"]
np.testing.assert_allclose(surface.eigenvalues, [0.5, 1.5])
np.testing.assert_allclose(surface.minimizer, [0.5, 0], atol=1e-12)
np.testing.assert_allclose(surface.max_step_size, 4 / 3)
for eta in (0.2, 1 / 1.5, 1.2):
    run = steepest_descent(surface, eta, start)
    assert run.measured_regimes == regimes(surface, eta) and run.confirmed

# %% [markdown]
# ## Com que rapidez converge
#
# A longo prazo só resta o modo mais lento: a distância encolhe pelo maior $|1 -
# \eta\lambda_k|$. Ele é mínimo onde os dois extremos são igualmente ruins, em $\eta =
# 2/(\lambda_{min} + \lambda_{max})$, e ali vale $(\kappa-1)/(\kappa+1)$ com $\kappa =
# \lambda_{max}/\lambda_{min}$. Um vale estreito é sempre lento.

# %%
eta = 2 / (eigenvalues[0] + eigenvalues[-1])
kappa = eigenvalues[-1] / eigenvalues[0]
run = steepest_descent(surface, eta, start, steps=30)
print(f"taxa prevista {run.rate:.4f}, medida {run.measured_rate:.4f}")

# %% tags=["check"]
np.testing.assert_allclose(best_step_size(surface), eta)
np.testing.assert_allclose(convergence_rate(surface, eta), (kappa - 1) / (kappa + 1))
np.testing.assert_allclose(run.measured_rate, run.rate, rtol=1e-3)

# %% [markdown]
# ## Newton e Gauss-Newton
#
# Newton divide pela curvatura, $\mathbf{w}(n+1) = \mathbf{w}(n) - \mathbf{H}^{-1}
# \mathbf{g}$. Numa tigela, onde $\mathbf{H} = \mathbf{R}$ em toda parte, isso é um
# passo só. Gauss-Newton dispensa as segundas derivadas: para um custo feito de erros ao
# quadrado com jacobiana $\mathbf{J}$, ele toma $\mathbf{w}(n+1) = \mathbf{w}(n) -
# (\mathbf{J}^T \mathbf{J})^{-1}\mathbf{J}^T\mathbf{e}$. Um neurônio com tanh entorta a
# tigela, e ali nenhum dos dois termina num passo.

# %%
one_step = start - np.linalg.solve(R, R @ start - p)
run = newton(surface, start)

random = np.random.default_rng(3)
x = random.normal(size=(100, 2)) @ [[1.0, 0.9], [0.0, 0.44]]
d = np.tanh(x @ [1.0, -0.5]) + random.normal(scale=0.05, size=100)
neuron = NeuronSurface(x, d, "tanh")

w = np.zeros(2)
for _ in range(5):
    e = d - np.tanh(x @ w)
    jacobian = -(1 - np.tanh(x @ w) ** 2)[:, None] * x
    w = w - np.linalg.solve(jacobian.T @ jacobian, jacobian.T @ e)

runs = {
    "descida mais íngreme": steepest_descent(neuron, 0.9, steps=60),
    "gradiente conjugado": conjugate_gradient(neuron, steps=60),
    "Gauss-Newton": gauss_newton(neuron, steps=60),
    "Newton": newton(neuron, steps=60),
}
for name, run in runs.items():
    print(f"{name:20}: {run.iterations:3d} iterações, w = {run.final_weights.round(4)}")

# %% tags=["check"]
assert newton(surface, start).iterations == 1
np.testing.assert_allclose(newton(surface, start).final_weights, one_step, atol=1e-12)
np.testing.assert_allclose(one_step, w_star, atol=1e-12)
np.testing.assert_allclose(gauss_newton(neuron, steps=5).final_weights, w, atol=1e-8)

# %% [markdown]
# ## A figura
#
# À esquerda e no meio, a figura 3.2 de Haykin: o mesmo início, um passo pequeno e um
# grande. À direita, os quatro métodos no neurônio com tanh.

# %%
blue, orange, green, pink = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
w1, w2 = np.linspace(-1.8, 2.4, 81), np.linspace(-1.6, 2.2, 81)
grid = np.stack(np.meshgrid(w1, w2), -1)

figure, (left, middle, right) = plt.subplots(
    1, 3, figsize=(14, 4.6), layout="constrained"
)
for axes, eta, colour, title in (
    (left, 0.2, blue, r"$\eta = 0.2$: " + say("over-damped", "sobreamortecida")),
    (middle, 1.2, orange, r"$\eta = 1.2$: " + say("under-damped", "subamortecida")),
):
    axes.contour(w1, w2, surface.cost(grid), levels=12, colors="0.75", linewidths=0.8)
    trajectory = steepest_descent(surface, eta, start, steps=25).weights
    axes.plot(*trajectory.T, "o-", color=colour, markersize=4)
    for axis in surface.contour_axes(0.8).T:  # os eixos principais
        axes.plot(*np.stack([w_star - axis, w_star + axis]).T, ":", color="0.3")
    axes.plot(*w_star, "*", color=green, markersize=16)
    axes.annotate("w(0)", start, xytext=(6, 4), textcoords="offset points")
    axes.set(xlabel="$w_1$", ylabel="$w_2$", title=title, aspect="equal")

floor = min(run.cost.min() for run in runs.values())
styles = (("o-", orange), ("s-", blue), ("^-", green), ("v-", pink))
for (name, run), (style, colour) in zip(runs.items(), styles, strict=True):
    excess = np.maximum(run.cost - floor, 1e-16)
    right.semilogy(excess, style, color=colour, markersize=4, label=name)
right.set(xlabel=say("iteration n", "iteração n"), ylabel=r"$E(w(n)) - E_{min}$",
          xlim=(-0.5, 30),
          title=say("A tanh neuron, four methods",
                    "Um neurônio tanh, quatro métodos"))  # fmt: skip
right.legend()
in_language(figure, language)
plt.show()

# %% [markdown]
# ## Exercícios
#
# Ponha as suas respostas na célula abaixo: ela diz certo, quase, ou o que ver de novo.
# As soluções estão na pasta `solutions`.
#
# 1. Que tamanho de passo dá amortecimento crítico ao modo ao longo de (1, 1), e qual ao
#    outro? Preveja os dois e deixe `regimes` conferir. Um só passo consegue ambos?
# 2. Ponha `R` igual a `[[1, 0.95], [0.95, 1]]`. De quantas iterações a descida mais
#    íngreme precisa com o melhor passo, e de quantas precisam Newton e
#    `conjugate_gradient`? Explique os números com $\kappa$.
# 3. Comece Newton no neurônio com tanh em (-4, 4). O que a mensagem de erro diz da
#    hessiana ali, e por que Gauss-Newton com `delta=0.01` não para?

# %%
check("03.1", None)  # passos: ao longo de (1, 1), ao longo de (1, -1)
check("03.2", None)  # o erro que sobra de uma iteração com o melhor passo, 0 a 1
check("03.3", None)  # o autovalor negativo da hessiana ali
