"""The code that a component's output depends on: found by its imports, not listed.

From a component's module on, every import of the same package is followed, also those
inside functions, to the module that defines the name (a package that only hands it on
is passed through). Each top-level definition has a digest of its own, without comments
and docstrings, so that `dlkeras why` can name the function that changed.
"""

import ast
import functools
import hashlib
import importlib.util
import inspect
import itertools
import sys
import textwrap
import tokenize
import types
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any, NamedTuple

# Services that cannot change what a component writes: what happens on the way there is
# shown, tracked, locked or drawn by them.
SERVICES = (
    "dlkeras.pipeline.commands",
    "dlkeras.pipeline.configuration",  # the values are in the key by themselves
    "dlkeras.pipeline.engine",
    "dlkeras.pipeline.store.errors",
    "dlkeras.pipeline.graph",
    "dlkeras.pipeline.machines.meeting",
    "dlkeras.pipeline.machines.worker_watch",
    "dlkeras.pipeline.store",
    "dlkeras.pipeline.tensorflow_import",
    "dlkeras.pipeline.tracking",
    "dlkeras.visualization",
)


_PACKAGE = __name__.partition(".")[0]
# Where the statements within a statement are.
_BLOCKS = ("body", "handlers", "orelse", "finalbody", "cases")


class ModuleCode(NamedTuple):
    """What one file of source says.

    Attributes:
        definitions: digests of its functions and classes by name, and of all the rest
            under the empty name.
        imports: what it imports, as (module, name); the name is None for a whole one.
        handed_on: where names come from that it does not define: several places where
            it depends on the backend.
    """

    definitions: dict[str, str]
    imports: tuple[tuple[str, str | None], ...]
    handed_on: dict[str, set[tuple[str, str]]]


def code_dependencies(*modules: str) -> dict[str, str]:
    """Digests of all code that modules depend on.

    Args:
        modules: names of modules, such as "dlkeras.pipeline.components.trainer".

    Returns:
        Digests by "module:definition"; what a module does beside its definitions is
        under "module:".

    Raises:
        ModuleNotFoundError: there is no source of one of the modules.

    Example:
    >>> found = code_dependencies("dlkeras.datasets.splitting")
    >>> all(name.startswith("dlkeras.datasets.splitting:") for name in found)
    True
    """
    modules = tuple(map(_of_a_package, modules))
    own = {_PACKAGE, *(module.partition(".")[0] for module in modules)}
    folders = set()
    for module in modules:
        if (path := _file(module)) is None:
            raise ModuleNotFoundError(f"there is no source of the module {module!r}")
        folders.add(path.parent)
    reached: set[str] = set()
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module in reached or _is_service(module):
            continue
        path = _file(module)
        if path is None:
            continue
        reached.add(module)
        for imported, name in read_module(path, module).imports:
            top = imported.partition(".")[0]
            if top in own or _is_beside(top, folders):
                waiting += _defining(imported, name)
    return {
        f"{module}:{name}": digest
        for module in sorted(reached)
        for name, digest in read_module(_existing(module), module).definitions.items()
    }


def function_dependencies(function: Callable[..., Any]) -> dict[str, str]:
    """Digests of a function that is in no file, as in a notebook.

    Args:
        function: it counts with the functions and classes of the same module that it
            names, and theirs, and with all that the package's modules say that it
            imports.

    Returns:
        Digests as `code_dependencies` gives them.
    """
    found: dict[str, str] = {}
    imported: set[str] = set()
    waiting: list[Any] = [function]
    while waiting:
        item = waiting.pop()
        name = f"{item.__module__}:{item.__qualname__}"
        if name in found:
            continue
        try:
            source = textwrap.dedent(inspect.getsource(item)).encode()
            found[name] = _digest(_joined(_without_words(source, ast.parse(source))))
        except (OSError, TypeError):  # typed at a prompt
            found[name] = _digest(_compiled(item))
        if inspect.isclass(item):
            waiting += [v for v in vars(item).values() if inspect.isfunction(v)]
        if not inspect.isfunction(item):
            continue
        names = _names_of(item.__code__)
        plain = {n: item.__globals__.get(n) for n in names}
        constants = sorted(f"{n}={v!r}" for n, v in plain.items() if _is_plain(v))
        if constants:
            found[f"{name} constants"] = _digest("\n".join(constants).encode())
        for used in plain.values():
            home = getattr(used, "__module__", None) or getattr(used, "__name__", "")
            if home == item.__module__ and hasattr(used, "__qualname__"):
                waiting.append(inspect.unwrap(used) if callable(used) else used)
            elif isinstance(home, str) and home.startswith(f"{_PACKAGE}."):
                imported.add(home)
    modules = sorted(m for m in imported if _file(m) is not None)
    return found | (code_dependencies(*modules) if modules else {})


