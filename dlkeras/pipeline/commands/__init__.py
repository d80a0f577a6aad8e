"""What the commands do: a file for each of `dlkeras`, and the flags of a script.

A command has `HELP`, a line; `add_arguments(parser)`, which declares its flags; and
`run(options)`, which returns an exit code. It imports what is heavy inside `run`.
"""

# In the order of the help. A new command is a file, and its name here; `a_b.py` is the
# command `a-b`.
COMMANDS = (
    "ui",
    "runs",
    "show",
    "augment",
    "why",
    "why_not",
    "status",
    "gc",
    "predict",
    "serve",
    "rollback",
    "doctor",
)
