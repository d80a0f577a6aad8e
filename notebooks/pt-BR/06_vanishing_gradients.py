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
# # 6. Gradientes que desaparecem e que explodem
#
# **Por que as primeiras camadas de uma rede profunda quase não aprendem?**
#
# Uma rede profunda traz três problemas: os gradientes desaparecem ou explodem na
# descida (este notebook), o treino é lento (notebooks 2 e 3), e com milhões de pesos
# ela decora os exemplos (notebooks 7 e 8).
#
# Numa rede profunda o erro tem um longo caminho de volta. Em cada camada ele é
# multiplicado, por inclinações e por pesos, e vinte fatores um pouco abaixo de 1 não
# deixam nada, enquanto vinte um pouco acima de 1 explodem. (As redes recorrentes, que
# usam os mesmos pesos em centenas de instantes, são as que mais explodem.) Você vai
# calcular isso à mão para 20 camadas, ver tudo ao vivo com o `GradientNormMonitor`,
# descobrir que a história do livro-texto não é a história toda, e achar a cura: os
# pesos de Xavier e de He e unidades que não saturam.

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from dlkeras.callbacks import (
    ActivationMonitor,
    GradientNormMonitor,
    TrainingDoctor,
    diagnose,
)
from dlkeras.testing.course import check, compare, language, say
from dlkeras.visualization import in_language

# %%
digits = load_digits()
x = ((digits.data - digits.data.mean()) / digits.data.std()).astype("float32")
y = digits.target
DEPTH, WIDTH, BATCH = 20, 100, 64


def network(activation, initializer, depth=DEPTH, seed=0):
    """Camadas escondidas de um só tipo, e dez saídas sem softmax."""
    keras.utils.set_random_seed(seed)
    hidden = [
        keras.layers.Dense(
            WIDTH,
            keras.layers.LeakyReLU(negative_slope=0.01)
            if activation == "leaky"
            else activation,
            kernel_initializer=keras.initializers.get(initializer).clone(),
            name=f"hidden_{number}",
        )
        for number in range(1, depth + 1)
    ]
    return keras.Sequential(
        [keras.layers.Input((64,)), *hidden, keras.layers.Dense(10)]
    )


