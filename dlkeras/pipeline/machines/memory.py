"""How much of a GPU's memory a process takes."""

import os

# What TensorFlow and JAX read when they first use a GPU; worker processes inherit it.
GROWING = {
    "TF_FORCE_GPU_ALLOW_GROWTH": "true",
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
}


def take_as_needed() -> None:
    """Let this process, and those it starts, take a GPU's memory as they need it.

    TensorFlow takes all of it otherwise, and JAX three quarters, when they first use
    the GPU: from then on this changes nothing. What the user has set stays.
    """
    for name, value in GROWING.items():
        os.environ.setdefault(name, value)
