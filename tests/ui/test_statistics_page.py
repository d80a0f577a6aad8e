"""The page of the statistics in headless Chromium: it is drawn and can be sorted."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="needs Chromium: apt install chromium"),
]
# What a user would do: click on the heading "mean", for the brightest class first.
CLICKS = """
<script>
const errors = [];
window.addEventListener("error", event => errors.push(event.message));
const [head] = [...document.querySelectorAll("th")].filter(
  th => th.textContent === "mean");
head.click();
const broken = [...document.images].filter(i => !i.complete || !i.naturalWidth);
document.title = `${errors.length} errors, ${broken.length} of `
  + `${document.images.length} images broken`;
</script>
"""


def opened(page: Path) -> str:
    """The document as Chromium has it once its scripts have run."""
    done = subprocess.run(
        [
            CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu",
            "--disable-dev-shm-usage", f"--user-data-dir={page.parent / 'profile'}",
            "--virtual-time-budget=5000", "--dump-dom", page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )  # fmt: skip
    return done.stdout


def test_chromium_draws_the_page_and_sorts_its_classes(prepared, tmp_path):
    text = (prepared["Statistics"].path / "statistics.html").read_text("utf-8")
    page = tmp_path / "statistics.html"
    page.write_text(text.replace("</body>", CLICKS + "</body>"), "utf-8")
    document = opened(page)
    images = len(re.findall("<img", text))
    assert images > 10 * 8  # eight of each digit, and the figures
    assert f"<title>0 errors, 0 of {images} images broken</title>" in document
    rows = re.findall(
        r"<tr data-class=.\d.><td>(\d)</td>", document.split("<h2>Classes</h2>")[1]
    )
    pixels = prepared["Statistics"].summary["splits"]["train"]["class_pixels"]
    brightest_first = sorted(pixels, key=lambda label: -pixels[label]["mean"])
    assert rows == brightest_first != sorted(pixels)