def watched(model, optimizer, epochs=1):
    """Treina com os dois monitores e os devolve."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss)
    gradients = GradientNormMonitor(frequency=1, on_finding=None)
    activations = ActivationMonitor(x[:256], on_finding=None)
    model.fit(x, y, batch_size=BATCH, epochs=epochs, shuffle=False, verbose=0,
              callbacks=[gradients, activations])  # fmt: skip
    return gradients, activations


def kernel_norms(gradients):
    """Normas dos gradientes dos kernels escondidos no primeiro passo, por camada."""
    history = gradients.history
    mine = [
        n.startswith("hidden") and n.endswith("kernel") for n in history.variable_names
    ]
    return history.gradient_norm[0, mine]


# %% [markdown]
# ## Vinte camadas à mão
#
# Os gradientes locais andam para trás pela regra do notebook 5, $\boldsymbol\delta_{l}
# = \varphi'(\mathbf v_l)\odot\mathbf W_{l+1}\boldsymbol \delta_{l+1}$, e o gradiente de
# um kernel é $\mathbf y_{l-1}\boldsymbol\delta_l^T$. Para a função logística $\varphi'
# \le 1/4$. Os pesos de Glorot têm a variância $2/(100+100)$, de modo que $\mathbf W$ em
# média conserva o comprimento de um vetor. Resta $(1/4)^{19} = 3{,}6\cdot10^{-12}$ da
# última camada escondida à primeira. Gradientes assim se chamam *instáveis*: as camadas
# aprendem em velocidades muito diferentes, e aqui a primeira fica parada enquanto a
# última aprende.

# %%
model = network("sigmoid", "glorot_uniform")
kernels = [w.astype(float) for w in model.get_weights()[::2]]  # os bias são zero
outputs = [x[:BATCH].astype(float)]
for kernel in kernels[:-1]:
    outputs.append(1 / (1 + np.exp(-outputs[-1] @ kernel)))
logits = outputs[-1] @ kernels[-1]
softmax = np.exp(logits - logits.max(axis=1, keepdims=True))
softmax /= softmax.sum(axis=1, keepdims=True)

delta = (np.eye(10)[y[:BATCH]] - softmax) / BATCH  # d - p, como no notebook 5
by_hand = []
for layer in reversed(range(DEPTH)):
    delta = (
        outputs[layer + 1] * (1 - outputs[layer + 1]) * (delta @ kernels[layer + 1].T)
    )
    by_hand.insert(0, np.linalg.norm(outputs[layer].T @ delta))

found = {"sigmoid, Glorot": watched(model, keras.optimizers.SGD(0.1))}
measured = kernel_norms(found["sigmoid, Glorot"][0])
compare(measured, by_hand, rtol=1e-3)
ratio = measured[0] / measured[-1]
print(f"primeira sobre última de 20 camadas: {ratio:.1e}; (1/4)^19 = {0.25**19:.1e}")

# %% tags=["check"]
assert 1e-13 < ratio < 1e-10  # about 1e-11 to 1e-12: the first layer cannot learn

# %% [markdown]
# ## Não é a história toda
#
# Diz o livro-texto: com pesos ruins, N(0, 1), os gradientes desaparecem. Não é o que
# acontece. Com variância 1, uma soma de cem termos tem desvio padrão da ordem de 10, e
# uma unidade logística em $v = \pm10$ está *saturada*: a inclinação é minúscula,
# mas os pesos que trazem o erro de volta são dez vezes grandes demais, e os dois quase
# se cancelam. O gradiente chega; as unidades estão presas assim mesmo. Com tanh, cuja
# inclinação é 1 onde não é plana, os pesos vencem: o gradiente *explode*.

# %%
normal = keras.initializers.RandomNormal(stddev=1.0)
for activation in ("sigmoid", "tanh"):
    found[f"{activation}, N(0, 1)"] = watched(
        network(activation, normal), keras.optimizers.SGD(0.1)
    )
# As curas da próxima seção, treinadas aqui para comparar.
found["tanh, Xavier"] = watched(
    network("tanh", "glorot_normal"), keras.optimizers.Adam(1e-3), epochs=3
)
found["ReLU, He"] = watched(
    network("relu", "he_normal"), keras.optimizers.Adam(1e-3), epochs=3
)

ratios, saturated, names = {}, {}, {}
for name, (gradients, activations) in found.items():
    norms = kernel_norms(gradients)
    ratios[name] = norms[0] / norms[-1]
    shares = activations.history.saturated_share[0, :DEPTH]
    saturated[name] = 0.0 if np.isnan(shares).all() else np.nanmean(shares)
    names[name] = sorted({f.name for f in diagnose(gradients, activations)})
    print(f"{name:16} gradiente primeira/última {ratios[name]:8.1e}, saturadas "
          f"{saturated[name]:4.0%}  {', '.join(names[name])}")  # fmt: skip

# %% tags=["check"]
assert "vanishing_gradient" in names["sigmoid, Glorot"]
assert saturated["sigmoid, Glorot"] < 0.01
assert ratios["sigmoid, N(0, 1)"] > 1e-3 and saturated["sigmoid, N(0, 1)"] > 0.5
assert ratios["tanh, N(0, 1)"] > 1e3 and "exploding_gradient" in names["tanh, N(0, 1)"]

# %% [markdown]
# ## As curas
#
# *Xavier* (Glorot): sinal e erro devem conservar a variância. Uma soma de $n$ termos de
# variância $\sigma^2$ tem $n\sigma^2$; a ida quer $n_{in}\sigma^2 = 1$, a volta
# $n_{out}\sigma^2 = 1$, e o meio-termo é $\sigma^2 = 2/(n_{in}+n_{out})$, para uma
# função de inclinação 1 em torno de zero, como a tanh. *He*: a ReLU só deixa passar
# metade da potência, portanto $\sigma^2 = 2/n_{in}$. Pesos uniformes entre $-r$ e $r$
# têm variância $r^2/3$, portanto $r = \sqrt3\,\sigma$:
#
# | ativação | normal, $\sigma$ | uniforme, $r$ |
# |---|---|---|
# | tanh | $\sqrt{2/(n_{in}+n_{out})}$ | $\sqrt{6/(n_{in}+n_{out})}$ |
# | logística | 4 vezes isso, a inclinação em 0 é 1/4 | 4 vezes isso |
# | ReLU e parentes | $\sqrt{2/n_{in}}$ | $\sqrt{6/n_{in}}$ |
#
# No Keras eles se chamam `glorot_normal`, `glorot_uniform`, `he_normal` e `he_uniform`.
# As duas redes acima mantêm os gradientes dentro de um fator dez ao longo de 20
# camadas, e aprendem.

# %%
for name, sigma in (
    ("glorot_normal", np.sqrt(2 / 200)),
    ("glorot_uniform", np.sqrt(6 / 200) / np.sqrt(3)),
    ("he_normal", np.sqrt(2 / 100)),
    ("he_uniform", np.sqrt(6 / 100) / np.sqrt(3)),
):
    drawn = keras.ops.convert_to_numpy(keras.initializers.get(name)((100, 100)))
    print(f"{name}: desvio padrão {drawn.std():.4f}, à mão {sigma:.4f}")
    compare(drawn.std(), sigma, rtol=0.05)
for name in ("tanh, Xavier", "ReLU, He"):
    loss = found[name][0].history.epoch_logs[-1]["loss"]
    print(f"{name}: custo {loss:.3f} depois de 3 épocas (no chute: {np.log(10):.3f})")

# %% tags=["check"]
for name in ("tanh, Xavier", "ReLU, He"):
    assert 0.1 < ratios[name] < 10
    assert not {"vanishing_gradient", "exploding_gradient"} & set(names[name])
    assert found[name][0].history.epoch_logs[-1]["loss"] < 0.5 * np.log(10)

# %% [markdown]
# ## ReLU que morre, e uma que pode acordar
#
# Um único passo enorme pode empurrar para baixo de zero todos os campos locais
# induzidos de uma camada ReLU, para todo exemplo. Ali a inclinação é 0 em toda parte e
# nenhuma correção volta. Uma leaky ReLU conserva uma inclinação de 0,01.
# Matamos de propósito, com a taxa de aprendizagem do Adam em 0,1 no lugar de 0,001 por
# duas épocas, e contamos as unidades escondidas desligadas para todo exemplo. Depois as
# duas seguem com 0,003 por quinze épocas: quem acorda? Com três sementes, as redes ReLU
# leem depois 20, 28 e 10 % dos dígitos, e as leaky 72, 79 e 72 %. (Com 0,03 cerca da
# metade das unidades ReLU se desliga, como diz o curso. Com 1 nem a rede leaky volta:
# aí é divergência.)


# %%
def off(model):
    """Fração das unidades escondidas sem inclinação 1 em nenhum exemplo."""
    values, shares = x[:512], []
    for layer in model.layers[:-1]:
        values = keras.ops.convert_to_numpy(layer(values))
        shares.append((values <= 0).all(axis=0).mean())
    return np.array(shares)


def trained(model, rate, epochs):
    """Treina sem monitores e devolve a fração de dígitos lidos."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(rate), loss)
    model.fit(x, y, batch_size=BATCH, epochs=epochs, shuffle=False, verbose=0)
    return np.mean(model.predict(x, batch_size=600, verbose=0).argmax(axis=1) == y)


