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
# # 16. O pipeline: de um notebook a um modelo aprovado
#
# **Qual célula fez estes pesos, e dá para confiar neles?**
#
# Um notebook é onde uma ideia começa, e um mau lugar para ela ficar: ninguém sabe qual
# célula fez quais pesos. Um pipeline escreve os mesmos passos como componentes. Cada um
# lê artefatos tipados, escreve um e anota de onde ele veio; o MLflow guarda o placar.
# Você vai rodar o trabalho que o projeto traz, conferir à mão o que ele afirma (um
# resumo criptográfico, uma acurácia, um erro de calibração, uma aprovação), rodá-lo de
# novo num instante, e aprender a lê-lo no navegador.

# %%
from hashlib import sha256
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import Markdown, display

from dlkeras.pipeline import (
    EvaluatorConfig,
    PipelineConfig,
    TrainerConfig,
    TunerConfig,
    run,
)
from dlkeras.testing.course import check, compare, language, say
from dlkeras.visualization import in_language

# %% [markdown]
# ## Uma configuração e uma chamada
#
# A configuração traz tudo o que você pode escolher; o que ficar de fora tem um padrão
# que serve aos dígitos do notebook 11. São dez componentes, um depois do outro: ingerir
# os exemplos, descrevê-los, inferir um esquema e conferi-lo, fixar o pré-processamento,
# buscar uma taxa de aprendizagem, treinar, avaliar e aprovar, carregar o modelo num
# processo novo como fará um servidor, publicar.

# %%
config = PipelineConfig(
    name="notebook_16",
    mlruns=Path("mlruns"),
    tuner=TunerConfig(max_trials=2, epochs=1),
    trainer=TrainerConfig(architecture="lenet5", epochs=12, batch_size=64),
    evaluator=EvaluatorConfig(min_accuracy=0.9),
)
result = run(config)
artifacts = result.artifacts
print(sorted(artifacts))

# %% [markdown]
# ## Um artefato, à mão
#
# Um artefato é uma pasta de arquivos e um `artifact.json`, que tem o SHA-256 de cada
# arquivo. Um bit trocado é descoberto: aqui calculamos os resumos nós mesmos. O nome da
# pasta é a *chave* dele, um resumo de tudo de que o resultado depende: a configuração
# do componente, os resumos das entradas, o código e as versões das bibliotecas. Mesma
# chave, mesmo resultado: por isso um passo pode ser reaproveitado sem pensar duas
# vezes.

# %%
model = artifacts["Model"]
for name, file in model.record.files.items():
    digest = sha256((model.path / name).read_bytes()).hexdigest()
    print(
        f"{name:24} {digest[:12]}",
        "como registrado" if digest == file.sha256 else "MUDOU",
    )
print(f"{len(model.record.files)} arquivos de {model.path} são o que eram")
print("feito por", model.record.producer, "a partir de", sorted(model.record.inputs))
digest = model.record.inputs["examples"].digest

# %% tags=["check"]
for name, file in model.record.files.items():
    assert sha256((model.path / name).read_bytes()).hexdigest() == file.sha256
assert digest == artifacts["Examples"].record.digest  # whose child it is

# %% [markdown]
# ## A avaliação, à mão
#
# O avaliador guarda cada resposta numa tabela. A acurácia é a fração das certas, a
# diagonal da matriz de confusão. O *erro de calibração esperado* pergunta se a rede
# sabe o que sabe: distribua as respostas em 15 faixas de confiança e compare a
# confiança de cada faixa com a sua acurácia,
#
# $$\mathrm{ECE} = \sum_b \frac{n_b}{n}\,\bigl|\text{acurácia}_b -
# \text{confiança}_b\bigr|.$$

# %%
evaluation = artifacts["Evaluation"]
answers = pd.read_parquet(evaluation.path / "predictions.parquet")
right = (answers["label"] == answers["prediction"]).to_numpy()
confidence = answers["confidence"].to_numpy()

bins = np.clip(np.ceil(confidence * 15).astype(int), 1, 15)
ece = 0.0
for b in np.unique(bins):
    mine = bins == b
    ece += mine.mean() * abs(right[mine].mean() - confidence[mine].mean())

metrics = evaluation.metrics
confusion = np.array(metrics["confusion_matrix"])
compare(metrics["accuracy"], right.mean())
compare(metrics["accuracy"], np.trace(confusion) / confusion.sum())
compare(metrics["ece"], ece, atol=1e-6)
print(f"acurácia {right.mean():.4f}, erro de calibração {ece:.4f}, "
      f"{(~right).sum()} de {len(right)} errados")  # fmt: skip

# %% [markdown]
# ## A aprovação, à mão
#
# Um modelo só é publicado se for aprovado (*blessed*): a acurácia deve alcançar
# `min_accuracy` e ser maior que a de quem responde sempre a classe mais comum, e não
# pode cair mais que `max_accuracy_drop` abaixo do modelo que é o campeão agora.

# %%
print("aprovado:", result.blessed, "-", result.reason)
for trial in artifacts["Hyperparameters"].trials:
    print("tentativa", trial["id"], trial["status"], f"custo {trial['score']:.3f}",
          {k: f"{v:.2g}" for k, v in trial["values"].items()})  # fmt: skip
best = min(artifacts["Hyperparameters"].trials, key=lambda trial: trial["score"])

