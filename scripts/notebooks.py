"""Writes the notebooks as .ipynb: `python scripts/notebooks.py [FOLDER]`.

The sources are `notebooks/**/*.py`. What is written (to build/notebooks by default,
which git ignores) has a first cell with the ways to open it, and in Portuguese one that
turns the pictures' words. To run them all:

    python scripts/notebooks.py
    python -m pytest --nbmake --nbmake-timeout=120 build/notebooks
"""

import argparse
import tomllib
from pathlib import Path
from typing import Any

import jupytext
from nbformat.v4 import new_code_cell, new_markdown_cell

ROOT = Path(__file__).parent.parent
SOURCES = ROOT / "notebooks"
# Colab opens a notebook from a branch of a public repository: publish the folder there.
BRANCH = "notebooks"
BADGE = "https://colab.research.google.com/assets/colab-badge.svg"
COLAB = "https://colab.research.google.com/github"
GITHUB = "https://github.com/"

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


def repository() -> str | None:
    """Return the address in pyproject.toml, `[project.urls] Repository`, if any."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return project.get("urls", {}).get("Repository")


def sources() -> list[Path]:
    """Return all sources, in order."""
    return sorted(SOURCES.rglob("*.py"))


def opening(path: Path, address: str | None) -> str:
    """Return the first cell's text: the badge, and how to open it locally.

    Args:
        path: the notebook below the folder, e.g. `pt-BR/05_back_propagation.ipynb`.
        address: the repository; Colab opens those on GitHub alone, and for any other,
            or None, there is no badge.
    """
    badge, local = WORDS["pt" if "pt-BR" in path.parts else "en"]
    lines = [local.format(url=f"http://localhost:8888/lab/tree/{path.as_posix()}")]
    if address and address.startswith(GITHUB):
        name = address.removeprefix(GITHUB).removesuffix("/").removesuffix(".git")
        link = f"{COLAB}/{name}/blob/{BRANCH}/{path.as_posix()}"
        lines.insert(0, f"[![{badge}]({BADGE})]({link})")
    return "\n\n".join(lines)


def generated(source: Path, address: str | None) -> Any:
    """Return a source as a notebook, with its first cells."""
    path = source.relative_to(SOURCES).with_suffix(".ipynb")
    notebook = jupytext.read(source)
    cells = []
    if "solutions" not in path.parts:
        cells.append(new_markdown_cell(opening(path, address)))
    if "pt-BR" in path.parts:
        cells.append(new_code_cell("%env DLKERAS_LANGUAGE=pt"))
    notebook.cells = cells + notebook.cells
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"  # the same each time it is written
    return notebook


def main() -> None:
    """Write them all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "folder", nargs="?", type=Path, default=ROOT / "build/notebooks"
    )
    folder = parser.parse_args().folder
    address = repository()
    if address is None:
        print("No badge for Colab: pyproject.toml has no [project.urls] Repository")
    for source in sources():
        path = folder / source.relative_to(SOURCES).with_suffix(".ipynb")
        path.parent.mkdir(parents=True, exist_ok=True)
        jupytext.write(generated(source, address), path, fmt="ipynb")
    print(f"{len(sources())} notebooks in {folder}")


if __name__ == "__main__":
    main()
