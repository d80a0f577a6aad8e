"""The slides of the course, in a browser that reaches no other host.

DLKERAS_SITE_SCREENSHOTS=folder python -m pytest tests/ui -m browser -k slide
"""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("sphinx_revealjs", reason="needs sphinx-revealjs of the group docs")
pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[2]
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAA"
    "AABJRU5ErkJggg=="
)


@pytest.fixture(scope="module")
def slides(tmp_path_factory):
    """The slides of chapter 3, as they are built, with outputs of a run made short."""
    folder = tmp_path_factory.mktemp("slides")
    jupytext = pytest.importorskip("jupytext")
    pages = {}
    for language, below in (("en", ""), ("pt", "pt-BR")):
        source = ROOT / "notebooks" / below / "03_steepest_descent.py"
        pages[language] = []
        for cell in jupytext.read(source).cells:
            if "check" in cell.metadata.get("tags", ()):
                continue
            outputs = []
            if "plt.show()" in cell.source:
                outputs = [
                    {"output_type": "display_data", "data": {"image/png": PIXEL}}
                ]
            elif "print(" in cell.source:
                outputs = [{"output_type": "stream", "text": "lambda = 1.5\n"}]
            pages[language].append(
                {"kind": cell.cell_type, "source": cell.source, "outputs": outputs}
            )
    (folder / "pages.json").write_text(json.dumps(pages))
    (folder / "pages").mkdir()
    (folder / "build.py").write_text(
        "import json, sys\n"
        f"sys.path.insert(0, {str(ROOT / 'scripts')!r})\n"
        "import chapters\n"
        "chapter = chapters.chapters()[2]\n"
        "chapters.chapters = lambda: [chapter]\n"
        f"pages = json.load(open({str(folder / 'pages.json')!r}))\n"
        "chapters.results = lambda source: (pages, 0.0)\n"
        "from sphinx.cmd.build import main\n"
        f"sys.exit(main(['-W', '--keep-going', '-q', '-b', 'revealjs', '-c',\n"
        f"    {str(ROOT / 'docs' / 'slides')!r}, {str(folder / 'pages')!r},\n"
        f"    {str(folder / 'built')!r}]))\n"
    )
    done = subprocess.run(
        [sys.executable, folder / "build.py"], capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    shutil.copytree(ROOT / "docs" / "images" / "interactive", folder / "interactive")
    return folder / "built"


@pytest.mark.parametrize(
    ("language", "title", "code"),
    [("en", "3. The method of steepest descent", "The code"),
     ("pt", "3. O método da descida mais íngreme", "O código")],
)  # fmt: skip
def test_a_chapter_is_taught_from_slides_without_another_host(
    slides, driver, language, title, code
):
    driver.get_log("browser")
    driver.execute_cdp_cmd("Network.enable", {})
    driver.execute_cdp_cmd(
        "Network.setBlockedURLs", {"urls": ["http://*", "https://*"]}
    )
    try:
        driver.get((slides / language / "03_steepest_descent.html").as_uri())
        assert driver.execute_script("return Reveal.isReady()")
        shown = "return document.querySelector('section.present:not(.stack)').innerText"
        assert title in driver.execute_script(shown)
        total = driver.execute_script("return Reveal.getTotalSlides()")
        assert total >= 9
        seen, tall = {driver.execute_script(shown)}, []
        for _ in range(total - 1):
            driver.execute_script("Reveal.next()")
            seen.add(driver.execute_script(shown))
            high = driver.execute_script(
                "const s = document.querySelector('section.present:not(.stack)');"
                "return Math.max(...[...s.children].map("
                "  e => e.offsetTop + e.offsetHeight), 0)"
            )
            if high > 720:
                tall.append((high, driver.execute_script(shown)[:60]))
        assert not tall  # every slide fits the screen
        assert driver.execute_script("return Reveal.isLastSlide()")
        assert len(seen) > 0.8 * total
        folded = driver.find_elements("css selector", "details > summary")
        assert folded and all(s.get_attribute("textContent") == code for s in folded)
        assert not driver.find_elements("css selector", "details[open]")
        assert driver.find_elements("css selector", "math")  # formulas, not their TeX
        assert not [e for e in driver.get_log("browser") if e["level"] == "SEVERE"]
    finally:
        driver.execute_cdp_cmd("Network.setBlockedURLs", {"urls": []})


# What a listener in the last row cannot see, or sees none of, of one slide. A picture
# is small by its own shape, too: an area counts; one that is a link opens large.
LOOK = """
const slide = document.querySelector('section.present:not(.stack)');
const parts = [...slide.children].filter(e => !/^(H[1-6]|DETAILS)$/.test(e.tagName));
const area = (e) => e.offsetWidth * e.offsetHeight;
const wrong = [];
if (!parts.length) wrong.push('nothing but a title');
for (const part of parts) {
  if (part.offsetTop + part.offsetHeight > 690) wrong.push('cut at the bottom');
  if (part.scrollWidth > part.clientWidth + 2) wrong.push('wider than the slide');
}
for (const code of slide.querySelectorAll(':scope > div pre code')) {
  if (code.scrollHeight > code.clientHeight + 3) wrong.push('printed lines are hidden');
  if (code.scrollWidth > code.clientWidth + 3) wrong.push('a printed line is cut');
}
for (const image of slide.querySelectorAll('img')) {
  if (!image.naturalWidth) wrong.push('a picture is missing');
  else if (!image.closest('a') && area(image) < 720 * 1280 / 4)
    wrong.push('a picture is small');
}
for (const e of slide.querySelectorAll('p, li, td, code')) {
  if (!e.closest('details') && parseFloat(getComputedStyle(e).fontSize) < 20)
    wrong.push('small letters');
}
return wrong.map(said => said + ': ' + slide.innerText.trim().slice(0, 60));
"""


@pytest.fixture(scope="module")
def site():
    """The folder of the site's slides, which are built anew where something changed."""
    path = ROOT / "scripts" / "site_build.py"
    spec = importlib.util.spec_from_file_location("site_script", path)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script.build() / "slides"


@pytest.mark.parametrize("language", ["en", "pt"])
@pytest.mark.parametrize("number", range(1, 17))
def test_every_slide_is_read_from_the_last_row(site, driver, language, number):
    (deck,) = (site / language).glob(f"{number:02}_*.html")
    driver.get(deck.as_uri())
    total, found = driver.execute_script("return Reveal.getTotalSlides()"), []
    for _ in range(total):
        found += driver.execute_script(LOOK)
        driver.execute_script("Reveal.next()")
    assert total >= 6
    assert not found


def test_a_slide_that_nobody_can_read_is_found(site, driver):
    driver.get((site / "en" / "03_steepest_descent.html").as_uri())
    spoil = "document.querySelector('section.present:not(.stack)').innerHTML = "
    for content, said in (
        ("'<details>code</details>'", "nothing but a title"),
        ("'<img src=none.png>'", "a picture is missing"),
        ("'<p style=\"font-size: 12px\">small</p>'", "small letters"),
        ("'<p style=\"margin-top: 700px\">low</p>'", "cut at the bottom"),
        ("'<div><pre><code style=\"max-height: 50px\">' + 'a\\n'.repeat(9)",
         "printed lines are hidden"),
    ):  # fmt: skip
        driver.execute_script(spoil + content)
        assert any(w.startswith(said) for w in driver.execute_script(LOOK)), said