def _names_of(code: types.CodeType) -> list[str]:
    """The names that a function uses, also in what is defined within it."""
    inner = [c for c in code.co_consts if isinstance(c, types.CodeType)]
    return [*code.co_names, *(name for part in inner for name in _names_of(part))]


def _is_plain(value: Any) -> bool:
    """Whether a value is a number, a text, or a collection of such."""
    if isinstance(value, dict):
        return all(map(_is_plain, (*value, *value.values())))
    if isinstance(value, list | tuple | set | frozenset):
        return all(map(_is_plain, value))
    return isinstance(value, bool | int | float | complex | str | bytes)


def _compiled(item: Any) -> bytes:
    """What a function does, where nobody knows its source."""
    code = getattr(item, "__code__", None)
    if code is None:  # a class: what it has, beside the functions
        has = {n: v for n, v in sorted(vars(item).items()) if _is_plain(v)}
        return repr((item.__qualname__, item.__mro__, has)).encode()
    parts = [code.co_code, repr(code.co_names).encode()]
    for constant in code.co_consts[item.__doc__ is not None :]:
        inner = isinstance(constant, types.CodeType)
        parts.append(constant.co_code if inner else repr(constant).encode())
    return b"\n".join(parts)


def has_source(module: str) -> bool:
    """Whether a module has a file."""
    return _file(module) is not None


def _of_a_package(module: str) -> str:
    """The name of a script that was started as a module of a package (`-m`)."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    is_named = module == "__main__" and spec is not None and "." in (spec.name or "")
    return spec.name if is_named else module


def _is_beside(top: str, folders: Collection[Path]) -> bool:
    """Whether a module lies where a script does: it is its author's, too."""
    if top in sys.stdlib_module_names:
        return False
    path = _file(top)
    if path is None:  # a folder without an `__init__`
        spec = importlib.util.find_spec(top)
        places = (spec and spec.submodule_search_locations) or ()
        return any(Path(place).parent in folders for place in places)
    home = path.parent.parent if path.name == "__init__.py" else path.parent
    return home in folders and home.name not in ("site-packages", "dist-packages")


def _is_service(module: str) -> bool:
    return any(module == s or module.startswith(f"{s}.") for s in SERVICES)


def _defining(module: str, name: str | None) -> list[str]:
    """The modules that define what is imported, behind the ones that hand it on."""
    if name is None:
        return [module]
    if _file(f"{module}.{name}") is not None:
        return [f"{module}.{name}"]
    path = _file(module)
    if path is None or _is_service(module):
        return []
    code = read_module(path, module)
    if name in code.definitions or name not in code.handed_on:
        return [module]
    return [found for source in code.handed_on[name] for found in _defining(*source)]


def _file(module: str) -> Path | None:
    """The source of a module, found without importing anything."""
    if module == "__main__":
        script = getattr(sys.modules["__main__"], "__file__", None)
        return Path(script) if script else None
    top, *rest = module.split(".")
    if top == _PACKAGE and rest:
        return _of_the_package(*rest)
    spec = importlib.util.find_spec(top)
    if spec is None:
        return None
    if not rest:
        return Path(spec.origin) if spec.origin and spec.has_location else None
    for folder in map(Path, spec.submodule_search_locations or ()):
        place = folder.joinpath(*rest)
        for file in (place / "__init__.py", place.with_name(f"{place.name}.py")):
            if file.is_file():
                return file
    return None


def _sources() -> dict[Path, bytes]:
    """The package as it was when this process began, and imported it."""
    package = Path(__file__).parents[2]
    return {file: file.read_bytes() for file in package.rglob("*.py")}


_AT_START = _sources()


@functools.cache
def _of_the_package(*names: str) -> Path | None:
    """The source of a module of this package, as it was when the process began.

    Asked of the disk, it would take a second: most names are no module's.
    """
    place = Path(__file__).parents[2].joinpath(*names)
    for file in (place / "__init__.py", place.with_name(f"{place.name}.py")):
        if file in _AT_START:
            return file
    return None


def _existing(module: str) -> Path:
    path = _file(module)
    assert path is not None
    return path