dead, woken = {}, {}
for activation in ("relu", "leaky"):
    model = network(activation, "he_normal", depth=5)
    shocked = trained(model, 0.1, epochs=2)
    dead[activation] = off(model)
    # Agora a taxa de aprendizagem certa: quem se recupera?
    for _ in range(3):
        woken[activation] = trained(model, 3e-3, epochs=5)  # Adam recomeçado
    print(f"{activation:5}  desligadas por camada {dead[activation].round(2)}  "
          f"lê {shocked:.2f}, e depois {woken[activation]:.2f}")  # fmt: skip

# %% tags=["check"]
assert dead["relu"].max() > 0.9
assert woken["leaky"] > woken["relu"] + 0.3  # over three seeds 0.51 to 0.62 more

# %% [markdown]
# ## O veredito, em uma linha
#
# O `TrainingDoctor` traz os dois monitores e olha também o modelo, a perda e os dados.
# No fim do `fit`, diz o que um bom colega diria: uma causa, o que se viu dela em
# números e uma coisa a mudar. A rede logística ouve por que a perda fica em
# $\ln 10$; a rede com ReLU e os pesos de He ouve que está saudável, e o que foi olhado.

# %%
verdicts = {}
for name, activation, initializer in (
    ("sigmoid, Glorot", "sigmoid", "glorot_uniform"),
    ("ReLU, He", "relu", "he_normal"),
):
    model, doctor = network(activation, initializer), TrainingDoctor(on_finding=None)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-3), loss, metrics=["accuracy"])
    model.fit(x, y, batch_size=BATCH, epochs=4, verbose=0, callbacks=[doctor])
    verdicts[name] = doctor.diagnosis
    print(f"{name}: {doctor.diagnosis.verdict}\n")

