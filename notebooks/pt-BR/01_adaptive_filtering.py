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
# # 1. O problema de filtragem adaptativa
#
# **Como um filtro aprende o que um sistema faz, se ninguém pode olhar dentro dele?**
#
# Um sistema é desconhecido: vemos o que entra nele e o que sai. Ao lado dele, com a
# mesma entrada, trabalha um neurônio de pesos ajustáveis, e sempre que a resposta dele
# difere da do sistema ele se corrige. Dois processos atuam juntos, sem parar: o
# *processo de filtragem* calcula uma saída $y(n)$ e um erro $e(n)$; o *processo
# adaptativo* ajusta os pesos de acordo com o sinal de erro. Dessa única ideia saem
# modelos de salas com eco, equalizadores e fones que calam um motor. (Haykin, *Redes
# Neurais*, 2ª ed., seção 3.2 e fig. 3.1.)

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Audio, display

from dlkeras.layers import (
    FilteredXLMSFilter,
    FrequencyDomainFilter,
    LMSFilter,
)
from dlkeras.layers.adaptive.applications import noise_cancelling
from dlkeras.optimization import lms_theory
from dlkeras.testing.course import check, compare, language, say
from dlkeras.visualization import in_language, signal_flow_graph

# %% [markdown]
# ## Um sistema desconhecido e um modelo dele
#
# O sistema é um canal com ecos: a resposta é a soma das quatro últimas amostras da
# entrada vezes os quatro números em `channel`, mais um pouco de ruído próprio. O modelo
# começa com todos os pesos em zero e vê o sinal e a resposta, nada mais.
#
# Como grafo de fluxo de sinal (figura 3.1 do curso): cada nó é um sinal, cada seta
# multiplica pelo que está escrito ao lado dela, e setas que se encontram se somam. As
# entradas do nosso neurônio são as quatro últimas amostras, e o tempo é $n$.

# %%
display(signal_flow_graph("adaptive_model", language=language))

# %%
random = np.random.default_rng(1)
channel = np.array([0.8, -0.5, 0.3, 0.1])
noise_power = 1e-3

x = random.normal(size=2000)
d = np.convolve(x, channel)[:2000] + np.sqrt(noise_power) * random.normal(size=2000)

# %% [markdown]
# ## Os dois processos, à mão
#
# O regressor $\mathbf{x}(n) = [x(n), x(n-1), x(n-2), x(n-3)]^T$ guarda as amostras mais
# recentes. O processo de filtragem é
#
# $$y(n) = \mathbf{w}^T(n)\,\mathbf{x}(n), \qquad e(n) = d(n) - y(n).$$
#
# A função de custo instantânea $\tfrac12 e^2(n)$ tem o gradiente
# $-e(n)\,\mathbf{x}(n)$; um passo contra ele, com taxa de aprendizagem $\eta$ ($\mu$
# nos livros de processamento de sinais e nas páginas de filtros da biblioteca), é o
# processo adaptativo, a regra LMS (*least mean square*) de Widrow e Hoff:
#
# $$\mathbf{w}(n+1) = \mathbf{w}(n) + \eta\,e(n)\,\mathbf{x}(n).$$

# %%
eta, taps = 0.02, 4
w, regressor = np.zeros(taps), np.zeros(taps)
outputs, errors, weights = [], [], []
for n in range(len(x)):
    regressor = np.r_[x[n], regressor[:-1]]  # a linha de atraso
    y = w @ regressor
    e = d[n] - y
    outputs.append(y), errors.append(e), weights.append(w)
    w = w + eta * e * regressor

lms = LMSFilter(taps, eta, return_weights=True)
ours = [keras.ops.convert_to_numpy(part)[0] for part in lms(x[None], d[None])]
for by_hand, library in zip((outputs, errors, weights), ours, strict=True):
    compare(library, by_hand, atol=1e-4)
print("canal:", channel, "  achado:", w.round(3))

# %% tags=["check"]
assert np.abs(w - channel).max() < 0.03

# %% [markdown]
# ## A curva de aprendizagem, e o que a teoria prevê
#
# Uma única rodada tem muito ruído. A média de $e^2(n)$ sobre muitas rodadas é a
# *curva de aprendizagem* $J(n)$. Uma entrada branca de potência 1 tem a matriz de
# correlação $\mathbf{R} = \mathbf{I}$, e a correlação cruzada $\mathbf{p}$ é o próprio
# canal. O menor erro possível é a potência do ruído, $J_{min}$; como os pesos nunca
# descansam, o LMS paira acima dele pelo *desajuste*, que cresce com $\eta$.
#
# Cada linha de um lote é um filtro independente: 400 rodadas são uma única chamada.

