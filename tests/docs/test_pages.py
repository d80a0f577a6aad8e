"""The examples on the pages of the documentation run, and answer what is written."""

import doctest
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent.parent / "docs"
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def examples(page):
    """The `>>>` lines of a page's Python blocks, at their lines in the page."""
    text = page.read_text(encoding="utf-8")
    keep = ["" for _ in text.splitlines()]
    for block in re.finditer(r"^```python\n(>>> .*?)^```$", text, re.M | re.S):
        first = text[: block.start(1)].count("\n")
        for number, line in enumerate(block[1].splitlines()):
            keep[first + number] = line
    return doctest.DocTestParser().get_doctest(
        "\n".join(keep), {}, page.stem, str(page), 0
    )


PAGES = {
    str(page.relative_to(DOCS)): test
    for page in sorted(DOCS.rglob("*.md"))
    if (test := examples(page)).examples
}


def test_most_pages_have_examples():
    assert len(PAGES) >= 28


@pytest.mark.parametrize("page", PAGES)
def test_the_examples_of_a_page_answer_what_is_written(page):
    report = []
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    runner.run(PAGES[page], out=report.append)
    assert not runner.failures, "".join(report)


def test_every_picture_of_a_page_is_there_and_drawn_by_a_command():
    drawn = (DOCS / "pictures.py").read_text(encoding="utf-8")
    moving = (DOCS / "moving_pictures.py").read_text(encoding="utf-8")
    for page in DOCS.rglob("*.md"):
        if {"chapters", "capitulos"} & {*page.parts}:
            continue  # drawn by the chapters themselves
        for target in re.findall(r"!\[[^]]*\]\(([^)]+)\)", page.read_text("utf-8")):
            picture = page.parent / target
            assert picture.exists(), (page, target)
            name = picture.stem
            if picture.parent.name == "sick_trainings":
                assert (DOCS / "sick_trainings_picture.py").exists()
            elif name.startswith("moving_"):
                assert f'"{name.removesuffix("_pt")}"' in moving, (page, target)
            elif not name.startswith(("mlflow_", "architecture")):
                assert f'"{name}"' in drawn, (page, target)


def test_the_glossaries_have_the_same_pairs_each_in_its_own_order():
    columns = []
    for name in ("glossary.md", "pt-BR/glossario.md"):
        rows = (DOCS / name).read_text("utf-8").split("|---|---|---|\n")[1]
        columns.append([row.strip("| ").split(" | ") for row in rows.splitlines()])
    english, portuguese = columns
    pairs = [(term, translated) for term, translated, _ in english]
    assert sorted(pairs) == sorted((back, term) for term, back, _ in portuguese)
    assert len(dict(pairs)) == len(english) > 60
