"""Runs each chapter once, for both languages: `python scripts/chapters.py`.

What a chapter prints and draws is kept in build/chapters under a digest of its sources
and of the library's code (docstrings and comments change no output). `make notebooks`,
which asks whether all chapters still hold, and `make docs`, which shows them, share one
run.

English and Portuguese have the same code but for their words. Their syntax trees are
merged: where the words differ, the merged code holds both and prints both, marked. Keys
of dictionaries stay English in both. Only cells that draw run twice. Cells tagged
`check` hold what we expect of the numbers; they run here, and no reader's notebook has
them. `compare`, which tells a reader of a difference, is an error here.
"""

import argparse
import ast
import functools
import hashlib
import json
import os
import re
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jupytext
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

ROOT = Path(__file__).parent.parent
SOURCES = ROOT / "notebooks"
STORE = ROOT / "build" / "chapters"
LANGUAGES = ("en", "pt")
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)

# What the kernel knows before the first cell.
PRELUDE = '''
_language = "both"

class _Both(str):
    """English as a value and a key; shown, the words of the language that is on."""

    def __str__(self):
        return format(self, "")

    def __format__(self, spec):
        if _language != "both":
            return format(self.words[_language], spec)
        return "\\x02" + "\\x1f".join(
            format(words, spec) for words in self.words.values()) + "\\x03"

def _speak(language):
    global _language
    import os
    _language = language
    os.environ["DLKERAS_LANGUAGE"] = "en" if language == "both" else language

def _both(**words):
    global _language
    now, said = _language, {}
    for _language, word in words.items():
        said[_language] = str(word())
    _language = now
    both = _Both(said["en"])
    both.words = said
    return both
'''
# Python 3.11 counts how deep a syntax tree is once for all threads.
PARSER = threading.RLock()
MARKED = re.compile("\x02([^\x02\x03]*)\x1f([^\x02\x03]*)\x03")


def chapters() -> list[Path]:
    """Return the English sources, in order."""
    return sorted(SOURCES.glob("*.py"))


def merged(english: str, portuguese: str) -> str:
    """Return one code with the words of both languages.

    Raises:
        ValueError: The codes differ in more than their words.
    """

    def merge(en: Any, pt: Any) -> Any:
        if type(en) is list and type(pt) is list and len(en) == len(pt):
            return [merge(*pair) for pair in zip(en, pt, strict=True)]
        if not (isinstance(en, ast.AST) and isinstance(pt, ast.AST)):
            if en != pt:
                raise ValueError(f"the languages' codes differ: {en!r} and {pt!r}")
            return en
        if ast.dump(en) == ast.dump(pt):
            return en
        if _is_words(en) and _is_words(pt):
            words = ", ".join(
                f"{language}=lambda: {ast.unparse(node)}"
                for language, node in zip(LANGUAGES, (en, pt), strict=True)
            )
            return ast.parse(f"_both({words})", mode="eval").body
        if type(en) is not type(pt):
            raise ValueError(
                f"the languages' codes differ: {ast.unparse(en)} and {ast.unparse(pt)}"
            )
        if isinstance(en, ast.Expr) and _is_words(en.value) and _is_words(pt.value):
            return en  # a docstring
        for name in en._fields:
            setattr(en, name, merge(getattr(en, name), getattr(pt, name)))
        return en

    with PARSER:
        return ast.unparse(merge(ast.parse(english), ast.parse(portuguese)))


def _is_words(node: Any) -> bool:
    return isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def digest(source: Path) -> str:
    """Return the digest of all that a chapter's outputs depend on."""
    found = hashlib.sha256(library(source).encode())
    for path in (source, SOURCES / "pt-BR" / source.name, Path(__file__)):
        found.update(path.read_bytes())
    return found.hexdigest()


def library(source: Path) -> str:
    """Return the digest of the library's code that a chapter may reach by imports.

    Comments and docstrings do not count.
    """
    found, reached, waiting = hashlib.sha256(), set(), [source]
    while waiting:
        code, imported = read(waiting.pop())
        found.update(code.encode())
        new = {path for name in imported for path in files(name)} - reached
        reached |= new
        waiting += sorted(new)
    return found.hexdigest()


def files(module: str) -> list[Path]:
    """Return the files that importing a name of the library runs."""
    parts = module.split(".")
    places = [ROOT.joinpath(*parts[:n]) for n in range(1, len(parts) + 1)]
    found = [(place / "__init__.py", place.with_suffix(".py")) for place in places]
    return [path for pair in found for path in pair if path.exists()]


@functools.cache
def read(path: Path) -> tuple[str, tuple[str, ...]]:
    """Return a file's code without its words, and what it imports of the library."""
    with PARSER:
        tree = ast.parse(path.read_text("utf-8"))
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node) is not None:
            del node.body[0]
        elif isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    own = sorted(name for name in names if name.split(".")[0] == "dlkeras")
    return f"{path.relative_to(ROOT)} {ast.dump(tree)}", tuple(own)


