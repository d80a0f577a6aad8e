"""The interactive pages in a real browser: move a control, read the right number.

The pages are opened as files, as a lecturer without a server does. Screenshots of all:

    DLKERAS_SITE_SCREENSHOTS=folder python -m pytest tests/ui -m browser -k interactive
"""

import importlib.util
import os
from pathlib import Path

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

ROOT = Path(__file__).parent.parent.parent
_spec = importlib.util.spec_from_file_location(
    "interactive_pages", ROOT / "docs" / "interactive_pages.py"
)
interactive_pages = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(interactive_pages)
NAMES = tuple(interactive_pages.CHAPTERS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    pytest.importorskip("sklearn", reason="the digits are scikit-learn's")
    folder = tmp_path_factory.mktemp("interactive")
    interactive_pages.write(folder)
    return folder


@pytest.fixture
def opened(driver, folder):
    """Open a page with a query; the browser must complain about nothing."""

    def opened(name, query=""):
        driver.get_log("browser")
        driver.get(f"{(folder / name).as_uri()}.html?still&{query}")
        ready = "return document.documentElement.dataset.ready"
        said = [e["message"] for e in driver.get_log("browser") if "SEVERE" in str(e)]
        assert driver.execute_script(ready) == "yes", said
        assert said == []

    return opened


def shown(driver, answer):
    return driver.find_element("id", f"answer-{answer}").text


def press(driver, control, *keys):
    """Press keys on a control, as someone without a mouse."""
    from selenium.webdriver.common.keys import Keys

    field = driver.find_element("id", control)
    field.send_keys(*(getattr(Keys, key) for key in keys))


def by(side):
    return f"{side} \N{MULTIPLICATION SIGN} {side}"


# The page, its query, what is pressed, and an answer before and after in English.
# The numbers are worked out by hand or stand in the course.
MOVES = [
    # 2 / 2.5 = 0.8 is the bound: one more hundredth, and it diverges.
    ("step_size", "eta=0.8&steepness=2.5", ("eta", "ARROW_RIGHT"), "verdict",
     "undamped: swings for ever", "divergent: it leaves the bowl"),
    # 2 / lambda_max: 2 / 2.0 and 2 / 2.1.
    ("step_size", "steepness=2", ("steepness", "ARROW_RIGHT"), "bound", "1.00", "0.95"),
    # Above 2 / tr R = 2/8 no run of the filter holds.
    ("lms_filter", "mu=0.02", ("mu", "END"), "verdict", "follows", "runs away"),
    ("convolution", "", ("stride", "ARROW_RIGHT"), "size", by(10), by(5)),
    ("convolution", "stride=2&kernel=wide", ("padding-valid", "ARROW_RIGHT"), "size",
     by(4), by(6)),
    ("pooling", "shift=1&down=0", ("shift", "ARROW_LEFT"), "before", None, "0 %"),
    ("pooling", "size=3", ("size-3", "ARROW_RIGHT"), "side", by(4), by(3)),
    ("dropout", "rate=0.5", ("rate", "HOME"), "kept", None, "12 / 12"),
    ("augmentation", "strength=1", ("strength", "HOME"), "read", None, "16 / 16"),
    ("augmentation", "strength=1", ("strength", "END"), "rotation", "± 12°", "± 72°"),
    ("receptive_field", "network=small&layers=3", ("layers", "ARROW_RIGHT"), "field",
     by(7), by(9)),
    # 5, then a jump of 1: 6; 14, 16, then a jump of 4: 32, the whole image of LeNet-5.
    ("receptive_field", "network=lenet&layers=4", ("layers", "ARROW_RIGHT"), "field",
     by(16), by(32)),
    ("momentum", "alpha=0.8", ("alpha", "HOME"), "bound", "0.180", "0.100"),
    # 0.9 ** 19 of a deviation that 1 would keep; here the factor per layer.
    ("initial_weights", "activation=linear&gain=0.2", ("gain", "HOME"), "dead", "0 %",
     "0 %"),
]  # fmt: skip


@pytest.mark.parametrize("move", MOVES, ids=lambda move: f"{move[0]}-{move[3]}")
def test_a_control_moved_by_the_keyboard_gives_the_right_number(driver, opened, move):
    name, query, (control, *keys), answer, before, after = move
    opened(name, query)
    if before is not None:
        assert shown(driver, answer) == before
    press(driver, control, *keys)
    assert shown(driver, answer) == after


def test_numbers_and_words_are_portuguese_where_the_page_is(driver, opened):
    opened("step_size", "lang=pt&steepness=2.1")
    assert shown(driver, "bound") == "0,95"
    assert driver.find_element("css selector", "html").get_attribute("lang") == "pt-BR"
    driver.find_element("css selector", "nav .language").click()
    assert shown(driver, "bound") == "0.95"  # what was set stays


def test_sigmoids_silence_the_first_layer_and_relus_do_not(driver, opened):
    opened("depth", "depth=20&start=he")
    # 19 layers let less than (1/4)^19 = 4e-12 through, times He's 2^(19/2).
    assert " 10⁻" in shown(driver, "ratio_sigmoid")
    relu = float(shown(driver, "ratio_relu"))
    assert 0.05 < relu < 20
    press(driver, "depth", "HOME")
    assert float(shown(driver, "ratio_sigmoid")) > 0.1


def test_a_plain_network_of_thirty_layers_stays_where_it_was(driver, opened):
    import numpy as np

    t = np.linspace(-1, 1, 40)
    nothing = np.mean((np.sin(3 * t) + 0.4 * np.sin(9 * t)) ** 2) / 2
    opened("residual", "depth=28&step=40")
    assert float(shown(driver, "lossPlain")) == pytest.approx(nothing, abs=2e-3)
    assert float(shown(driver, "lossResidual")) < nothing / 2


def test_lenet5_reads_a_written_digit_and_one_drawn_with_the_mouse(driver, opened):
    from selenium.webdriver.common.action_chains import ActionChains

    opened("lenet5", "digit=7")
    assert shown(driver, "digit") == "7"
    driver.find_element("id", "d3").click()
    assert shown(driver, "digit") == "3"
    pad = driver.find_element("id", "pad")
    side = pad.size["width"]
    draw = ActionChains(driver).move_to_element_with_offset(pad, 0, -int(side * 0.35))
    draw.click_and_hold().move_by_offset(0, int(side * 0.7)).release().perform()
    assert shown(driver, "digit") == "1"
    driver.find_element("id", "clear").click()
    assert shown(driver, "digit") == "\N{EN DASH}"


def test_the_pixels_can_be_drawn_with_the_keyboard(driver, opened):
    opened("pooling", "shift=1")
    driver.find_element("id", "clear").click()
    assert shown(driver, "before") == "0 %"
    press(driver, "pad", "ARROW_RIGHT", "ARROW_DOWN", "SPACE")
    # One pixel moved: |a - b| / |a| is the square root of 2.
    assert shown(driver, "before") == "141 %"
    assert shown(driver, "after") == "141 %"  # from column 1 to 2: another window
    press(driver, "shift", "ARROW_LEFT", "ARROW_LEFT")  # to column 0: the same one
    assert shown(driver, "after") == "0 %"


def test_a_page_runs_by_itself_unless_the_reader_wants_no_motion(driver, folder):
    from selenium.webdriver.support.ui import WebDriverWait

    address = f"{(folder / 'step_size').as_uri()}.html"
    driver.get(address)
    step = "return Number(document.getElementById('step').value)"
    WebDriverWait(driver, 30).until(lambda _: 0 < driver.execute_script(step) < 40)
    wish = {"features": [{"name": "prefers-reduced-motion", "value": "reduce"}]}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", wish)
    try:
        driver.get(address)
        assert driver.execute_script(step) == 40
    finally:
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


@pytest.mark.parametrize("name", NAMES)
def test_a_page_fits_a_telephone_in_both_languages(driver, opened, name):
    size = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        for language in ("en", "pt"):
            opened(name, f"lang={language}&theme=light")
            width = "return document.documentElement.scrollWidth"
            assert driver.execute_script(width) <= 390
            photograph(driver, f"narrow_{name}_{language}")
    finally:
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", NAMES)
def test_a_page_shows_itself_in_both_languages(driver, opened, name, theme):
    for language in ("en", "pt"):
        opened(name, f"lang={language}&theme={theme}")
        title = interactive_pages.titles(name)[language]
        assert driver.find_element("css selector", "h1").text == title
        for output in driver.find_elements("css selector", "dd"):
            assert output.text not in ("", "NaN", "undefined"), name
        photograph(driver, f"{theme}_{name}_{language}")
        if folder := os.environ.get("DLKERAS_SITE_SCREENSHOTS"):
            figures = driver.find_element("id", "figures")  # for the gallery's cards
            file = Path(folder, f"figures_{theme}_{name}_{language}.png")
            assert figures.screenshot(str(file))


def photograph(driver, name):
    """Keep a screenshot of the whole page for whoever wants to look."""
    import base64

    if folder := os.environ.get("DLKERAS_SITE_SCREENSHOTS"):
        shot = driver.execute_cdp_cmd(
            "Page.captureScreenshot", {"captureBeyondViewport": True}
        )
        Path(folder, f"{name}.png").write_bytes(base64.b64decode(shot["data"]))
