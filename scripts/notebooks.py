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
import json
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
WORDS = {
    "en": {
        "badge": "Open in Colab",
        "more": "Where to read on",
        "next": "The next chapter",
        "solutions": "Solutions of the exercises",
        "library": "The library's page: {page}",
        "read": "{minutes} minutes to read",
        "tensorflow": "This chapter needs TensorFlow.",
        "run": ", {minutes} to run",
        "local": "To run it on your own machine: `{install}` in the project's folder, "
        "then `python scripts/notebooks.py` and `jupyter lab build/notebooks`; this "
        "notebook is at [{url}]({url}).",
    },
    "pt": {
        "badge": "Abrir no Colab",
        "more": "Para continuar",
        "next": "O próximo capítulo",
        "solutions": "Soluções dos exercícios",
        "library": "A página da biblioteca (em inglês): {page}",
        "read": "{minutes} minutos de leitura",
        "tensorflow": "Este capítulo precisa do TensorFlow.",
        "run": ", {minutes} para rodar",
        "local": "Para rodar na sua máquina: `{install}` na pasta do projeto, depois "
        "`python scripts/notebooks.py` e `jupyter lab build/notebooks`; este notebook "
        "fica em [{url}]({url}).",
    },
}

ARXIV, DOI = "https://arxiv.org/abs/", "https://doi.org/"
PAPERS = {
    "01": {"Widrow et al. 1975": DOI + "10.1109/PROC.1975.10036"},
    "02": {"Robbins, Monro 1951": DOI + "10.1214/aoms/1177729586"},
    "03": {"Hestenes, Stiefel 1952": DOI + "10.6028/jres.049.044"},
    "04": {
        "Glorot, Bordes, Bengio 2011": "https://proceedings.mlr.press/v15/glorot11a.html"
    },
    "05": {"Rumelhart, Hinton, Williams 1986": DOI + "10.1038/323533a0"},
    "06": {
        "Glorot, Bengio 2010": "https://proceedings.mlr.press/v9/glorot10a.html",
        "He et al. 2015": ARXIV + "1502.01852",
    },
    "07": {
        "Hinton et al. 2012": ARXIV + "1207.0580",
        "Srivastava et al. 2014": "https://jmlr.org/papers/v15/srivastava14a.html",
    },
    "08": {"Simard, Steinkraus, Platt 2003": DOI + "10.1109/ICDAR.2003.1227801"},
    "09": {
        "Hubel, Wiesel 1959": DOI + "10.1113/jphysiol.1959.sp006308",
        "Fukushima 1980": DOI + "10.1007/BF00344251",
    },
    "10": {"Scherer, Müller, Behnke 2010": DOI + "10.1007/978-3-642-15825-4_10"},
    "11": {"LeCun et al. 1998": DOI + "10.1109/5.726791"},
    "12": {"Krizhevsky, Sutskever, Hinton 2012": DOI + "10.1145/3065386"},
    "13": {"Szegedy et al. 2015": ARXIV + "1409.4842"},
    "14": {
        "He et al. 2016": ARXIV + "1512.03385",
        "He et al. 2016, Identity mappings": ARXIV + "1603.05027",
    },
    "15": {"Yosinski et al. 2014": ARXIV + "1411.1792"},
    "16": {
        "Baylor et al. 2017": DOI + "10.1145/3097983.3098021",
        "Guo et al. 2017": ARXIV + "1706.04599",
    },
}
# Where the library's side of a chapter is documented.
PARTS = {
    "01": "layers/lms_filter", "02": "optimization", "03": "optimization",
    "04": "optimization", "05": "optimization", "06": "callbacks/gradient_norm_monitor",
    "07": "optimization", "08": "augmentation", "09": "layers/convolution",
    "10": "layers/subsampling2d", "11": "architectures/lenet5",
    "12": "architectures/alexnet", "13": "architectures/googlenet",
    "14": "architectures/resnet", "15": "transfer", "16": "pipeline/guide",
}  # fmt: skip


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


def requirements(source: Path, project: str = ".") -> str:
    """Return what pip installs for a notebook.

    Args:
        source: the notebook's `.py`.
        project: where pip finds dlkeras, without its extras; `.` is this folder.
    """
    code = source.read_text("utf-8")
    extras = "pipeline" if "dlkeras.pipeline" in code else "tensorflow,visualization"
    name, _, place = project.partition(" @ ")
    found = [f"'{name}[{extras}]{f' @ {place}' if place else ''}'", "jupyterlab"]
    if "sklearn" in code:
        found += ["scikit-learn", "pillow"]
    return f"pip install {' '.join(found)}"