# %%
runs, steps = 400, 500
signals = random.normal(size=(runs, steps))
answers = np.stack([np.convolve(row, channel)[:steps] for row in signals])
answers += np.sqrt(noise_power) * random.normal(size=answers.shape)
power = channel @ channel + noise_power
p = np.zeros(taps)  # o que do canal o filtro pode aprender
p[: len(channel)] = channel[:taps]
minimum = power - p @ p  # com menos pesos que o canal, mais que o ruído

curves, theories = {}, {}
for step_size in (0.02, 0.1):
    rule = LMSFilter(taps, step_size)
    error = keras.ops.convert_to_numpy(rule(signals, answers)[1])
    curves[step_size] = (error**2).mean(axis=0)
    theory = theories[step_size] = lms_theory(np.eye(taps), p, step_size, power)
    settled = curves[step_size][300:].mean()
    expected = theory.learning_curve(steps)[300:].mean()
    print(
        f"eta = {step_size}: se acomoda em {settled:.5f}, teoria {expected:.5f}, "
        f"desajuste {theory.misadjustment:.1%}"
    )

# Com entrada branca a teoria cabe em três linhas: todos os modos de J decaem igual.
J, v = [], p @ p  # v: distância quadrática média dos pesos
for _ in range(steps):
    J.append(minimum + v)
    v = (1 - 2 * 0.02 + 0.02**2 * (taps + 2)) * v + 0.02**2 * taps * minimum
print(f"Seguro abaixo de eta = {theory.safe_step_size:.3f}; regressores independentes: "
      f"estável abaixo de {theory.max_step_size:.3f}; "
      f"pesos médios abaixo de {theory.max_step_size_mean:.3f}")  # fmt: skip

# %% tags=["check"]
np.testing.assert_allclose(theories[0.02].learning_curve(steps), J, rtol=1e-9)
for step_size, curve in curves.items():
    expected = theories[step_size].learning_curve(steps)[300:].mean()
    np.testing.assert_allclose(curve[300:].mean(), expected, rtol=0.05)
np.testing.assert_allclose(theory.safe_step_size, 2 / (3 * taps))  # 2 / (3 tr R)
np.testing.assert_allclose(theory.max_step_size, 2 / (taps + 2))

# %% [markdown]
# ## Cancelar um ruído que se pode ouvir
#
# Um piloto fala num microfone que também ouve o motor. Um segundo microfone, junto ao
# motor, ouve só o ruído, antes que a cabine o modifique. O sistema desconhecido é agora
# o caminho do ruído pela cabine. O filtro o aprende, prevê o ruído e o subtrai; o que
# ele *não* consegue prever, o erro, é a voz. Aqui uma escala de oito notas faz o papel
# da voz.

