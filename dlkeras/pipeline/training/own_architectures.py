"""Networks of the user's own: the code that a key depends on, and other processes."""

import ast
import functools
import hashlib
import importlib.util
import inspect
import sys
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from dlkeras.pipeline.engine.code_dependencies import function_dependencies


def code_of(name: str) -> dict[str, str]:
    """Digests of the code that builds an architecture of the user's own.

    Of its file, what the function uses counts, directly or not; of modules beside that
    file which it uses, everything. Comments do not.

    Args:
        name: of an architecture; nothing stands for one of the package.
    """
    registry = sys.modules.get("dlkeras.architectures.registry")
    builder = registry.registered().get(name) if registry else None
    return {} if builder is None else dict(_code_of(builder))


def remember_code() -> None:
    """Read the code of the user's architectures now, before anybody edits it."""
    registry = sys.modules.get("dlkeras.architectures.registry")
    for name in registry.registered() if registry else ():
        code_of(name)


@functools.cache
def _code_of(builder: Any) -> dict[str, str]:
    return {"": _digest(builder)} | function_dependencies(builder)


def files() -> list[str]:
    """The files that register architectures, for a process that has to know them."""
    from dlkeras.architectures.registry import registered

    found = {inspect.getsourcefile(f) or "" for f in registered().values()}
    return sorted(str(Path(f).resolve()) for f in found if Path(f).is_file())


def load(registering: Collection[str]) -> None:
    """Run files that register architectures; a script's `main` is not called."""
    for file in registering:
        name = f"dlkeras_user_{Path(file).stem}"
        if name in sys.modules:
            continue
        sys.path.append(str(Path(file).parent))
        spec = importlib.util.spec_from_file_location(name, file)
        if spec is None or spec.loader is None:
            continue
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)


def _digest(builder: Any) -> str:
    """SHA-256 of all the code of the user's that a function uses."""
    parts: list[str] = []
    seen: set[Path] = set()
    file = inspect.getsourcefile(builder)
    if file is None or not Path(file).is_file():  # typed at a prompt
        return ""  # `function_dependencies` says what it does
    tree = ast.parse(Path(file).read_bytes())
    places: dict[str, list[ast.stmt]] = {}
    for node in tree.body:
        for name in set(_bound_by(node)):
            places.setdefault(name, []).append(node)
    waiting, used = [builder.__name__], set[str]()
    while waiting:
        name = waiting.pop()
        if name in used or name not in places:
            continue
        used.add(name)
        for node in places[name]:
            parts.append(ast.dump(node))
            if isinstance(node, ast.Import | ast.ImportFrom):
                parts += _modules_beside(node, Path(file).parent, seen)
            waiting += [n.id for n in ast.walk(node) if isinstance(n, ast.Name)]
    return hashlib.sha256("\n".join(sorted(parts)).encode()).hexdigest()


def _bound_by(node: ast.AST) -> Iterator[str]:
    """The names that a statement of a file gives a value."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Import | ast.ImportFrom):
        for alias in node.names:
            yield alias.asname or alias.name.partition(".")[0]
    else:  # a call such as WIDTHS.append(16) changes what it names, too
        for part in ast.walk(node):
            changed = isinstance(node, ast.Expr | ast.AugAssign)
            if isinstance(part, ast.Name) and (
                changed or isinstance(part.ctx, ast.Store)
            ):
                yield part.id


def _modules_beside(
    node: ast.Import | ast.ImportFrom, folder: Path, seen: set[Path]
) -> Iterator[str]:
    """All code of the modules below a folder that an import brings in."""
    names = [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        module = node.module or ""
        names = [module, *(f"{module}.{name}".strip(".") for name in names)]
    for name in names:
        place = folder.joinpath(*name.split("."))
        for file in (place.with_suffix(".py"), place / "__init__.py"):
            if not file.is_file() or file in seen:
                continue
            seen.add(file)
            tree = ast.parse(file.read_bytes())
            yield ast.dump(tree)
            for inner in ast.walk(tree):
                if isinstance(inner, ast.Import | ast.ImportFrom):
                    yield from _modules_beside(inner, folder, seen)
