"""What is collected, no kernel of an absent backend, and what shares a process."""

from importlib.util import find_spec

import pytest

collect_ignore = [
    f"dlkeras/{part}/backend/{backend}.py"
    for part in ("layers", "callbacks", "visualization")
    for backend in ("tensorflow", "jax", "torch")
    if find_spec(backend) is None
]


# First: xdist reads the marks when its own turn comes.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list) -> None:
    """Keep a file's tests in one process, and all that look at the same main job."""
    if not config.pluginmanager.hasplugin("xdist"):
        return
    for item in items:
        shared = "main_job" in getattr(item, "fixturenames", ())
        group = "main job" if shared else item.location[0]
        item.add_marker(pytest.mark.xdist_group(group))
