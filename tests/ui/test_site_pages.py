"""The documentation's pages in a real browser: one of each type, wide and narrow.

DLKERAS_SITE_SCREENSHOTS=folder python -m pytest tests/ui -m browser -k site
"""

import functools
import http.server
import importlib.util
import os
import threading
from pathlib import Path

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

ROOT = Path(__file__).parent.parent.parent
SCRIPT = ROOT / "scripts" / "site_build.py"
# A page of each type, and a text that a reader must find on it.
PAGES = {
    "index": "The deep-learning course you can run",
    "quickstart": "Why does it not learn?",
    "notebooks": "adaptive filtering",
    "glossary": "campo local induzido",
    "pt-BR/capitulos/13_googlenet": "minutos de leitura",
    "migration": "keras.applications",
    "layers/index": "InceptionModule",
    "layers/inception_module": "Going deeper with convolutions",
    "layers/lms_filter": "Use it to learn a system",
    "callbacks/gradient_norm_monitor": "GradientNormMonitor",
    "architectures/googlenet": "6998552",
    "optimization": "steepest_descent",
    "visualization": "Every function takes models or arrays",
    "pipeline/guide": "ExampleGen",
    "pipeline/mlflow": "Parallel Coordinates Plot",
    "pipeline/several_devices": "TF_CONFIG",
    "new_architecture": "architecture",
    "interactive": "LeNet-5 reads it",
    "pt-BR/interativo": "a LeNet-5 lê",
    "pt-BR/inicio": "Por que não aprende?",
    "pt-BR/glossario": "taxa de aprendizagem",
}


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        """Say nothing."""


@pytest.fixture(scope="module")
def site(driver):
    """The address of the site, built from the sources and served from this machine."""
    for package in ("sphinx", "myst_parser", "furo"):
        pytest.importorskip(package, reason=f"needs {package} of the group docs")
    spec = importlib.util.spec_from_file_location("site_script", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    folder = script.build()
    handler = functools.partial(_Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def opened(driver, address):
    """Open a page, and return what the browser complained about."""
    driver.get_log("browser")  # of the page before
    driver.get(address)
    return [
        entry["message"]
        for entry in driver.get_log("browser")
        if entry["level"] == "SEVERE" and "favicon" not in entry["message"]
    ]


def photograph(driver, name):
    """Keep a screenshot for whoever wants to look."""
    if folder := os.environ.get("DLKERAS_SITE_SCREENSHOTS"):
        file = Path(folder) / f"{name.replace('/', '_')}.png"
        assert driver.save_screenshot(str(file))


# Also of a picture that loads only when a reader comes near it.
WIDTH = """const [image, done] = arguments;
image.loading = "eager";
image.decode().catch(() => 0).then(() => done(image.naturalWidth));"""


@pytest.mark.parametrize("page", PAGES)
def test_a_page_of_the_site_loads_with_its_pictures_and_formulas(driver, site, page):
    assert opened(driver, f"{site}/{page}.html") == []
    assert PAGES[page] in driver.find_element("css selector", "article").text
    for image in driver.find_elements("css selector", "article img"):
        width = driver.execute_async_script(WIDTH, image)
        assert width > 50, image.get_attribute("src")
    for formula in driver.find_elements("css selector", "article math[display=block]"):
        # A formula that the browser does not draw has the height of a line or none.
        assert formula.size["height"] > 15 and formula.size["width"] > 20
    photograph(driver, page)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_of_the_site_fits_a_telephone(driver, site, page):
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True},
    )
    try:
        opened(driver, f"{site}/{page}.html")
        width = driver.execute_script("return document.documentElement.scrollWidth")
        photograph(driver, f"narrow_{page}")
    finally:
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert width <= 390


def test_a_wide_picture_is_read_on_a_telephone_by_scrolling(driver, site):
    """At 390 pixels a picture of 1,600 would have letters of three."""
    size = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        opened(driver, f"{site}/pipeline/mlflow.html")
        pictures = driver.find_elements("css selector", "article img")
        natural = [driver.execute_async_script(WIDTH, image) for image in pictures]
        shown = [image.rect["width"] for image in pictures]
        page = driver.execute_script("return document.documentElement.scrollWidth")
    finally:
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    wide = [(n, s) for n, s in zip(natural, shown, strict=True) if n >= 700]
    assert wide and all(s >= 0.59 * n for n, s in wide), wide
    assert page <= 390


