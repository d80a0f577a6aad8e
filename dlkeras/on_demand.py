"""Names of a package that are imported when they are first used (PEP 562)."""

import ast
import importlib
import inspect
import sys
from collections.abc import Callable
from typing import Any


def on_demand(package: str) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Give a package the names that it imports for type checkers alone.

    They stand once, below `if TYPE_CHECKING:`, where checkers and editors read them.

    Args:
        package: `__name__` of the package.

    Returns:
        Its `__getattr__` and its `__dir__`.

    Example:
    ```python
    if TYPE_CHECKING:
        from mine.lenet import lenet5 as lenet5

    __getattr__, __dir__ = on_demand(__name__)
    ```
    """
    module = sys.modules[package]
    homes = {
        alias.name: node.module
        for node in ast.walk(ast.parse(inspect.getsource(module)))
        if isinstance(node, ast.ImportFrom) and node.module != "typing"
        for alias in node.names
        if alias.asname == alias.name and node.module
    }

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(homes[name]), name)

    return get, lambda: sorted({*vars(module), *homes})
