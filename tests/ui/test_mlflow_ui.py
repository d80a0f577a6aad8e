"""MLflow's pages of a finished main job in a real browser, through the printed links.

The screenshots for the documentation are taken by

    DLKERAS_SCREENSHOTS=docs/images python -m pytest tests/ui -m browser
"""

import os
import re
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from tests.ports import free_port

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

PATIENCE = 90  # seconds: MLflow's pages load their parts one after the other


@pytest.fixture(scope="module")
def links(driver, main_job):
    """The links that the job printed, to a server that `dlkeras ui` started."""
    assert main_job.exit_code == 0, main_job.stderr
    printed = re.findall(r"(http://127\.0\.0\.1:5000/#/\S+)", main_job.stdout)
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "dlkeras.cli", "ui", "--mlruns", str(main_job.mlruns),
         "--port", str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(PATIENCE):
            assert server.poll() is None, "dlkeras ui ended by itself"
            try:
                urllib.request.urlopen(f"{address}/health", timeout=5).close()
                break
            except OSError:
                time.sleep(1)
        else:
            pytest.fail(f"dlkeras ui did not answer within {PATIENCE} s")
        # Only the port differs: another server may be on 5000 of this machine.
        yield [link.replace("http://127.0.0.1:5000", address) for link in printed]
    finally:
        server.terminate()
        server.wait(30)


class Page:
    """A page of MLflow, waited for."""

    def __init__(self, driver, link):
        self.driver = driver
        driver.get("about:blank")
        driver.get(link)

    def text(self):
        return self.driver.find_element("tag name", "body").text

    def until(self, condition, what):
        """Wait until something is true; say what was missing."""
        from selenium.common.exceptions import WebDriverException

        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            try:
                if found := condition():
                    return found
            except WebDriverException:  # the page is being drawn anew
                pass
            time.sleep(0.5)
        pytest.fail(f"not on {self.driver.current_url}: {what}\n{self.text()[:2000]}")

    def shows(self, *texts):
        for text in texts:
            self.until(lambda text=text: text in self.text(), text)

    def element(self, xpath):
        return self.until(lambda: self.driver.find_element("xpath", xpath), xpath)

    def follow(self, xpath):
        """Click on a link of the page, and wait until another is open."""
        before = self.driver.current_url

        def clicked():
            self.driver.find_element("xpath", xpath).click()
            return True

        self.until(clicked, xpath)
        self.until(lambda: self.driver.current_url != before, "another page")

    def elements(self, css):
        return self.driver.find_elements("css selector", css)

    def scroll_to(self, element):
        self.driver.execute_script("arguments[0].scrollIntoView(true)", element)

    def photograph(self, name):
        """Keep a screenshot where the documentation wants one."""
        folder = os.environ.get("DLKERAS_SCREENSHOTS")
        for close in self.elements("button[aria-label='Close']"):
            close.click()  # the chat beside the page
        time.sleep(2)  # charts are drawn once more in the room they have now
        if folder:
            assert self.driver.save_screenshot(str(Path(folder) / f"mlflow_{name}.png"))


def test_the_runs_link_lists_the_run_with_its_data_set(driver, links):
    page = Page(driver, links[0])
    page.follow("//a[normalize-space(.)='Runs'][contains(@href, '/experiments/')]")
    page.shows("Run Name", "lenet5_digits-seed0-", "digits (", "lenet5_digits.py")
    page.photograph("runs")


def test_the_run_has_its_note_rendered_its_data_set_and_its_model(driver, links):
    page = Page(driver, links[0])
    page.shows("Finished", "Datasets", "digits (", "Registered models")
    page.element("//strong[normalize-space(.)='lenet5_digits']")
    page.element("//strong[normalize-space(.)='blessed']")
    page.element("//li[strong[.='Data']]")
    assert "**" not in page.text()  # Markdown that was not rendered
    page.shows("10 classes; 1,168 train, 270 validation, 359 test")
    page.element("//button[normalize-space(.)='Show more']").click()
    page.photograph("run")


def test_the_metrics_are_charts_by_section(driver, links):
    page = Page(driver, links[0].replace("?", "/model-metrics?"))
    page.shows("test", "train", "validation", "tuner")
    page.until(lambda: len(page.elements(".js-plotly-plot")) >= 3, "three charts")
    page.photograph("metrics")