# %% tags=["check"]
assert result.blessed == (metrics["accuracy"] >= config.evaluator.min_accuracy)
assert artifacts["Hyperparameters"].values == best["values"]

# %% [markdown]
# ## De novo, num instante
#
# A mesma configuração dá as mesmas chaves, e nada é calculado. Mude uma coisa, aqui o
# número de épocas, e só roda o que depende dela: os exemplos, as estatísticas e a busca
# são reaproveitados.

# %%
again = run(config)

trainer = TrainerConfig(architecture="lenet5", epochs=2, batch_size=64)
other = run(config.model_copy(update={"trainer": trainer}))
reused = {step.component for step in other.steps if step.cached}
print("reaproveitados depois de mudar o treino:", ", ".join(sorted(reused)))

# %% tags=["check"]
assert all(step.cached for step in again.steps)
assert again.artifacts["Model"].record.digest == model.record.digest
assert {"ExampleGen", "StatisticsGen", "Transform"} <= reused
assert (
    "Trainer" not in reused or other.artifacts["Model"].record.key != model.record.key
)

# %% [markdown]
# ## Como ler na interface do MLflow
#
# Num terminal, ao lado da pasta `mlruns`:
#
# ```console
# dlkeras runs             # as últimas execuções, com a acurácia
# dlkeras show RUN         # uma delas: parâmetros, métricas, figuras, linhagem
# dlkeras ui               # o mesmo no navegador, em http://127.0.0.1:5000
# ```
#
# Com a interface aberta, os links abaixo abrem esta execução. A página dela tem quatro
# partes que vale conhecer. *Overview*: a nota que o pipeline escreveu, os parâmetros e
# o modelo registrado. *Model metrics*: gráficos em seções, um para o custo, um para o
# gradiente de cada camada. *Artifacts*: as figuras, algumas com um controle deslizante
# sobre as épocas. E em *Models*, `notebook_16` com a versão e o apelido `champion`,
# que um serviço carregaria.

# %%
display(
    Markdown(
        f"- [{say('this run', 'esta execução')}]({result.run_link})\n"
        f"- [{say('the trials of the search', 'as tentativas da busca')}]"
        f"({result.compare_link})"
    )
)
print("publicado como versão", result.model_version)

# %% [markdown]
# ## A figura
#
# Para onde foi o tempo, na primeira vez e na segunda; como a rede aprendeu; e a matriz
# de confusão na partição de teste.

# %%
blue, orange, green = "#0072B2", "#D55E00", "#009E73"
figure, (left, middle, right) = plt.subplots(
    1, 3, figsize=(14, 4.6), layout="constrained"
)
names = [f"{number}. {step.component}" for number, step in enumerate(result.steps, 1)]
places = np.arange(len(names))
for shift, steps, colour, label in (
    (-0.2, result.steps, blue, say("first run", "primeira vez")),
    (0.2, again.steps, orange, say("again", "de novo")),
):
    seconds = [max(step.seconds, 1e-2) for step in steps]
    left.barh(places + shift, seconds, 0.38, color=colour, label=label)
left.set(yticks=places, yticklabels=names, xscale="log",
         xlabel=say("time (s)", "tempo (s)"))  # fmt: skip
left.invert_yaxis()
left.legend()

history = model.history
epochs = range(1, len(history) + 1)
middle.semilogy(epochs, [logs["loss"] for logs in history], "o-", color=blue,
                label=say("training", "treino"))  # fmt: skip
middle.semilogy(epochs, [logs["val_loss"] for logs in history], "s--", color=orange,
                label=say("validation", "validação"))  # fmt: skip
middle.set(xlabel=say("epoch", "época"), ylabel=say("loss", "custo"))
middle.grid(alpha=0.3)
middle.legend()

right.imshow(confusion, cmap="Blues")
for i, j in np.argwhere(confusion):
    dark = confusion[i, j] > confusion.max() / 2
    right.text(j, i, confusion[i, j], ha="center", va="center",
               color="white" if dark else "black")  # fmt: skip
right.set(xticks=range(10), yticks=range(10), xlabel=say("predicted", "previsto"),
          ylabel=say("true", "verdadeiro"),
          title=f"{say('accuracy', 'acurácia')} {metrics['accuracy']:.4f}")  # fmt: skip
in_language(figure, language)
plt.show()

# %% [markdown]
# ## Exercícios
#
# Ponha as suas respostas na célula abaixo: ela diz certo, quase, ou o que ver de novo.
# As soluções estão na pasta `solutions`.
#
# 1. Peça o impossível, `EvaluatorConfig(min_accuracy=1.0)`. Quais passos são
#    reaproveitados, que motivo aparece, e que versão o registro tem depois?
# 2. Mude um byte do arquivo da rede treinada e rode o trabalho de novo. Que
#    arquivo o erro aponta?
# 3. Quais destes mudam a chave do treinador: (a) a taxa de aprendizagem, (b) a acurácia
#    mínima, (c) o nome do pipeline, (d) o número de exemplos de validação? Adivinhe
#    primeiro.

# %%
check("16.1", None)  # o primeiro passo que não é reaproveitado, entre aspas
check("16.2", None)  # o arquivo que o erro nomeia, entre aspas
check("16.3", None)  # as letras dos que mudam, p. ex. "abcd"
