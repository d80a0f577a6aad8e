"""Writes each chapter as slides, in both languages, from its one run.

Text, what the code prints and pictures fill a slide as far as it has room. A picture
stands below the words about it unless it would be much smaller there. The code waits
folded in a corner of the slide that shows what it does. `conf.py` calls `write`.
"""

import re
import struct
from pathlib import Path
from typing import Any

import chapter_pages
import chapters
import interactive_pages

# Pixels on a slide of 1280 by 720 below its title, with the letters of slides.css.
ROOM, LINE, LETTERS, ACROSS = 590, 46, 70, 1216
SMALLER = 0.7  # a picture that would shrink more goes to the next slide
LINES, WIDTH = 20, 88  # of printed output: lines on a slide, and letters in a line
WORDS = {
    "en": {"code": "The code", "open": "Open it and play",
           "index": "# The slides of the course\n\nOpen a chapter. "
           "The arrow keys or the space bar move on, F fills the screen, S opens the "
           "lecturer's view, Esc shows all slides. Alt and a click enlarge."},
    "pt": {"code": "O código", "open": "Abra e experimente",
           "index": "# Os slides do curso\n\nAbra um capítulo. As "
           "setas ou a barra de espaço avançam, F ocupa a tela toda, S abre a janela "
           "do professor, Esc mostra todos os slides. Alt e um clique ampliam."},
}  # fmt: skip
BREAK = "```{revealjs-break}\n```\n"


