"""Puts the interactive pages into the site: files, gallery, and where they belong.

A Sphinx extension. In a page, this shows an interactive page in the reader's language:

```{moving} step_size
```

and `{moving-gallery}` links to all of them. Pages of `PLACES` and the chapters have
theirs before their second heading, and before their exercises, without a word in their
sources.
"""

import html
import re
from pathlib import Path
from typing import Any

import interactive_pages
from docutils import nodes
from docutils.parsers.rst import Directive

# Where a page is shown, besides the chapter it belongs to.
PLACES = {
    "layers/lms_filter": ("lms_filter",),
    "layers/residual_block": ("residual",),
    "layers/subsampling2d": ("pooling",),
    "architectures/lenet5": ("lenet5",),
    "architectures/resnet": ("residual",),
    "callbacks/gradient_norm_monitor": ("depth",),
    "optimization": ("step_size", "momentum"),
    "augmentation": ("augmentation",),
}
NAMES = tuple(interactive_pages.CHAPTERS)
WORDS = {
    "en": {"full": "Open on its own", "chapter": "Chapter"},
    "pt": {"full": "Abrir em tela própria", "chapter": "Capítulo"},
}


def language_of(page: str) -> str:
    """Return "pt" for the site's Portuguese pages, "en" for the others."""
    return "pt" if page.startswith("pt-BR/") else "en"


def up(page: str) -> str:
    """Return how a page reaches the site's own folder."""
    return "../" * page.count("/")


def frame(name: str, page: str) -> str:
    """Return the HTML that shows an interactive page in another page."""
    language = language_of(page)
    address = f"{up(page)}interactive/{name}.html"
    title = html.escape(interactive_pages.titles(name)[language])
    return (
        f'<div class="moving"><iframe src="{address}?embed&amp;lang={language}" '
        f'title="{title}" loading="lazy" allow="fullscreen"></iframe>'
        f'<p><a href="{address}?lang={language}">{title}: '
        f"{WORDS[language]['full']}</a></p></div>"
    )


def gallery(page: str) -> str:
    """Return links to all interactive pages, with what each of them asks."""
    language, cards = language_of(page), []
    for name, chapter in interactive_pages.CHAPTERS.items():
        title = html.escape(interactive_pages.titles(name)[language])
        question = html.escape(interactive_pages.questions(name)[language])
        cards.append(
            f'<a class="card" href="{up(page)}interactive/{name}.html?lang={language}">'
            f'<img src="{up(page)}interactive/{name}_{language}.webp" alt="" '
            'loading="lazy">'
            f"<small>{WORDS[language]['chapter']} {int(chapter)}</small>"
            f"<strong>{title}</strong><span>{question}</span></a>"
        )
    return f'<div class="moving-gallery">{"".join(cards)}</div>'


class Moving(Directive):
    """Show an interactive page."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the frame, or an error where there is no such page."""
        name = self.arguments[0]
        if name not in interactive_pages.CHAPTERS:
            raise self.error(f"no interactive page is called {name}")
        page = self.state.document.settings.env.docname
        return [nodes.raw("", frame(name, page), format="html")]


class Gallery(Directive):
    """Link to all interactive pages."""

    def run(self) -> list[nodes.Node]:
        """Return the links."""
        page = self.state.document.settings.env.docname
        return [nodes.raw("", gallery(page), format="html")]


def names_for(page: str) -> tuple[str, ...]:
    """Return the interactive pages that a page of the site shows."""
    chapter = re.fullmatch(r"(?:chapters|pt-BR/capitulos)/(\d\d)_\w+", page)
    if not chapter:
        return PLACES.get(page, ())
    found = interactive_pages.CHAPTERS.items()
    return tuple(name for name, number in found if number == chapter[1])


def _add(app: Any, page: str, source: list[str]) -> None:
    blocks = [
        f"```{{moving}} {name}\n```\n\n"
        for name in names_for(page)
        if f"{{moving}} {name}" not in source[0]
    ]
    if blocks:
        head, mark, rest = source[0].partition("\n## ")
        before, exercises, after = re.split(r"(\n## Exerc|\Z)", rest, maxsplit=1)
        # One to begin with; what takes reading first comes before the exercises.
        source[0] = (f"{head}\n\n{blocks[0]}{mark}{before}\n\n"
                     f"{''.join(blocks[1:])}{exercises}{after}")  # fmt: skip


def _write(app: Any, failed: Exception | None) -> None:
    if failed is None and app.builder.format == "html":
        interactive_pages.write(Path(app.outdir) / "interactive")


def setup(app: Any) -> dict[str, bool]:
    """Register the directives, and write the pages when the site is built."""
    app.add_directive("moving", Moving)
    app.add_directive("moving-gallery", Gallery)
    # A change of these reads all pages again.
    said = [PLACES, interactive_pages.CHAPTERS, *map(frame, NAMES, NAMES)]
    app.add_config_value("interactive_pages", repr(said) + gallery(""), "env")
    app.add_css_file("moving.css")
    app.add_js_file("moving.js")
    app.connect("source-read", _add)
    app.connect("build-finished", _write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