def _in_language(outputs: list, place: int) -> list:
    """Return a cell's outputs with the words of one language, without the noise."""
    kept: list[dict[str, Any]] = []
    for output in outputs:
        if output.get("name") == "stderr":  # what libraries log
            continue
        if output["output_type"] == "stream" and kept and "text" in kept[-1]:
            kept[-1]["text"] += output["text"]  # printed in pieces
        else:
            kept.append(dict(output))
    for number, output in enumerate(kept):
        text = json.dumps(output, ensure_ascii=False)
        text = text.replace("\\u0002", "\x02").replace("\\u0003", "\x03")
        text = text.replace("\\u001f", "\x1f")
        kept[number] = json.loads(MARKED.sub(lambda found: found[place + 1], text))
    return kept


def executed(source: Path) -> dict[str, list]:
    """Run a chapter in a new folder; return each language's cells and their outputs."""
    with tempfile.TemporaryDirectory() as folder:
        return _executed(source, folder)


def _executed(source: Path, folder: str) -> dict[str, list]:
    both = [
        jupytext.read(path).cells for path in (source, SOURCES / "pt-BR" / source.name)
    ]
    client = NotebookClient(
        new_notebook(), timeout=400, resources={"metadata": {"path": folder}}
    )
    pages: dict[str, list] = {language: [] for language in LANGUAGES}

    def run(code: str) -> list:
        cell = new_code_cell(code)
        client.nb.cells.append(cell)
        client.execute_cell(cell, len(client.nb.cells) - 1)
        return [dict(output) for output in cell.outputs]

    threads = {f"TF_NUM_{kind}OP_THREADS": "1" for kind in ("INTRA", "INTER")}
    with client.setup_kernel(
        env={**os.environ, **threads, "OMP_NUM_THREADS": "1", "DLKERAS_STRICT": "1",
             "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(ROOT)}
    ):  # fmt: skip
        run(PRELUDE)
        for cells in zip(*both, strict=True):
            outputs: list[list] = [[], []]
            if cells[0].cell_type == "code":
                code = merged(*(cell.source for cell in cells))
                if (
                    re.search(r"\blanguage\b|\b(say|check)\(", code)
                    and len(client.nb.cells) > 1
                ):
                    for place, language in enumerate(LANGUAGES):
                        run(f"_speak({language!r})\nlanguage = {language!r}")
                        outputs[place] = _in_language(run(code), place)
                    run("_speak('both')\nlanguage = 'en'")
                else:
                    found = run(code)
                    outputs = [_in_language(found, place) for place in (0, 1)]
            if "check" in cells[0].metadata.get("tags", ()):
                continue
            for language, cell, mine in zip(LANGUAGES, cells, outputs, strict=True):
                pages[language].append(
                    {"kind": cell.cell_type, "source": cell.source, "outputs": mine}
                )
    return pages


def results(source: Path) -> tuple[dict[str, list], float]:
    """Return `executed`, from the store if nothing has changed, and the seconds."""
    wanted, kept = digest(source), STORE / f"{source.stem}.json"
    if kept.exists():
        found = json.loads(kept.read_text("utf-8"))
        if found["digest"] == wanted:
            return found["pages"], 0.0
    started = time.monotonic()
    pages = executed(source)
    STORE.mkdir(parents=True, exist_ok=True)
    partial = kept.with_suffix(f".{os.getpid()}")
    seconds = time.monotonic() - started
    found = {"digest": wanted, "seconds": seconds, "pages": pages}
    partial.write_text(json.dumps(found), "utf-8")
    partial.replace(kept)
    return pages, seconds


def main() -> None:
    """Run the chapters, or those that are named, and say how long each took."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("numbers", nargs="*", help="e.g. 05 14; all by default")
    parser.add_argument("--jobs", type=int, default=1, help="kernels beside each other")
    arguments = parser.parse_args()
    chosen = [
        source
        for source in chapters()
        if not arguments.numbers or source.name[:2] in arguments.numbers
    ]
    failed = []

    def report(source: Path) -> None:
        try:
            seconds = results(source)[1]
        except Exception as error:  # the kernel's traceback is in its text
            failed.append(source.stem)
            print(f"{source.stem}: {error}", flush=True)
        else:
            print(f"{source.stem}: {f'{seconds:.0f} s' if seconds else 'unchanged'}",
                  flush=True)  # fmt: skip

    with ThreadPoolExecutor(arguments.jobs) as pool:
        # The later ones train longest: begun first, nobody waits for one at the end.
        list(pool.map(report, chosen[::-1]))
    if failed:
        sys.exit(f"{len(failed)} of {len(chosen)} chapters fail: {', '.join(failed)}")


if __name__ == "__main__":
    main()
