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
# # 16. The pipeline: from a notebook to a blessed model
#
# **Which cell made these weights, and can you trust them?**
#
# A notebook is where an idea begins, and a poor place for it to stay: nobody knows
# which cell made which weights. A pipeline writes the same steps down as components.
# Each reads typed artifacts, writes one, and notes where it came from; MLflow keeps the
# score. You will run the project's own job, check what it claims by hand (a digest, an
# accuracy, a calibration error, a blessing), run it again in no time, and learn to read
# it in the browser.

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
# ## A configuration and one call
#
# The configuration holds everything you can choose; what you leave out has a default
# that fits the digits of notebook 11. Ten components follow each other: ingest the
# examples, describe them, infer a schema and check it, fix the preprocessing, search
# for a learning rate, train, evaluate and bless, load the model in a fresh process as a
# server will, push.

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
# ## An artifact, by hand
#
# An artifact is a folder of files and an `artifact.json`, which has the SHA-256 of
# every file. A flipped bit is found: here we compute the digests ourselves. The
# folder's name is its *key*, a digest of all that the result depends on: the
# component's configuration, the digests of its inputs, its code, and the versions of
# the libraries. Same key, same result: that is why a step can be reused without a
# second thought.

# %%
model = artifacts["Model"]
for name, file in model.record.files.items():
    digest = sha256((model.path / name).read_bytes()).hexdigest()
    print(
        f"{name:24} {digest[:12]}",
        "as recorded" if digest == file.sha256 else "CHANGED",
    )
print(f"{len(model.record.files)} files of {model.path} are what they were")
print("made by", model.record.producer, "from", sorted(model.record.inputs))
digest = model.record.inputs["examples"].digest

# %% tags=["check"]
for name, file in model.record.files.items():
    assert sha256((model.path / name).read_bytes()).hexdigest() == file.sha256
assert digest == artifacts["Examples"].record.digest  # whose child it is

# %% [markdown]
# ## The evaluation, by hand
#
# The evaluator keeps every answer in a table. The accuracy is the share of right ones,
# the diagonal of the confusion matrix. The *expected calibration error* asks whether
# the network knows what it knows: sort the answers into 15 bins of confidence and
# compare each bin's confidence with its accuracy,
#
# $$\mathrm{ECE} = \sum_b \frac{n_b}{n}\,\bigl|\text{accuracy}_b -
# \text{confidence}_b\bigr|.$$

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
print(f"accuracy {right.mean():.4f}, calibration error {ece:.4f}, "
      f"{(~right).sum()} of {len(right)} wrong")  # fmt: skip

# %% [markdown]
# ## The blessing, by hand
#
# A model is pushed only if it is blessed: its accuracy must reach `min_accuracy` and be
# more than that of always answering the commonest class, and it must not fall more than
# `max_accuracy_drop` below the model that is champion now.

# %%
print("blessed:", result.blessed, "-", result.reason)
for trial in artifacts["Hyperparameters"].trials:
    print("trial", trial["id"], trial["status"], f"loss {trial['score']:.3f}",
          {k: f"{v:.2g}" for k, v in trial["values"].items()})  # fmt: skip
best = min(artifacts["Hyperparameters"].trials, key=lambda trial: trial["score"])

# %% tags=["check"]
assert result.blessed == (metrics["accuracy"] >= config.evaluator.min_accuracy)
assert artifacts["Hyperparameters"].values == best["values"]

# %% [markdown]
# ## Again, in no time
#
# The same configuration gives the same keys, so nothing is computed. Change one thing,
# here the number of epochs, and only what depends on it runs: the examples, their
# statistics and the search are reused.

# %%
again = run(config)

trainer = TrainerConfig(architecture="lenet5", epochs=2, batch_size=64)
other = run(config.model_copy(update={"trainer": trainer}))
reused = {step.component for step in other.steps if step.cached}
print("reused after a change of the trainer:", ", ".join(sorted(reused)))

# %% tags=["check"]
assert all(step.cached for step in again.steps)
assert again.artifacts["Model"].record.digest == model.record.digest
assert {"ExampleGen", "StatisticsGen", "Transform"} <= reused
assert (
    "Trainer" not in reused or other.artifacts["Model"].record.key != model.record.key
)

# %% [markdown]
# ## Reading it in the MLflow UI
#
# In a terminal, beside the folder `mlruns`:
#
# ```console
# dlkeras runs             # the latest runs, with their accuracy
# dlkeras show RUN         # one of them: parameters, metrics, figures, lineage
# dlkeras ui               # the same in the browser, on http://127.0.0.1:5000
# ```
#
# With the UI running, the links below open this run. Its page has four parts worth
# knowing. *Overview*: the note that the pipeline has written, the parameters and the
# registered model. *Model metrics*: charts in sections, one for the loss, one for each
# layer's gradient. *Artifacts*: the figures, some with a slider over the epochs. And in
# *Models*, `notebook_16` with its version and the alias `champion`, which a service
# would load.

# %%
display(
    Markdown(
        f"- [{say('this run', 'esta execução')}]({result.run_link})\n"
        f"- [{say('the trials of the search', 'as tentativas da busca')}]"
        f"({result.compare_link})"
    )
)
print("pushed as version", result.model_version)

# %% [markdown]
# ## The picture
#
# Where the time went, the first time and the second; how the network learnt; and the
# confusion matrix on the test split.

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
# ## Exercises
#
# Put your answers into the cell below: it says right, nearly, or what to look at again.
# Solutions are in the folder `solutions`.
#
# 1. Ask for the impossible, `EvaluatorConfig(min_accuracy=1.0)`. Which steps are
#    reused, what is the reason given, and which version does the registry have
#    afterwards?
# 2. Change one byte of the trained network's file in the store and run the job again.
#    What does the error name?
# 3. Which of these change the key of the trainer: (a) the learning rate, (b) the least
#    accuracy, (c) the name of the pipeline, (d) the number of validation examples?
#    Guess first.

# %%
check("16.1", None)  # the first step that is not reused, in quotes
check("16.2", None)  # the file that the error names, in quotes
check("16.3", None)  # letters of those that do, e.g. "abcd"
