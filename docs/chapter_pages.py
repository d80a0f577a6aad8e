"""Writes the chapters as pages of the site, in both languages, with what they show.

`conf.py` calls `write`. The pages and their pictures go to docs/chapters and
docs/pt-BR/capitulos, which git ignores; `scripts/chapters.py` says where the outputs
come from. The solutions are pages, too, without outputs: first think, then look.
"""

import base64
import re
import sys
from pathlib import Path
from typing import Any

import jupytext

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS.parent / "scripts"))

import chapters  # noqa: E402

import notebooks  # noqa: E402

FOLDERS = {"en": DOCS / "chapters", "pt": DOCS / "pt-BR" / "capitulos"}
WORDS = {
    "en": {
        "setting": "Imports", "drawing": "The code of the picture",
        "title": "The chapters", "solutions": "Solutions of the exercises",
        "more": "## Where to read on", "next": "Next chapter", "other": "Em português",
        "index": "Every chapter works its idea out by hand in ten to thirty lines, "
        "compares it with the library and with Keras, and ends with a picture and "
        "three exercises. What you see below each cell is what it printed when this "
        "site was built.",
    },
    "pt": {
        "setting": "Importações", "drawing": "O código da figura",
        "title": "Os capítulos", "solutions": "Soluções dos exercícios",
        "more": "## Para continuar", "next": "Próximo capítulo", "other": "In English",
        "index": "Cada capítulo faz as contas à mão em dez a trinta linhas, compara "
        "com a biblioteca e com o Keras, e termina com uma figura e três exercícios. O "
        "que aparece abaixo de cada célula é o que ela mostrou ao montar o site.",
    },
}  # fmt: skip
# Where the library's side of a chapter is documented.
PARTS = {
    "01": "layers/lms_filter", "02": "optimization", "03": "optimization",
    "04": "optimization", "05": "optimization", "06": "callbacks/gradient_norm_monitor",
    "07": "optimization", "08": "augmentation", "09": "layers/convolution",
    "10": "layers/subsampling2d", "11": "architectures/lenet5",
    "12": "architectures/alexnet", "13": "architectures/googlenet",
    "14": "architectures/resnet", "15": "transfer", "16": "pipeline/guide",
}  # fmt: skip
ARXIV, DOI = "https://arxiv.org/abs/", "https://doi.org/"
PAPERS = {
    "05": {"Rumelhart, Hinton, Williams 1986": DOI + "10.1038/323533a0"},
    "06": {
        "Glorot, Bengio 2010": "https://proceedings.mlr.press/v9/glorot10a.html",
        "He et al. 2015": ARXIV + "1502.01852",
    },
    "07": {
        "Hinton et al. 2012": ARXIV + "1207.0580",
        "Srivastava et al. 2014": "https://jmlr.org/papers/v15/srivastava14a.html",
    },
    "09": {
        "Hubel, Wiesel 1959": DOI + "10.1113/jphysiol.1959.sp006308",
        "Fukushima 1980": DOI + "10.1007/BF00344251",
    },
    "11": {"LeCun et al. 1998": DOI + "10.1109/5.726791"},
    "12": {"Krizhevsky, Sutskever, Hinton 2012": DOI + "10.1145/3065386"},
    "13": {"Szegedy et al. 2015": ARXIV + "1409.4842"},
    "14": {
        "He et al. 2016": ARXIV + "1512.03385",
        "He et al. 2016, Identity mappings": ARXIV + "1603.05027",
    },
    "15": {"Yosinski et al. 2014": ARXIV + "1411.1792"},
}


def fenced(text: str, kind: str) -> str:
    """Return a block of code or of output, without a terminal's bold and colours."""
    text = re.sub(r"\x1b\[[\d;]*m", "", text)
    fence = "`" * max(3, 1 + max((len(r) for r in re.findall("`+", text)), default=0))
    return f"{fence}{kind}\n{text.rstrip()}\n{fence}\n"


def folded(summary: str, text: str) -> str:
    """Return what is there on request."""
    return f"<details><summary>{summary}</summary>\n\n{text}\n</details>\n"


