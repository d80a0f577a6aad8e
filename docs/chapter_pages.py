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
import drawings  # noqa: E402

import notebooks  # noqa: E402

FOLDERS = {"en": DOCS / "chapters", "pt": DOCS / "pt-BR" / "capitulos"}
WORDS = {
    "en": {
        "setting": "Imports", "drawing": "The code of the picture",
        "title": "The chapters", "solutions": "Solutions of the exercises",
        "next": "Next chapter", "other": "Em português",
        "slides": "The slides of this chapter",
        "index": "Every chapter works its idea out by hand in ten to thirty lines, "
        "compares it with the library and with Keras, and ends with a picture and "
        "three exercises. What you see below each cell is what it printed when this "
        "site was built.",
    },
    "pt": {
        "setting": "Importações", "drawing": "O código da figura",
        "title": "Os capítulos", "solutions": "Soluções dos exercícios",
        "next": "Próximo capítulo", "other": "In English",
        "slides": "Os slides deste capítulo",
        "index": "Cada capítulo faz as contas à mão em dez a trinta linhas, compara "
        "com a biblioteca e com o Keras, e termina com uma figura e três exercícios. O "
        "que aparece abaixo de cada célula é o que ela mostrou ao montar o site.",
    },
}  # fmt: skip


def fenced(text: str, kind: str) -> str:
    """Return a block of code or of output, without what is for terminals and tools."""
    text = re.sub(r"\x1b\[[\d;]*m|  # fmt: skip$", "", text, flags=re.MULTILINE)
    fence = "`" * max(3, 1 + max((len(r) for r in re.findall("`+", text)), default=0))
    return f"{fence}{kind}\n{text.rstrip()}\n{fence}\n"


def folded(summary: str, text: str) -> str:
    """Return what is there on request."""
    return f"<details><summary>{summary}</summary>\n\n{text}\n</details>\n"


def shown(
    output: dict[str, Any], picture: Path, heading: str, drawing: bool = False
) -> str:
    """Return an output as Markdown; a picture is written, and named by its heading.

    Args:
        output: of a cell, as Jupyter stores it.
        picture: where a picture goes.
        heading: what it shows.
        drawing: whether it is of boxes and arrows, which follow the page's colours.
    """
    if output["output_type"] == "stream":
        # TensorFlow logs to stdout in a kernel.
        text = re.sub(r"^WARNING:tensorflow:.*\n?", "", output["text"], flags=re.M)
        return fenced(text, "text") if text.strip() else ""
    data = output.get("data", {})
    if drawing and "image/svg+xml" in data:
        picture = picture.with_suffix(".svg")
        keep(picture, drawings.themed(data["image/svg+xml"]))
        return f"![{heading}]({picture.parent.name}/{picture.name})\n"
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
    mine = chapters.SOURCES / ("pt-BR" if language == "pt" else "") / source.name
    opening = notebooks.opening(mine, notebooks.repository(), "notebooks")
    up = "../" if language == "en" else "../../"
    address = f"{up}slides/{language}/{source.stem}.html"  # `site_build.py` writes it
    slides = f'<a href="{address}">{words["slides"]}</a>.'
    first, heading, plots = True, "", []
    for number, cell in enumerate(cells):
        text = cell["source"]
        if cell["kind"] == "markdown":
            parts.append(text.rstrip() + "\n")
            heading = (re.findall(r"^#+ (.+)$", text, re.MULTILINE) or [heading])[-1]
            if number == 0:
                parts.append(f"{opening} {slides}\n")
            continue
        code = fenced(text, "python")
        if first:
            code, first = folded(words["setting"], code), False
        elif re.search(r"plt\.|\bsay\(", text):
            code = folded(words["drawing"], code)
        parts.append(code)
        if text.startswith("check("):  # they wait for the reader's answers
            continue
        pictures = folder / "images"
        drawn = bool(re.search(r"architecture_diagram\(|signal_flow_graph\(", text))
        outputs = [
            shown(output, pictures / f"{source.stem}_{number}_{k}.png", heading, drawn)
            for k, output in enumerate(cell["outputs"])
        ]
        plots += [found for found in outputs if found.startswith("![") and not drawn]
        # Printed one by one, read as one.
        parts.append("\n".join(outputs).replace("```\n\n```text\n", ""))
    if plots:  # what the chapter is about, on its first screen
        question = re.search(r"^\*\*.*?\?\*\*\n", parts[0], re.M | re.S)
        if question:
            place = question.end()
            parts[0] = f"{parts[0][:place]}\n{plots[-1]}{parts[0][place:]}"
    other = (
        f"../pt-BR/capitulos/{source.stem}.md"
        if language == "en"
        else f"../../chapters/{source.stem}.md"
    )
    links = [f"[{words['solutions']}](solutions/{source.stem}.md)",
             f"dlkeras: [](<{up}{notebooks.PARTS[source.name[:2]]}.md>)",
             f"[{words['other']}]({other})"]  # fmt: skip
    all_of_them = chapters.chapters()
    if source != all_of_them[-1]:
        following = all_of_them[all_of_them.index(source) + 1].stem
        links.insert(0, f"[{words['next']}]({following}.md)")
    links += notebooks.papers(source)
    parts.append(
        f"## {notebooks.WORDS[language]['more']}"
        + "\n\n"
        + "\n".join(f"- {link}" for link in links)
    )
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
        keep(folder / "index.md", contents(language))


def contents(language: str) -> str:
    """Return the page that lists the chapters, with their questions."""
    words, mine = WORDS[language], "pt-BR" if language == "pt" else ""
    lines, names = [], []
    for source in chapters.chapters():
        path = chapters.SOURCES / mine / source.name
        text = jupytext.read(path).cells[0].source
        title = re.findall(r"^# (?:\d+\. )?(.+)$", text, re.MULTILINE)[0]
        question = re.findall(r"^\*\*(.+?)\*\*$", text, re.M | re.S)[0]
        lines.append(
            f"{int(source.name[:2])}. [{title}]({source.stem}.md): "
            f"{' '.join(question.split())} *{notebooks.times(path, language)}.*"
        )
        names.append(source.stem)
    trees = "".join(
        f"```{{toctree}}\n:maxdepth: 1\n{options}\n"
        + "\n".join(f"{below}{name}" for name in names)
        + "\n```\n\n"
        for options, below in (
            (":hidden:\n", ""),
            (f":caption: {words['solutions']}\n", "solutions/"),
        )
    )
    listed = "\n".join(lines)
    return f"# {words['title']}\n\n{words['index']}\n\n{listed}\n\n{trees}"


def keep(path: Path, text: str) -> None:
    """Write a page if it has changed."""
    if not path.exists() or path.read_text("utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
