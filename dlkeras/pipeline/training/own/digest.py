"""Digests of the user's own code: what a function or class uses, followed by name."""

import ast
import functools
import hashlib
import inspect
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dlkeras.pipeline.engine.code_dependencies import function_dependencies


@functools.cache
def code_digests(thing: Any) -> Mapping[str, str]:
    """Digests of all code that a function or a class of the user's uses.

    Of its file, what it uses counts, directly or not; of modules beside that file, or
    of the same package, which it uses, everything. Comments do not.
    """
    if "site-packages" in Path(inspect.getsourcefile(thing) or "").parts:
        return {}  # of Keras, whose version is in the key
    return {"": _digest(thing)} | function_dependencies(thing)


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
    folder = Path(file).parent
    waiting, used = [builder.__name__], set[str]()
    while waiting:
        name = waiting.pop()
        if name in used or name not in places:
            continue
        used.add(name)
        for node in places[name]:
            parts.append(ast.dump(node))
            if isinstance(node, ast.Import | ast.ImportFrom):
                parts += _modules_beside(node, folder, folder, seen)
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
    node: ast.Import | ast.ImportFrom, folder: Path, top: Path, seen: set[Path]
) -> Iterator[str]:
    """All code of the modules beside a file, or of its package, that it imports."""
    names = [alias.name for alias in node.names]
    roots = [folder] if folder == top else [folder, top]
    if isinstance(node, ast.ImportFrom):
        module = node.module or ""
        names = [module, *(f"{module}.{name}".strip(".") for name in names)]
        if node.level:
            roots = [[folder, *folder.parents][node.level - 1]]
    while not getattr(node, "level", 0) and (roots[-1] / "__init__.py").is_file():
        roots.append(roots[-1].parent)  # a package names its own modules in full
    for root, name in itertools.product(roots, filter(None, names)):
        place = root.joinpath(*name.split("."))
        for file in (place.with_suffix(".py"), place / "__init__.py"):
            if not file.is_file() or file in seen:
                continue
            seen.add(file)
            tree = ast.parse(file.read_bytes())
            yield ast.dump(tree)
            for inner in ast.walk(tree):
                if isinstance(inner, ast.Import | ast.ImportFrom):
                    yield from _modules_beside(inner, file.parent, top, seen)
