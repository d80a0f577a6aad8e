"""Writes each chapter as slides, in both languages, from its one run.

Text, folded code, what it prints and pictures fill a slide as far as it has room; a
picture takes the room that is left, or a slide of its own. `conf.py` calls `write`.
"""

import re
from pathlib import Path
from typing import Any

import chapter_pages
import chapters

# Pixels on a slide of 1280 by 720 below its title, with the letters of slides.css.
ROOM, LINE, LETTERS = 570, 46, 62
PICTURE = 500  # a picture with less room goes to the next slide
LINES, WIDTH = 14, 105  # of printed output: lines on a slide, and letters in a line
WORDS = {
    "en": {"code": "The code", "index": "# The slides of the course\n\nOpen a chapter. "
           "The arrow keys or the space bar move on, F fills the screen, S opens the "
           "lecturer's view, Esc shows all slides."},
    "pt": {"code": "O código", "index": "# Os slides do curso\n\nAbra um capítulo. As "
           "setas ou a barra de espaço avançam, F ocupa a tela toda, S abre a janela "
           "do professor, Esc mostra todos os slides."},
}  # fmt: skip
BREAK = "```{revealjs-break}\n```\n"


class Slides:
    """Slides that fill up one after the other."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.room, self.left, self.began = ROOM, 0, False

    def head(self, title: str) -> None:
        """Begin a slide with a new title."""
        self.parts.append(f"# {title}\n")
        self.room = ROOM - 58 * (len(title) // 44)  # a long title has two lines
        self.left, self.began = self.room, False

    def add(self, text: str, height: int) -> None:
        """Put something onto this slide, or onto a next one of the same title."""
        if self.began and height > self.left:
            self.parts.append(BREAK)
            self.left = self.room
        self.parts.append(f"{text}\n")
        self.left -= height
        self.began = True

    def picture(self, text: str) -> None:
        """Put a picture into the room that is left, or onto a slide of its own."""
        if self.left < PICTURE:
            self.parts.append(BREAK)
            self.left = self.room
        self.parts.append(f"{text.strip()}{{height={self.left - 20}px}}\n")
        self.left, self.began = 0, True


def blocks(text: str) -> list[str]:
    """Return the paragraphs, lists and formulas of Markdown.

    A paragraph that fills a slide is cut between its sentences, a list between its
    points.
    """
    found = []
    for block in re.split(r"\n{2,}", text.strip()):
        points = re.split(r"\n(?=(?:\d+\.|[-*]) )", block)
        if len(points) > 1 and re.match(r"(\d+\.|[-*]) ", block):
            found += points
        elif height(block) <= ROOM or block.startswith(("$$", "|", "```")):
            found.append(block)
        else:
            found += re.split(r"(?<=[.?!:])\s+(?=[A-ZÀ-Ý*$`])", block)
    return [block for block in found if block.strip()]


def together(found: list[str]) -> list[list[str]]:
    """Return blocks in groups: a sentence that announces a table stays beside it."""
    groups: list[list[str]] = []
    for block in found:
        announced = groups and groups[-1][-1].endswith(":") and block[0] in "|$`"
        if announced and sum(map(height, [*groups[-1], block])) <= ROOM:
            groups[-1].append(block)
        else:
            groups.append([block])
    return groups


def height(block: str) -> int:
    """Return how high a block is, in pixels."""
    if block.startswith("|"):
        return 42 * (block.count("\n") + 1)
    formulas = re.findall(r"\$\$.*?\$\$", block, re.S)
    prose = re.sub(r"\$\$.*?\$\$", "\n", block, flags=re.S)
    # An inline formula is shorter than its TeX.
    prose = re.sub(r"\\[a-z]+", "x", re.sub(r"[{}$*`]|\]\([^)]*\)", "", prose))
    lines = sum(-(-len(" ".join(p.split())) // LETTERS) for p in prose.split("\n\n"))
    return LINE * lines + 22 + sum(105 + 50 * f.count("\\\\") for f in formulas)


def slides(
    source: Path, cells: list[dict[str, Any]], folder: Path, language: str
) -> str:
    """Return a chapter's slides as Markdown; its pictures go below the folder."""
    made, first = Slides(), True
    heading, last = "", ""
    seen: list[int] = []
    for number, cell in enumerate(cells):
        text = cell["source"]
        if cell["kind"] == "markdown":
            for part in re.split(r"^(#+ .+)$", text, flags=re.MULTILINE):
                if match := re.match(r"#+ (.+)$", part):
                    heading = match[1]
                    made.head(heading)
                    continue
                for block in together(blocks(part)):
                    made.add("\n\n".join(block), sum(map(height, block)))
                    if number == 0 and block[0].startswith("**") and not seen:
                        # The question, and the room that it leaves for its picture.
                        seen += [len(made.parts), made.left - 20]
                        made.left = 0
            continue
        if text.startswith("check("):
            continue
        said, drawn = [], []
        for place, output in enumerate(cell["outputs"]):
            picture = folder / "images" / f"{source.stem}_{number}_{place}.png"
            shown = chapter_pages.shown(output, picture, heading)
            (drawn if shown.startswith("![") else said).append(shown)
        if first:  # imports
            first = False
            continue
        printed = "\n".join(said).replace("```\n\n```text\n", "")
        lines = printed.splitlines()
        if len(lines) > LINES + 2 and lines[0].startswith("```"):
            lines = [*lines[: LINES + 1], "...", lines[0].removesuffix("text")]
        code = chapter_pages.fenced(text, "python")
        folded = chapter_pages.folded(WORDS[language]["code"], code)
        high = sum(max(1, -(-len(line) // WIDTH)) for line in lines)
        made.add("\n".join([folded, *lines]), 50 + 30 * high)
        for picture in drawn:
            made.picture(picture)
            last = picture
    if seen and last:
        made.parts.insert(seen[0], f"{last.strip()}{{height={seen[1]}px}}\n")
    return "\n".join(made.parts) + "\n"


def write(folder: Path) -> None:
    """Write the slides of all chapters into the folder, and pages that list them."""
    for language, words in WORDS.items():
        names, lines = [], []
        for source in chapters.chapters():
            pages, _ = chapters.results(source)
            text = slides(source, pages[language], folder / language, language)
            chapter_pages.keep(folder / language / f"{source.stem}.md", text)
            names.append(source.stem)
            title = re.findall(r"^# (.+)$", pages[language][0]["source"], re.MULTILINE)
            lines.append(f"- [{title[0]}]({source.stem}.md)")
        tree = "\n".join(names)
        listed = f"\n\n{BREAK}\n".join(
            "\n".join(lines[first : first + 8]) for first in range(0, len(lines), 8)
        )
        chapter_pages.keep(
            folder / language / "index.md",
            f"{words['index']}\n\n{listed}\n\n```{{toctree}}\n:hidden:\n\n{tree}\n```\n",
        )
    chapter_pages.keep(
        folder / "index.md",
        "# dlkeras\n\n- [The slides of the course](en/index.md)\n"
        "- [Os slides do curso](pt/index.md)\n\n```{toctree}\n:hidden:\n\n"
        "en/index\npt/index\n```\n",
    )