# %%
rate = 8000  # amostras por segundo
semitones = np.array([0, 2, 4, 5, 7, 9, 11, 12])
t = np.arange(rate // 2) / rate
envelope = np.exp(-4 * t) * np.minimum(1, 100 * t)
voice = 0.3 * np.concatenate(
    [envelope * np.sin(2 * np.pi * 262 * 2 ** (s / 12) * t) for s in semitones]
)
engine = 0.4 * random.normal(size=len(voice))
cabin = random.normal(size=24) * np.exp(-np.arange(24) / 6)
heard = voice + np.convolve(engine, cabin)[: len(voice)]

slow = LMSFilter(24, 0.01, stateful=True)
found = noise_cancelling(
    heard[None].astype("float32"),
    engine[None].astype("float32"),
    taps=24,
    adaptive_filter=slow,
)
cleaned = found.error[0]


def decibels(signal, of):
    """Relação sinal-ruído depois do primeiro segundo, em dB."""
    noise = (signal - of)[rate:]
    return 10 * np.log10(np.mean(of[rate:] ** 2) / np.mean(noise**2))


before, after = decibels(heard, voice), decibels(cleaned, voice)
print(f"voz em relação ao motor: {before:.1f} dB antes, {after:.1f} dB depois")

# %% tags=["check"]
assert after > before + 20
np.testing.assert_allclose(found.weights[0], cabin, atol=0.15)

# %% [markdown]
# Ouça: primeiro o que o microfone ouviu, depois o que o filtro faz disso. Nos primeiros
# instantes dá para ouvi-lo aprender.

# %%
display(Audio(heard, rate=rate), Audio(cleaned, rate=rate))

# %% [markdown]
# ## Um ECG livre do zumbido
#
# A rede elétrica zumbe em todo eletrocardiograma. A frequência é conhecida, a amplitude
# e a fase não: dois pesos, num cosseno e num seno de 60 Hz, bastam para as duas
# (Widrow, 1975). O erro é só o coração.

# %%
times = np.arange(20 * 500) / 500
phase = 1.2 * times % 1  # 72 batimentos por minuto
waves = [(0.2, 0.12, 0.025), (0.37, -0.15, 0.01), (0.4, 1.0, 0.012),
         (0.43, -0.25, 0.012), (0.65, 0.3, 0.04)]  # fmt: skip
heart = sum(a * np.exp(-(((phase - at) / width) ** 2) / 2) for at, a, width in waves)
electrode = heart + 0.5 * np.sin(2 * np.pi * 60 * times + 0.7)

mains = np.stack([f(2 * np.pi * 60 * times) for f in (np.cos, np.sin)], axis=-1)
canceller = LMSFilter(1, 0.005, input_type="multi_input")
freed = keras.ops.convert_to_numpy(canceller(mains[None], electrode[None])[1])[0]

hum_left = np.std((freed - heart)[2500:]) / np.std((electrode - heart)[2500:])
print(f"zumbido depois de cinco segundos: {20 * np.log10(hum_left):.0f} dB")

# %% tags=["check"]
assert hum_left < 0.1

# %% [markdown]
# ## Um eco removido
#
# Num viva-voz, a voz do alto-falante volta pela sala. O eco dura um quarto de segundo,
# são 2.048 pesos, e a fala é colorida: trabalho para o filtro no domínio da frequência.

# %%
moments = np.arange(5 * rate) / rate
syllables = np.sin(2 * np.pi * 1.5 * moments) ** 2
far = np.convolve(random.normal(size=len(moments)), 0.8 ** np.arange(30))
far = 0.1 * syllables * far[: len(moments)]
room = random.normal(size=2048) * np.exp(-np.arange(2048) / 400) / 8
echo = np.convolve(far, room)[: len(far)]
echo_left = FrequencyDomainFilter(2048, 0.7, block=256)(far, echo)[1]
echo_left = keras.ops.convert_to_numpy(echo_left)

loss = 10 * np.log10(np.mean(echo[-rate:] ** 2) / np.mean(echo_left[-rate:] ** 2))
print(f"eco no último segundo: {loss:.0f} dB a menos")

# %% tags=["check"]
assert loss > 15

# %% [markdown]
# ## Um motor silenciado
#
# Fones de ouvido não subtraem: tocam um som que encontra o do motor no ouvido. No
# caminho, esse som passa do alto-falante ao ouvido; por isso o filtro segue o erro ao
# longo da referência *depois desse caminho*: é o LMS de x filtrado.

# %%
turning = sum(
    np.sin(2 * np.pi * 90 * k * moments[: 2 * rate] + k) / k for k in (1, 2, 3)
)
at_the_ear = 0.3 * np.convolve(turning, [0, 0.5, 0.8, -0.3])[: len(turning)]
headphones = FilteredXLMSFilter(
    32, 0.02, secondary_path=[0, 0, 0.7, 0.3], normalised=True
)
silence = keras.ops.convert_to_numpy(headphones(turning, at_the_ear)[1])

quiet = np.std(silence[-rate // 2 :]) / np.std(at_the_ear[-rate // 2 :])
print(f"o motor no fim: {20 * np.log10(quiet):.0f} dB")

# %% tags=["check"]
assert quiet < 0.1

# %% [markdown]
# Ouça: o eco antes e depois, em seguida o motor antes e depois.

# %%
display(Audio(echo, rate=rate), Audio(echo_left, rate=rate))
display(Audio(at_the_ear, rate=rate), Audio(silence, rate=rate))
figure, (left, middle, right) = plt.subplots(
    1, 3, figsize=(14, 3.6), layout="constrained"
)
two = slice(2500, 3500)  # dois segundos do coração
left.plot(times[two], electrode[two], color="0.75", label="$d(n)$")
left.plot(times[two], freed[two], color="#0072B2", label="$e(n)$")
left.set(title=say("An ECG and its hum", "Um ECG com zumbido"))
middle.plot(moments, echo, color="0.75", label="$d(n)$", linewidth=0.4)
middle.plot(moments, echo_left, color="#0072B2", label="$e(n)$", linewidth=0.4)
middle.set(title=say("An echo", "Um eco"))
right.plot(moments[: 2 * rate], at_the_ear, color="0.75", label="$d(n)$")
right.plot(moments[: 2 * rate], silence, color="#0072B2", label="$e(n)$")
right.set(title=say("An engine at the ear", "Um motor no ouvido"))
for axis in (left, middle, right):
    axis.set_xlabel(say("time (s)", "tempo (s)"))
    axis.legend(loc="lower right")
in_language(figure, language)
plt.show()

# %% [markdown]
# ## A figura
#
# À esquerda, os pesos de uma rodada a caminho do canal (tracejado). No meio, a curva de
# aprendizagem de 400 rodadas e a previsão da teoria, para duas taxas de aprendizagem: a
# maior é mais rápida e se acomoda mais acima. À direita, a voz dentro do ruído e fora
# dele.

# %%
blue, orange, green, grey = "#0072B2", "#D55E00", "#009E73", "#666666"
figure, (left, middle, right) = plt.subplots(
    1, 3, figsize=(14, 4.4), layout="constrained"
)
for k, colour in zip(range(taps), (blue, orange, green, grey), strict=False):
    left.plot(np.array(weights)[:600, k], color=colour, label=f"$w_{k}$")
    left.axhline(p[k], color=colour, linestyle="--", linewidth=0.8)
left.set(xlabel="n", title=say("Weights find the channel", "Os pesos acham o canal"))
left.legend(loc="center right", bbox_to_anchor=(1, 0.32))  # onde não passa linha

for (step_size, curve), colour in zip(curves.items(), (blue, orange), strict=True):
    middle.semilogy(curve, color=colour, alpha=0.45, linewidth=0.9)
    middle.semilogy(theories[step_size].learning_curve(steps), color=colour,
                    label=rf"$\eta$ = {step_size}")  # fmt: skip
middle.axhline(minimum, color=grey, linestyle=":", label="$J_{min}$")
middle.set(xlabel="n", ylabel="$J(n) = E[e^2(n)]$",
           title=say("Learning curve: 400 runs, theory",
                     "Curva de aprendizagem: 400 rodadas, teoria"))  # fmt: skip
middle.legend()

seconds = np.arange(len(voice)) / rate
right.plot(seconds, heard, color="0.75", linewidth=0.4, label="$d(n)$")
right.plot(seconds, cleaned, color=blue, linewidth=0.4, label="$e(n)$")
right.set(xlabel=say("time (s)", "tempo (s)"), ylabel="amplitude",
          title=say(f"{before:.0f} dB in, {after:.0f} dB out",
                    f"Entram {before:.0f} dB, saem {after:.0f} dB"))  # fmt: skip
for line in right.legend(loc="lower right").get_lines():
    line.set_linewidth(3)
in_language(figure, language)
plt.show()

# %% [markdown]
# ## Exercícios
#
# Ponha as suas respostas na célula abaixo: ela diz certo, quase, ou o que ver de novo.
# As soluções estão na pasta `solutions`.
#
# 1. O sistema muda: faça `channel` trocar de sinal em $n = 1000$. De quanto tempo
#    o filtro precisa para achar o novo canal com $\eta = 0{,}02$, e com 0,1? O que
#    faria um filtro que parou de se adaptar em $n = 500$?
# 2. Dê cor à entrada: troque `x` por $x(n) + 0{,}9\,x(n-1)$. Calcule os autovalores da
#    sua matriz de correlação 4 por 4. Qual taxa de aprendizagem é agora o limite para a
#    média dos pesos, e por que o LMS precisa de muito mais tempo que antes a um quinto
#    dele?
# 3. Dê ao filtro 3 coeficientes, um a menos. Onde a curva de aprendizagem se acomoda?
#    Explique o número com o peso que falta.

# %%
check("01.1", None)  # amostras até sobrar um décimo, eta = 0.02
check("01.2", None)  # a maior taxa de aprendizagem para a média dos pesos
check("01.3", None)  # onde a curva de aprendizagem se acomoda
