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
# # Solutions to notebook 16, the pipeline

# %%
import tempfile
from pathlib import Path

from dlkeras.pipeline import (
    EvaluatorConfig,
    PipelineConfig,
    PipelineError,
    TrainerConfig,
    TunerConfig,
    run,
)
from dlkeras.testing.course import check

config = PipelineConfig(
    name="solution_16",
    mlruns=Path(tempfile.mkdtemp()) / "mlruns",
    tuner=TunerConfig(enabled=False),
    trainer=TrainerConfig(epochs=2, batch_size=64),
    evaluator=EvaluatorConfig(min_accuracy=0.5),
)
first = run(config)

# %% [markdown]
# **1.** Everything up to the model is reused: the evaluator's demand comes after it.
# The model is not blessed, so it is not pushed, and the registry still has what it had.

# %%
strict = run(config.model_copy(update={"evaluator": EvaluatorConfig(min_accuracy=1.0)}))
print("reused:", [step.component for step in strict.steps if step.cached])
print(strict.blessed, "-", strict.reason)
assert first.blessed and strict.blessed is False and strict.model_version is None
assert {"ExampleGen", "Trainer"} <= {s.component for s in strict.steps if s.cached}
assert check("16.1", next(s.component for s in strict.steps if not s.cached))

# %% [markdown]
# **2.** The file, with the digest that was expected and the one that was found. Nothing
# is trained on, or answered with, a file that is not what it was.

# %%
network = first.artifacts["Model"].path / "network.keras"
original = network.read_bytes()
network.chmod(0o644)
network.write_bytes(original[:-1] + bytes([original[-1] ^ 1]))
try:
    run(config)
except PipelineError as error:
    print(f"{type(error).__name__}: {str(error)[:300]}")
    assert "network.keras" in str(error)
else:
    raise AssertionError("the altered file was not noticed")
network.write_bytes(original)
assert check("16.2", network.name)

# %% [markdown]
# **3.** The learning rate does, being the trainer's own. The number of validation
# examples would, through the digest of its input (the digits come with splits of their
# own, so it is not tried here). The least accuracy and the name do not.

# %%
keys = {}
for name, change in {
    "as it was": {},
    "learning rate": {
        "trainer": TrainerConfig(epochs=2, batch_size=64, learning_rate=0.01)
    },
    "least accuracy": {"evaluator": EvaluatorConfig(min_accuracy=0.6)},
    "name": {"name": "solution_16b"},
}.items():
    done = run(config.model_copy(update=change), until="Trainer")
    keys[name] = done.artifacts["Model"].record.key
for name, key in keys.items():
    print(f"{name:15} {key[:16]} {'same' if key == keys['as it was'] else 'another'}")
assert keys["learning rate"] != keys["as it was"]
assert keys["least accuracy"] == keys["name"] == keys["as it was"]
assert check("16.3", "ad")
