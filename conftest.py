"""What of the package is collected for doctests: no kernel of an absent backend."""

from importlib.util import find_spec

collect_ignore = [
    f"dlkeras/{part}/backend/{backend}.py"
    for part in ("layers", "callbacks", "visualization")
    for backend in ("tensorflow", "jax", "torch")
    if find_spec(backend) is None
]
