"""The site builds without a warning, its links lead somewhere, and it needs no host."""

import importlib.util
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parent.parent.parent
SCRIPT = ROOT / "scripts" / "site_build.py"
LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src"}


class Links(HTMLParser):
    """What a page links to, what it loads, and the places it has."""

    def __init__(self, text):
        super().__init__()
        self.links, self.loads, self.places = [], [], set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.places.update(filter(None, (found.get("id"), found.get("name"))))
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        if tag in LOADED and found.get(LOADED[tag]):
            self.loads.append(found[LOADED[tag]])
        if tag == "link" and found.get("rel") in ("stylesheet", "preload", "icon"):
            self.loads.append(found["href"])


@pytest.fixture(scope="module")
def site():
    """The site of build/, which is built anew where its sources have changed."""
    for package in ("sphinx", "myst_parser", "furo"):
        pytest.importorskip(package, reason=f"needs {package} of the group docs")
    spec = importlib.util.spec_from_file_location("site_script", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script.build()


@pytest.fixture(scope="module")
def pages(site):
    return {page: Links(page.read_text("utf-8")) for page in site.rglob("*.html")}


def test_every_part_has_its_page(site):
    import dlkeras.layers

    text = "".join(page.read_text("utf-8") for page in site.glob("layers/*.html"))
    classes = [n for n, o in vars(dlkeras.layers).items() if isinstance(o, type)]
    assert {"LMSFilter", "InceptionModule", "ResidualBlock", "RBFOutput"} <= {*classes}
    for name in classes:
        assert f'id="dlkeras.layers.{name}"' in text, name
    for name in ("lenet5", "alexnet", "googlenet", "resnet", "resnet_cifar"):
        assert (site / "architectures" / f"{name}.html").exists()


def test_a_layer_is_shown_with_the_names_of_its_arguments(site):
    page = (site / "layers" / "inception_module.html").read_text("utf-8")
    text = re.sub(r"<[^>]+>", "", page)
    assert "filters_3x3_reduce, filters_3x3, filters_5x5_reduce" in re.sub(
        r"\s+", " ", text
    )
    for other in site.glob("layers/*.html"):
        heads = re.findall(r"<dt class=\"sig sig-object py\".*?</dt>",
                           other.read_text("utf-8"), re.S)  # fmt: skip
        for head in heads:
            assert "(*args" not in re.sub(r"<[^>]+>|\s", "", head), other


def test_examples_and_shapes_stand_below_headings_of_their_own(site):
    page = (site / "layers" / "inception_module.html").read_text("utf-8")
    for heading in ("Input shape", "Output shape", "Example", "Reference"):
        assert re.search(rf'<p class="rubric">{heading}</p>', page), heading
    for page in site.rglob("*.html"):  # code that was read as prose
        found = re.findall(r"<p>[^<]*&gt;&gt;&gt;", page.read_text("utf-8"))
        assert not found, (page, found)


def broken_links(pages):
    broken = []
    for page, found in pages.items():
        for link in [*found.links, *found.loads]:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (
                (page.parent / unquote(parts.path)).resolve() if parts.path else page
            )
            if not target.exists():
                broken.append((page.name, link))
                continue
            places = pages[target].places if target in pages else {parts.fragment}
            if parts.fragment and unquote(parts.fragment) not in places:
                broken.append((page.name, link))
    return broken


def test_links_within_the_site_lead_to_a_place(pages):
    assert sum(len(found.links) for found in pages.values()) > 5000
    assert not broken_links(pages)


def test_a_link_that_leads_nowhere_is_found(tmp_path):
    page = tmp_path / "page.html"
    page.write_text(
        '<p id="here"><a href="#here"></a><a href="#there"></a><a href="https://x.org">'
        '</a><a href="page.html#here"></a><a href="other.html"></a><img src="no.png">'
    )
    found = broken_links({page: Links(page.read_text())})
    assert [link for _, link in found] == ["#there", "other.html", "no.png"]


def test_a_reader_without_a_network_sees_everything(site, pages):
    loads = [url for found in pages.values() for url in found.loads]
    outside = [u for u in loads if "//" in u and not u.startswith("data:")]
    assert not outside
    for sheet in site.rglob("*.css"):
        text = sheet.read_text("utf-8")
        outside = r"(?:url\(|@import)\s*[\"']?(?:https?:)?//"
        assert not re.search(outside, text), sheet


def test_a_chapter_opens_its_slides(site, pages):
    for folder, language, up in (("chapters", "en", "../"),
                                 ("pt-BR/capitulos", "pt", "../../")):  # fmt: skip
        for page in (site / folder).glob("[01]*.html"):
            assert f"{up}slides/{language}/{page.name}" in pages[page].links
            assert (site / "slides" / language / page.name).exists()


def test_every_slide_shows_more_than_a_title_and_folded_code(site):
    decks = [*(site / "slides").glob("[ep][nt]/[01]*.html")]
    assert len(decks) == 32
    for deck in decks:
        slides = re.split(r"<section[^>]*>", deck.read_text("utf-8"))[1:]
        slides = [re.sub(r"<details>.*?</details>", "", s, flags=re.S) for s in slides]
        slides = [re.sub(r"<h1>.*?</h1>", "", s, flags=re.S) for s in slides]
        slides = [s for s in slides if s.strip()]  # not what holds others
        empty = [s for s in slides if not re.search(r"<(p|ol|pre|img|audio)\b", s)]
        assert len(slides) >= 6 and not empty, deck
        assert sum("<pre" in s or "<img" in s for s in slides) >= 4, deck


def test_a_table_on_a_slide_keeps_its_last_row(site):
    text = (site / "slides/en/12_alexnet.html").read_text("utf-8")
    text = re.sub(r"<details>.*?</details>", "", text, flags=re.S)
    assert "60,965,224" in text and "724,406,816" in re.sub(r"<[^>]*>", "", text)


def test_interactive_pages_are_there_and_shown_where_they_belong(site, pages):
    names = {page.stem for page in (site / "interactive").glob("*.html")}
    assert len(names) >= 10
    for gallery in ("interactive.html", "pt-BR/interativo.html"):
        links = " ".join(pages[site / gallery].links)
        assert {*re.findall(r"interactive/(\w+)\.html", links)} == names
    for language in ("en", "pt"):
        decks = (site / "slides" / language).glob("*.html")
        links = " ".join(link for deck in decks for link in pages[deck].links)
        assert {
            *re.findall(rf"interactive/(\w+)\.html\?lang={language}", links)
        } == names
    for folder in ("chapters", "pt-BR/capitulos"):
        loads = " ".join(
            load
            for page in (site / folder).glob("*.html")
            for load in pages[page].loads
        )
        assert {*re.findall(r"interactive/(\w+)\.html\?embed", loads)} == names


def test_chapters_that_interactive_pages_name_exist(site):
    for page in (site / "interactive").glob("*.html"):
        (chapter,) = re.findall(r'chapter: "(\d\d_\w+)"', page.read_text("utf-8"))
        assert (site / "chapters" / f"{chapter}.html").exists(), page
        assert (site / "pt-BR" / "capitulos" / f"{chapter}.html").exists(), page


def test_chapters_show_what_they_print_and_draw_in_both_languages(site):
    said = {}
    for folder in ("chapters", "pt-BR/capitulos"):
        pages = sorted((site / folder).glob("[01]*.html"))
        assert len(pages) == 16
        for page in pages:
            text = page.read_text("utf-8")
            assert "highlight-text" in text and "<img alt=" in text, page
            assert "copy.js" in text and not re.search("[\x02\x03\x1f]", text), page
        said[folder] = (site / folder / "09_convolution.html").read_text("utf-8")
    # Printed in one run: the course's example, 5x7 to 3x4 with a stride of 2.
    assert "(3, 4) with zeros and a stride of 2" in said["chapters"]
    assert "(3, 4) com zeros e passo 2" in said["pt-BR/capitulos"]
    assert "neocognitron" in (site / "searchindex.js").read_text("utf-8")


def test_formulas_are_mathml(site):
    page = (site / "layers" / "residual_block.html").read_text("utf-8")
    assert re.search(r"<math [^>]*display=\"block\"", page)
    assert "$$" not in page


def test_a_full_stop_stays_on_the_line_of_its_formula(site):
    for page in ("chapters/14_resnet", "pt-BR/capitulos/03_steepest_descent",
                 "slides/pt/07_dropout"):  # fmt: skip
        text = (site / f"{page}.html").read_text("utf-8")
        marks = re.findall(r"</math>[.,;:!?)]+(</span>)?", text)
        assert marks and all(marks), page


def test_a_line_of_prose_that_begins_with_a_percent_sign_is_read(site):
    """MyST would take it for a comment, and half a sentence would be lost."""
    for page, words in (
        ("chapters/07_dropout", "3 errors in place of 5"),
        ("pt-BR/capitulos/07_dropout", "3 erros no lugar de 5"),
        ("slides/en/07_dropout", "3 errors in place of 5"),
    ):
        assert words in (site / f"{page}.html").read_text("utf-8"), page