def shown(output: dict[str, Any], picture: Path, heading: str) -> str:
    """Return an output as Markdown; a picture is written, and named by its heading."""
    if output["output_type"] == "stream":
        # TensorFlow logs to stdout in a kernel.
        text = re.sub(r"^WARNING:tensorflow:.*\n?", "", output["text"], flags=re.M)
        return fenced(text, "text") if text.strip() else ""
    data = output.get("data", {})
    if "image/png" in data:
        picture.parent.mkdir(parents=True, exist_ok=True)
        picture.write_bytes(base64.b64decode(data["image/png"]))
        return f"![{heading}]({picture.parent.name}/{picture.name})\n"
    if "text/markdown" in data:
        return data["text/markdown"] + "\n"
    if "text/html" in data and "<audio" in data["text/html"]:
        return re.sub(r"\n\s*", " ", data["text/html"]).strip() + "\n"
    return fenced(data["text/plain"], "text") if "text/plain" in data else ""


def page(source: Path, language: str, cells: list[dict[str, Any]]) -> str:
    """Return a chapter's page."""
    words, folder, parts = WORDS[language], FOLDERS[language], []
    opening = notebooks.opening(
        Path("pt-BR" if language == "pt" else "", f"{source.stem}.ipynb"),
        notebooks.repository(), "notebooks",
    )  # fmt: skip
    first, heading = True, ""
    for number, cell in enumerate(cells):
        text = cell["source"]
        if cell["kind"] == "markdown":
            parts.append(text.rstrip() + "\n")
            heading = (re.findall(r"^#+ (.+)$", text, re.MULTILINE) or [heading])[-1]
            if number == 0:
                parts.append(f"{opening}\n")
            continue
        code = fenced(text, "python")
        if first:
            code, first = folded(words["setting"], code), False
        elif re.search(r"plt\.|\bsay\(", text):
            code = folded(words["drawing"], code)
        parts.append(code)
        if "ImportError" in text:  # versions, of no interest to a reader here
            continue
        pictures = folder / "images"
        outputs = [
            shown(output, pictures / f"{source.stem}_{number}_{place}.png", heading)
            for place, output in enumerate(cell["outputs"])
        ]
        # Printed one by one, read as one.
        parts.append("\n".join(outputs).replace("```\n\n```text\n", ""))
    up = "../" if language == "en" else "../../"
    other = (
        f"../pt-BR/capitulos/{source.stem}.md"
        if language == "en"
        else f"../../chapters/{source.stem}.md"
    )
    links = [f"[{words['solutions']}](solutions/{source.stem}.md)",
             f"dlkeras: [](<{up}{PARTS[source.name[:2]]}.md>)",
             f"[{words['other']}]({other})"]  # fmt: skip
    all_of_them = chapters.chapters()
    if source != all_of_them[-1]:
        following = all_of_them[all_of_them.index(source) + 1].stem
        links.insert(0, f"[{words['next']}]({following}.md)")
    for name, address in PAPERS.get(source.name[:2], {}).items():
        links.append(f"[{name}]({address})")
    parts.append(words["more"] + "\n\n" + "\n".join(f"- {link}" for link in links))
    return "\n".join(parts) + "\n"


def solutions(source: Path) -> str:
    """Return a page with the answers and their code."""
    return "\n".join(
        cell.source.rstrip() + "\n"
        if cell.cell_type == "markdown"
        else fenced(cell.source, "python")
        for cell in jupytext.read(source).cells
    )


def write() -> None:
    """Write all pages; a page that has not changed keeps its time."""
    for source in chapters.chapters():
        pages, _ = chapters.results(source)
        for language, folder in FOLDERS.items():
            mine = chapters.SOURCES / ("pt-BR" if language == "pt" else "")
            texts = {
                folder / f"{source.stem}.md": page(source, language, pages[language]),
                folder / "solutions" / f"{source.stem}.md": solutions(
                    mine / "solutions" / source.name
                ),
            }
            for path, text in texts.items():
                keep(path, text)
    for language, folder in FOLDERS.items():
        names = [source.stem for source in chapters.chapters()]
        words = WORDS[language]
        trees = "".join(
            f"```{{toctree}}\n:maxdepth: 1\n{hidden}\n"
            + "\n".join(f"{below}{name}" for name in names)
            + "\n```\n\n"
            for hidden, below in (
                ("", ""),
                (f":caption: {words['solutions']}\n", "solutions/"),
            )
        )
        keep(folder / "index.md", f"# {words['title']}\n\n{words['index']}\n\n{trees}")


def keep(path: Path, text: str) -> None:
    """Write a page if it has changed."""
    if not path.exists() or path.read_text("utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
