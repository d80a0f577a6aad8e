"""What the commands do: a file for each of `dlkeras`, and the flags of a script.

A command has `HELP`, a line; `add_arguments(parser)`, which declares its flags; and
`run(options)`, which returns an exit code. It imports what is heavy inside `run`.
"""

import importlib
from types import ModuleType

# In the order of the help. A new command is a file, and its name here; `c/a_b.py` is
# the command `a-b`.
COMMANDS = (
    "ui",
    "runs",
    "show",
    "trying.augment",
    "why",
    "trying.why_not",
    "trying.lr_find",
    "status",
    "gc",
    "predict",
    "serve",
    "rollback",
    "doctor",
    "completion",
)


def command_modules() -> dict[str, ModuleType]:
    """The module of each command, by its name."""
    return {
        name.rpartition(".")[2].replace("_", "-"): importlib.import_module(
            f"dlkeras.pipeline.commands.{name}"
        )
        for name in COMMANDS
    }