def times(source: Path, language: str) -> str:
    """Return how long a chapter takes to read, and to run where it has been run.

    You read 180 words a minute, and a line of code in five seconds.
    """
    cells = jupytext.read(source).cells
    words = sum(len(c.source.split()) for c in cells if c.cell_type == "markdown")
    lines = sum(len(c.source.splitlines()) for c in cells if c.cell_type == "code")
    said = WORDS[language]["read"].format(minutes=round(words / 180 + lines / 12))
    run = ROOT / "build" / "chapters" / f"{source.stem}.json"
    if run.exists() and (seconds := json.loads(run.read_text("utf-8")).get("seconds")):
        said += WORDS[language]["run"].format(minutes=max(1, round(seconds / 60)))
    return said


def papers(source: Path) -> list[str]:
    """Return links to the papers of a chapter."""
    found = PAPERS[source.name[:2]].items()
    return [f"[{name}]({address})" for name, address in found]


def further(source: Path, name: str | None = None) -> str:
    """Return the last cell's text: the next chapter, solutions, library, papers.

    Args:
        source: the notebook's `.py`.
        name: the repository's `owner/name`; None: the page is in the project's folder.
    """
    words = WORDS["pt" if "pt-BR" in source.parts else "en"]
    links = [f"[{words['solutions']}](solutions/{source.stem}.ipynb)"]
    if following := [
        path for path in sorted(source.parent.glob("*.py")) if path > source
    ]:
        links.insert(0, f"[{words['next']}]({following[0].stem}.ipynb)")
    page = f"docs/{PARTS[source.name[:2]]}.md"
    there = f"[{page}](https://github.com/{name}/blob/HEAD/{page})"
    links.append(words["library"].format(page=there if name else f"`{page}`"))
    lines = "\n".join(f"- {link}" for link in [*links, *papers(source)])
    return f"## {words['more']}\n\n{lines}"


def opening(source: Path, name: str | None, branch: str) -> str:
    """Return the first cell's text: the badge, the time it takes, and how to open it.

    Args:
        source: the notebook's `.py`.
        name: the repository's `owner/name`; None: there is no badge.
        branch: where the notebooks are published.
    """
    path = source.relative_to(SOURCES).with_suffix(".ipynb")
    language = "pt" if "pt-BR" in path.parts else "en"
    words = WORDS[language]
    url = f"http://localhost:8888/lab/tree/{path.as_posix()}"
    local = words["local"].format(install=requirements(source), url=url)
    if "dlkeras.pipeline" in source.read_text("utf-8"):
        local = f"{words['tensorflow']} {local}"
    lines = [f"*{times(source, language)}.* {local}"]
    if name:
        link = f"{COLAB}/{name}/blob/{branch}/{path.as_posix()}"
        lines.insert(0, f"[![{words['badge']}]({BADGE})]({link})")
    return "\n\n".join(lines)


def generated(source: Path, name: str | None, branch: str) -> Any:
    """Return a source as a notebook, with its first cells."""
    path = source.relative_to(SOURCES).with_suffix(".ipynb")
    notebook = jupytext.read(source)
    notebook.cells = [
        cell for cell in notebook.cells if "check" not in cell.metadata.get("tags", ())
    ]  # what we expect of the numbers; a reader may change them
    cells = []
    if "solutions" not in path.parts:
        cells.append(new_markdown_cell(opening(source, name, branch)))
    if name:  # Colab knows nothing of the project
        install = requirements(source, f"dlkeras @ git+https://github.com/{name}")
        cells.append(
            new_code_cell(
                f"import importlib.util\n\n"
                f'if importlib.util.find_spec("dlkeras") is None:\n    %{install}'
            )
        )
    if "pt-BR" in path.parts:
        cells.append(new_code_cell("%env DLKERAS_LANGUAGE=pt"))
    notebook.cells = cells + notebook.cells
    if "solutions" not in path.parts:
        notebook.cells.append(new_markdown_cell(further(source, name)))
    for number, cell in enumerate(notebook.cells):
        cell.source = re.sub(r"  # fmt: skip$", "", cell.source, flags=re.MULTILINE)
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