# %% tags=["check"]
assert verdicts["sigmoid, Glorot"].told[0].name == "vanishing_gradient"
assert verdicts["ReLU, He"].healthy

# %% [markdown]
# ## A figura
#
# À esquerda, o gradiente dos pesos de cada camada no primeiro passo. No meio, quantas
# das saídas de cada camada estão onde a ativação é plana. À direita, as mortas.

# %%
blue, orange, green = "#0072B2", "#D55E00", "#009E73"
pink, grey = "#CC79A7", "#666666"
figure, (left, middle, right) = plt.subplots(
    1, 3, figsize=(14, 4.6), layout="constrained"
)
layers = np.arange(1, DEPTH + 1)
styles = (("o-", blue), ("s-", orange), ("^-", pink), ("v--", green), ("x--", grey))
for (name, (gradients, activations)), (style, colour) in zip(
    found.items(), styles, strict=True
):
    left.semilogy(layers, kernel_norms(gradients), style, color=colour, markersize=4,
                  label=name)  # fmt: skip
    if "ReLU" not in name:
        shares = activations.history.saturated_share[0, :DEPTH]
        middle.plot(layers, shares, style, color=colour, markersize=4, label=name)
depth = say("layer, from input to output", "camada, da entrada à saída")
left.set(xlabel=depth, ylabel=r"$\|\partial E/\partial W\|$", xticks=range(2, 21, 3),
         title=say("Gradient in step 1", "Gradiente no passo 1"))  # fmt: skip
left.legend(fontsize=8)
middle.set(xlabel=depth, ylabel=say("share of outputs", "fração das saídas"),
           ylim=(-0.03, 1), xticks=range(2, 21, 3),
           title=say("Saturated outputs", "Saídas saturadas"))  # fmt: skip
for shift, (activation, colour) in enumerate((("relu", orange), ("leaky", green))):
    name = "ReLU" if activation == "relu" else "leaky ReLU"
    right.bar(np.arange(1, 6) + 0.4 * shift - 0.2, dead[activation], 0.38, color=colour,
              label=f"{name}: " + say("then reads", "depois lê")
              + f" {woken[activation]:.0%}")  # fmt: skip
right.set(xlabel=depth, ylabel=say("share of units", "fração das unidades"),
          ylim=(0, 1.25), title=say("Off for every example",
                                    "Desligadas para todo exemplo"))  # fmt: skip
right.legend()
in_language(figure, language)
plt.show()

# %% [markdown]
# ## Exercícios
#
# Ponha as suas respostas na célula abaixo: ela diz certo, quase, ou o que ver de novo.
# As soluções estão na pasta `solutions`.
#
# 1. Que profundidade pode ter a rede logística com os pesos de Glorot antes que
#    `diagnose` acuse o gradiente? Preveja a profundidade a partir do fator 1/4 e do
#    limite da regra.
# 2. A tanh com N(0, 1) explode. Dê aos kernels o desvio padrão 0,1 vezes $s$ e compare
#    a primeira e a última de 20 camadas: os gradientes e a dispersão das saídas.
#    Por que os gradientes também são parecidos com todo $s$ pequeno, e com qual $s$ os
#    dois sinais chegam ao fim? Qual inicializador você encontrou?
# 3. Treine a rede ReLU de 20 camadas com os pesos de Glorot no lugar dos de He. Por que
#    fator encolhe o desvio padrão das saídas de camada a camada, e quanto resta depois
#    de 20? (`activations.history.std`)

# %%
check("06.1", None)  # camadas escondidas, pela previsão
check("06.2", None)  # de quem é o inicializador, entre aspas
check("06.3", None)  # o fator de uma camada