def read_module(path: Path, module: str) -> ModuleCode:
    """Read what a file defines and imports; once, as long as it says the same.

    A file of this package is read as it was when the process began: what it runs is
    that, even if somebody edits the file meanwhile.
    """
    parent = module if path.name == "__init__.py" else module.rpartition(".")[0]
    return _parsed(_AT_START.get(path) or path.read_bytes(), parent)


@functools.lru_cache(maxsize=1024)
def _parsed(source: bytes, parent: str) -> ModuleCode:
    tree = ast.parse(source)
    lines = _without_words(source, tree)
    definitions: dict[str, str] = {}
    rest = dict(enumerate(lines))
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            numbers = range(first - 1, node.end_lineno or first)
            own = [rest.pop(number) for number in numbers if number in rest]
            # A second definition of a name (an overload) adds to the first.
            before = definitions.get(node.name, "")
            definitions[node.name] = _digest(before.encode() + _joined(own))
    definitions[""] = _digest(_joined(list(rest.values())))
    handed_on: dict[str, set[tuple[str, str]]] = {}
    for node in _statements(tree):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                origin = (_absolute(node, parent), alias.name)
                handed_on.setdefault(alias.asname or alias.name, set()).add(origin)
    return ModuleCode(definitions, tuple(_imports(tree, parent)), handed_on)


def _without_words(source: bytes, tree: ast.Module) -> list[bytes]:
    """The lines of a source without its comments and docstrings.

    They are cut out of the text: what a tree is written as again differs between
    versions of Python.
    """
    lines = source.splitlines(keepends=True)
    plain = [line.decode("utf-8") for line in lines]
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in (tree, *_statements(tree)):
        if isinstance(node, kinds) and ast.get_docstring(node, clean=False) is not None:
            words = node.body[0]
            assert words.end_lineno is not None and words.end_col_offset is not None
            first, last = words.lineno - 1, words.end_lineno - 1
            rest = lines[last][words.end_col_offset :]
            for number in range(first, last + 1):
                before = lines[number][: words.col_offset] if number == first else b""
                lines[number] = before + (rest if number == last else b"")
    text = [line.decode("utf-8") for line in lines]
    first = 0
    for last in (*_ends(tree), len(plain)):
        part, left = plain[first:last], text[first:last]
        marked = [place for place, line in enumerate(left) if "#" in line]
        if _has_plain_marks(left, marked):
            for place in marked:
                text[first + place] = left[place].partition("#")[0]
        elif marked:  # few have a comment
            for token in tokenize.generate_tokens(iter(part).__next__):
                if token.type == tokenize.COMMENT:
                    number, column = first + token.start[0] - 1, token.start[1]
                    text[number] = text[number][:column]
        first = last
    return [line.encode() for line in text]


def _has_plain_marks(lines: list[str], marked: list[int]) -> bool:
    """Whether each first `#` begins a comment: no string is before it, or around it.

    To tokenize a definition takes ten times as long as to read it.
    """
    whole = "".join(lines)
    if any(mark in whole for mark in ('"""', "'''", "\\\n")):
        return False
    return all(not {*"\"'"} & {*lines[n].partition("#")[0]} for n in marked)


def _ends(tree: ast.Module) -> list[int]:
    """Numbers of the lines after which a text may be cut: no statement goes on."""
    pairs = itertools.pairwise(tree.body)
    return [a.end_lineno or 0 for a, b in pairs if b.lineno > (a.end_lineno or 0)]


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """All statements in a statement, and the parts of one that hold others."""
    for name in _BLOCKS:
        for child in getattr(node, name, ()):
            yield child
            yield from _statements(child)


def _joined(lines: list[bytes]) -> bytes:
    return b"\n".join(line.rstrip() for line in lines if line.strip())


def _imports(node: ast.AST, parent: str) -> Iterator[tuple[str, str | None]]:
    """The imports of a tree, but for what only a type checker sees."""
    for child in (c for name in _BLOCKS for c in getattr(node, name, ())):
        if isinstance(child, ast.Import):
            yield from ((alias.name, None) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            module = _absolute(child, parent)
            yield from ((module, alias.name) for alias in child.names)
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for other in child.orelse:
                yield from _imports(ast.Module([other], []), parent)
        else:
            yield from _imports(child, parent)


def _absolute(node: ast.ImportFrom, parent: str) -> str:
    """The full name of the module in `from X import Y`."""
    if not node.level:
        return node.module or ""
    above = parent.split(".")[: len(parent.split(".")) - node.level + 1]
    return ".".join([*above, *([node.module] if node.module else [])])


def _digest(source: bytes) -> str:
    return hashlib.sha256(source).hexdigest()[:16]