HERE = "return !!document.querySelector('aside .control, aside .buttons')"
WHOLE = """
const page = document.scrollingElement;
return page.scrollWidth <= page.clientWidth
  && page.scrollHeight <= page.clientHeight + 1;
"""


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("folder", ["chapters", "pt-BR/capitulos"])
def test_what_a_chapter_embeds_is_whole(driver, site, folder, width):
    """No embedded page has a bar of its own to scroll, and no chapter is too wide."""
    from selenium.webdriver.support.ui import WebDriverWait

    size = {"width": width, "height": 844, "deviceScaleFactor": 1}
    size["mobile"] = width < 500
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    chapters = sorted(path.stem for path in (ROOT / "notebooks").glob("*.py"))
    shown = 0
    try:
        for chapter in chapters:
            opened(driver, f"{site}/{folder}/{chapter}.html")
            wide = driver.execute_script("return document.scrollingElement.scrollWidth")
            assert wide <= width, chapter
            for frame in driver.find_elements("css selector", ".moving iframe"):
                near = "arguments[0].loading = 'eager'; arguments[0].scrollIntoView()"
                driver.execute_script(near, frame)
                driver.switch_to.frame(frame)
                for wanted in (HERE, WHOLE):
                    WebDriverWait(driver, 40).until(
                        lambda browser, wanted=wanted: browser.execute_script(wanted),
                        chapter,
                    )
                driver.switch_to.default_content()
                shown += 1
        opened(driver, f"{site}/{folder}/06_vanishing_gradients.html")
        frame = driver.find_element("css selector", ".moving iframe")
        cut = "arguments[0].style.maxHeight = '100px'"
        driver.execute_script(cut + "; arguments[0].scrollIntoView()", frame)
        driver.switch_to.frame(frame)
        WebDriverWait(driver, 20).until(lambda browser: browser.execute_script(HERE))
        assert not driver.execute_script(WHOLE)
    finally:
        driver.switch_to.default_content()
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert shown >= 12


def test_a_diagram_is_read_in_the_dark(driver, site):
    opened(driver, f"{site}/layers/inception_module.html")
    colour = (
        "return getComputedStyle(document.querySelector('div.drawing svg path'"
        " + '[style*=drawing-convolution]')).fill"
    )
    found = {}
    for theme in ("light", "dark"):
        driver.execute_script(f"document.body.dataset.theme = '{theme}'")
        found[theme] = driver.execute_script(colour)
        photograph(driver, f"drawing_{theme}")
    assert found == {"light": "rgb(207, 228, 243)", "dark": "rgb(29, 74, 107)"}
    # The letters: as bright as the page's own.
    ink = "return getComputedStyle(document.querySelector('div.drawing svg')).fill"
    assert driver.execute_script(ink) == "rgb(228, 230, 232)"


def test_a_portuguese_page_lists_the_portuguese_pages_first(driver, site):
    first = "return document.querySelector('.sidebar-tree .caption').textContent"
    opened(driver, f"{site}/chapters/03_steepest_descent.html")
    assert driver.execute_script(first) == "Start"
    opened(driver, f"{site}/pt-BR/capitulos/03_steepest_descent.html")
    assert driver.execute_script(first) == "Em português"
    link = driver.find_element("css selector", ".sidebar-tree .caption + ul a")
    assert "/pt-BR/" in link.get_attribute("href")


def test_the_search_of_the_site_finds_a_class(driver, site):
    from selenium.webdriver.support.ui import WebDriverWait

    assert opened(driver, f"{site}/search.html?q=GradientNormMonitor") == []
    results = "#search-results li a"
    WebDriverWait(driver, 30).until(
        lambda browser: browser.find_elements("css selector", results)
    )
    found = [
        link.get_attribute("href")
        for link in driver.find_elements("css selector", results)
    ]
    assert any("callbacks/gradient_norm_monitor.html" in link for link in found)