class Slides:
    """Slides that fill up one after the other."""

    def __init__(self, folded: str) -> None:
        self.parts: list[str] = []
        self.codes: list[str] = []  # of the slide that is being filled
        self.folded = folded
        self.room, self.left = ROOM, 0
        self.heights: list[int] = []  # of all that is on this slide
        self.prose = False  # whether the last of it is a paragraph

    def end(self) -> None:
        """Fold the code of this slide into its corner."""
        if self.codes:
            code = chapter_pages.fenced("\n\n".join(self.codes), "python")
            self.parts.append(chapter_pages.folded(self.folded, code))
            self.codes = []

    def head(self, title: str) -> None:
        """Begin a slide with a new title."""
        self.end()
        self.parts.append(f"# {title}\n")
        self.room = ROOM - 58 * (len(title) // 42)  # a long title has two lines
        self.left, self.heights, self.prose = self.room, [], False

    def next(self, needed: float = ROOM) -> None:
        """Begin another slide of the same title, with the words about what follows.

        Args:
            needed: the height of what follows, which the last paragraph announces.
        """
        taken = None
        announces = self.prose and len(self.heights) > 1
        if announces and self.heights[-1] + needed <= self.room:
            taken = self.parts.pop(), self.heights[-1]
        self.end()
        self.parts.append(BREAK)
        self.left, self.heights, self.prose = self.room, [], False
        if taken:
            self.add(*taken)

    def add(self, text: str, height: int, prose: bool = False) -> None:
        """Put something onto this slide, or onto a next one of the same title."""
        if self.heights and height > self.left:
            self.next(ROOM if prose else height)
        self.parts.append(f"{text.rstrip()}\n")
        self.left -= height
        self.heights.append(height)
        self.prose = prose

    def picture(self, text: str, shape: float) -> None:
        """Put a picture below what is there, or onto a slide of its own.

        Args:
            text: the picture in Markdown.
            shape: its height divided by its width.
        """
        least = SMALLER * min(self.room, ACROSS * shape)
        if self.heights and self.high(shape) < least:
            self.next(least + 20)
        high = self.high(shape)
        self.add(f"{text.strip()}{{height={high}px}}", high + 20)

    def high(self, shape: float) -> int:
        """Return how high a picture of this shape is in the room that is left."""
        return int(max(0, min(self.left - 20, ACROSS * shape)))


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
        return 52 * (block.count("\n") + 1)  # with the line below the head: margins
    formulas = re.findall(r"\$\$.*?\$\$", block, re.S)
    prose = re.sub(r"\$\$.*?\$\$", "\n", block, flags=re.S)
    # An inline formula is shorter than its TeX.
    prose = re.sub(r"\\[a-z]+", "x", re.sub(r"[{}$*`]|\]\([^)]*\)", "", prose))
    point = re.match(r"(\d+\.|[-*]) ", block)  # narrower, and closer to the next
    across = LETTERS - (4 if point else 12 if block.startswith("**") else 0)
    lines = sum(-(-len(" ".join(p.split())) // across) for p in prose.split("\n\n"))
    between = 12 if point else 24
    return LINE * lines + between + sum(map(_formula, formulas))


def _formula(text: str) -> int:
    tall = 30 if re.search(r"\\(frac|sum|prod|int)", text) else 0
    return 75 + tall + 50 * text.count("\\\\")


def slides(
    source: Path, cells: list[dict[str, Any]], folder: Path, language: str
) -> str:
    """Return a chapter's slides as Markdown; its pictures go below the folder."""
    made, first = Slides(WORDS[language]["code"]), True
    heading, last, shape = "", "", 1.0
    seen: list[int] = []
    for number, cell in enumerate(cells):
        text = cell["source"]
        if cell["kind"] == "markdown":
            for part in re.split(r"^(#+ .+)$", text, flags=re.MULTILINE):
                if match := re.match(r"#+ (.+)$", part):
                    heading = match[1]
                    if heading.startswith("Exerc"):
                        interactive(made, source, language)
                    made.head(heading)
                    continue
                for block in together(blocks(part)):
                    if "`solutions`" in block[0]:  # how to answer in a notebook
                        continue
                    made.add("\n\n".join(block), sum(map(height, block)), prose=True)
                    if number == 0 and block[0].startswith("**") and not seen:
                        # The question, and the room that it leaves for its picture.
                        seen += [len(made.parts), made.left]
                        made.left = 0
            continue
        if text.startswith("check("):
            continue
        said, drawn = [], []
        for place, output in enumerate(cell["outputs"]):
            picture = folder / "images" / f"{source.stem}_{number}_{place}.png"
            shown = chapter_pages.shown(output, picture, heading)
            if shown.startswith("!["):
                wide, high = struct.unpack(">II", picture.read_bytes()[16:24])
                drawn.append((shown, high / wide))
            else:
                said.append(shown)
        if first:  # imports
            first = False
            continue
        lines = printed("\n".join(said).replace("```\n\n```text\n", ""))
        if lines:
            made.add("\n".join(lines), 27 * sum(map(rows, lines)))
        for place, found in enumerate(drawn):
            made.picture(*found)
            last, shape = found
            if place == 0:
                made.codes.append(text)
        if not drawn:
            made.codes.append(text)
    made.end()
    if seen and last:
        place, made.left = seen
        made.parts.insert(place, f"{last.strip()}{{height={made.high(shape)}px}}\n")
    return "\n".join(made.parts) + "\n"


def interactive(made: Slides, source: Path, language: str) -> None:
    """Put a slide for each interactive page of the chapter, which a click opens."""
    for name, number in interactive_pages.CHAPTERS.items():
        if number == source.name[:2]:
            made.head(interactive_pages.titles(name)[language])
            words = interactive_pages.questions(name)[language]
            made.add(words, height(words), prose=True)
            page, high = f"../../interactive/{name}", min(370, made.left - 100)
            made.add(
                f'<a class="moving" href="{page}.html?lang={language}" target="_blank">'
                f'<img src="{page}_{language}.webp" style="height: {high}px" alt="">'
                f"{WORDS[language]['open']}</a>",
                high + 100,
            )


def printed(text: str) -> list[str]:
    """Return the lines of what a cell printed; of too many the first and the last."""
    lines = text.splitlines()
    if lines and lines[0].startswith("```") and sum(map(rows, lines)) > LINES + 2:
        first, room = lines[:1], LINES - 1 - sum(map(rows, lines[-4:-1]))
        for line in lines[1:]:
            room -= rows(line)
            if room < 0:
                break
            first.append(line)
        return [*first, "...", *lines[-4:]]
    return lines


def rows(line: str) -> int:
    """Return how many rows of a slide a printed line takes, or a sound's controls."""
    return 3 if "<audio" in line else max(1, -(-len(line) // WIDTH))


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
