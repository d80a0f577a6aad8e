"""Writes the notebooks as .ipynb: `python scripts/notebooks.py [FOLDER]`.

The sources are `notebooks/**/*.py`. What is written (to build/notebooks by default,
which git ignores) has a first cell with the ways to open it, and in Portuguese one that
turns the pictures' words. To run them all:

    python scripts/notebooks.py
    python -m pytest --nbmake --nbmake-timeout=300 build/notebooks

Colab opens a notebook from a branch of a public repository on GitHub. With `--commit`
they are committed on that branch, without touching the files that are checked out:

    python scripts/notebooks.py --commit && git push origin notebooks
"""

import argparse
import os
import re
import subprocess
import tempfile
import tomllib
from pathlib import Path
from typing import Any

import jupytext
from nbformat.v4 import new_code_cell, new_markdown_cell

ROOT = Path(__file__).parent.parent
SOURCES = ROOT / "notebooks"
BADGE = "https://colab.research.google.com/assets/colab-badge.svg"
COLAB = "https://colab.research.google.com/github"
# https://github.com/o/n.git, git@github.com:o/n, ssh://git@github.com/o/n; a token in
# front of the host is left behind.
GITHUB = re.compile(
    r"(?:\w+://)?(?:[^@/]+@)?github\.com[:/]([\w.-]+/[\w.-]+?)(?:\.git)?/?"
)
# The hint of a notebook's first cell, for whoever has not the project's folder.
HINT = re.compile(
    r"with, in the project's folder: (\"\s+\"pip install ')\.(\[[\w,]+\])"
)

WORDS = {
    "en": (
        "Open in Colab",
        "On your own machine: `python scripts/notebooks.py`, then "
        "`jupyter lab build/notebooks`, and this notebook is at [{url}]({url}).",
    ),
    "pt": (
        "Abrir no Colab",
        "Na sua própria máquina: `python scripts/notebooks.py`, depois "
        "`jupyter lab build/notebooks`, e este notebook está em [{url}]({url}).",
    ),
}


def git(*arguments: str, folder: Path | None = None, **environment: str) -> str:
    """Return what git answers, in the project's folder or another."""
    done = subprocess.run(
        ["git", *arguments], cwd=folder or ROOT, env={**os.environ, **environment},
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return done.stdout.strip()


def on_github(address: str) -> str | None:
    """Return the `owner/name` of an address on GitHub, None for one elsewhere."""
    found = GITHUB.fullmatch(address.strip())
    return found[1] if found else None


def repository() -> str | None:
    """Return the project's `owner/name` on GitHub, if anything says it.

    `[project.urls] Repository` of pyproject.toml does, or the remote `origin`.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    if address := project.get("urls", {}).get("Repository"):
        return on_github(address)
    try:
        return on_github(git("remote", "get-url", "origin"))
    except (OSError, subprocess.CalledProcessError):  # no git, or no such remote
        return None


def sources() -> list[Path]:
    """Return all sources, in order."""
    return sorted(SOURCES.rglob("*.py"))


def opening(path: Path, name: str | None, branch: str) -> str:
    """Return the first cell's text: the badge, and how to open it locally.

    Args:
        path: the notebook below the folder, e.g. `pt-BR/05_back_propagation.ipynb`.
        name: the repository's `owner/name`; None: there is no badge.
        branch: where the notebooks are published.
    """
    badge, local = WORDS["pt" if "pt-BR" in path.parts else "en"]
    lines = [local.format(url=f"http://localhost:8888/lab/tree/{path.as_posix()}")]
    if name:
        link = f"{COLAB}/{name}/blob/{branch}/{path.as_posix()}"
        lines.insert(0, f"[![{badge}]({BADGE})]({link})")
    return "\n\n".join(lines)


def generated(source: Path, name: str | None, branch: str) -> Any:
    """Return a source as a notebook, with its first cells."""
    path = source.relative_to(SOURCES).with_suffix(".ipynb")
    notebook = jupytext.read(source)
    notebook.cells = [
        cell for cell in notebook.cells if "check" not in cell.metadata.get("tags", ())
    ]  # what we expect of the numbers; a reader may change them
    if name:  # what Colab can install
        place = rf"with: \1dlkeras\2 @ git+https://github.com/{name}"
        for cell in notebook.cells:
            cell.source = HINT.sub(place, cell.source)
    cells = []
    if "solutions" not in path.parts:
        cells.append(new_markdown_cell(opening(path, name, branch)))
    if "pt-BR" in path.parts:
        cells.append(new_code_cell("%env DLKERAS_LANGUAGE=pt"))
    notebook.cells = cells + notebook.cells
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"  # the same each time it is written
    return notebook


def commit(folder: Path, branch: str) -> None:
    """Commit the folder's notebooks, and nothing else, on the branch."""
    reference = f"refs/heads/{branch}"
    wanted = ("*.ipynb", ":(exclude)*.ipynb_checkpoints/*")
    with tempfile.TemporaryDirectory() as scratch:
        there = {
            "GIT_DIR": git("rev-parse", "--absolute-git-dir"),
            "GIT_WORK_TREE": str(folder.resolve()),
            "GIT_INDEX_FILE": f"{scratch}/index",
        }
        git("add", "--force", "--", *wanted, folder=folder, **there)
        tree = git("write-tree", folder=folder, **there)
    try:
        parent = ("-p", git("rev-parse", "--verify", "--quiet", reference))
    except subprocess.CalledProcessError:  # the branch is new
        parent = ()
    message = f"Notebooks of {git('rev-parse', '--short', 'HEAD')}"
    git("update-ref", reference, git("commit-tree", tree, *parent, "-m", message))


def main() -> None:
    """Write them all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("folder", nargs="?", type=Path, default=ROOT / "build/notebooks")
    add("--repository", metavar="OWNER/NAME", help="on GitHub; default: origin's")
    add("--branch", default="notebooks", help="where the badges lead")
    add("--commit", action="store_true", help="commit what is written on the branch")
    arguments = parser.parse_args()
    folder, name = arguments.folder, repository()
    if arguments.repository:
        name = on_github(f"github.com/{arguments.repository}")
        if name is None:
            parser.error(
                f"--repository must be OWNER/NAME. Received: {arguments.repository}"
            )
    if name is None:
        print("No badge for Colab: no repository on GitHub is known (--repository)")
    for source in sources():
        path = folder / source.relative_to(SOURCES).with_suffix(".ipynb")
        path.parent.mkdir(parents=True, exist_ok=True)
        notebook = generated(source, name, arguments.branch)
        jupytext.write(notebook, path, fmt="ipynb")
    print(f"{len(sources())} notebooks in {folder}")
    if arguments.commit:
        commit(folder, arguments.branch)
        print(f"Committed; now: git push origin {arguments.branch}")


if __name__ == "__main__":
    main()