def test_the_figures_have_a_slider_over_the_steps(driver, links):
    page = Page(driver, links[0].replace("?", "/model-metrics?"))
    sections = "//div[@role='button'][starts-with(normalize-space(.), 'Model metrics')]"
    page.scroll_to(page.element(sections))
    page.until(lambda: page.elements("[role=slider]"), "a step slider")

    def drawn():
        return [
            image
            for image in page.elements("img[src*='get-artifact?path=images']")
            if int(image.get_attribute("naturalWidth") or 0) > 100
        ]

    page.until(drawn, "a figure with pixels")
    page.scroll_to(page.element(sections))
    page.photograph("figures")


def test_each_figures_card_shows_its_picture_without_scrolling(driver, links):
    """At 1400 x 900. A card is less high than MLflow makes its picture's frame."""
    size = driver.get_window_size()
    inner = driver.execute_script("return window.innerHeight")
    try:
        driver.set_window_size(1400, 900 + size["height"] - inner)
        page = Page(driver, links[0].replace("?", "/model-metrics?"))
        sections = (
            "//div[@role='button'][starts-with(normalize-space(.), 'Model metr')]"
        )
        page.scroll_to(page.element(sections))
        page.until(lambda: len(driver.execute_script(CARDS)) >= 6, "six cards")
        # Each card from the top, as one finds it: none was scrolled.
        seen = {}

        def all_seen():
            for name, share in driver.execute_script(CARDS):
                seen[name] = max(share, seen.get(name, 0))
            driver.execute_script(DOWN)
            return len(seen) >= 14 and min(seen.values()) >= 0.5

        end = time.monotonic() + PATIENCE
        while not all_seen() and time.monotonic() < end:
            time.sleep(0.5)
        assert len(seen) >= 14, sorted(seen)
        assert {name: share for name, share in seen.items() if share < 0.5} == {}
    finally:
        driver.set_window_size(size["width"], size["height"])


# How much of each card's picture lies inside of the box that would have to be scrolled;
# 0 where there is none.
CARDS = """
const found = [];
const cards = "[data-testid='experiment-view-compare-runs-card']";
for (const card of document.querySelectorAll(cards)) {
  const name = card.innerText.split("\\n")[0];
  const image = card.querySelector("img");
  if (!image && !card.innerText.includes("No image")) continue;
  if (!image || !image.naturalWidth) { found.push([name, 0]); continue; }
  const mine = image.getBoundingClientRect();
  let box = image.parentElement;
  const fits = () => box.scrollHeight <= box.clientHeight + 1;
  while (box !== card && fits()) box = box.parentElement;
  const place = box.getBoundingClientRect();
  const drawn = mine.width * image.naturalHeight / image.naturalWidth;
  const high = Math.min(drawn, mine.height);
  const top = mine.top + (mine.height - high) / 2;
  const shown = Math.min(top + high, place.bottom) - Math.max(top, place.top);
  found.push([name, Math.max(0, shown) / high]);
}
return found;
"""
DOWN = """
for (const box of document.querySelectorAll("div"))
  if (box.scrollHeight > box.clientHeight + 1000) box.scrollBy(0, 400);
"""


def test_the_trials_are_in_parallel_coordinates(driver, links):
    page = Page(driver, links[1])
    page.shows("Comparing 3 Runs", "Parallel Coordinates Plot", "learning_rate",
               "augmentation_strength", "trial 1", "trial 3")  # fmt: skip
    page.until(lambda: page.elements(".parcoords, .js-plotly-plot"), "the plot")
    page.photograph("trials")


def test_the_registered_model_has_its_alias_and_its_card(driver, links):
    page = Page(driver, links[0])
    # The note's own link has the usual port.
    page.follow(
        "//a[contains(@href, '/models/lenet5_digits/versions/1')]"
        "[not(contains(@href, ':5000'))]"
    )
    page.shows("champion", "Evaluation on the test split", "61,706 parameters")
    page.shows("Source Run", "lenet5_digits-seed0-")
    table = page.element("//table[.//*[contains(., 'validation')]]")
    assert "1,168" in table.text  # the card's table is a table, not Markdown's bars
    page.photograph("model")
