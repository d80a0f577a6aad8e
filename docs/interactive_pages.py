"""Writes the interactive pages of the site: each one file that needs nothing else.

    python docs/interactive_pages.py FOLDER [SCREENSHOTS]

A page's folder in docs/interactive has `formulas.mjs` (what is computed, without a
page), `words.mjs` (both languages) and `page.mjs`. Browsers refuse modules from a
folder, so the modules of a page are joined, and stand in its HTML with the looks and
the data. From the screenshots that the browser test takes come the gallery's pictures.
"""

import base64
import functools
import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "interactive"
PICTURES = FOLDER.parent / "images" / "interactive"
# The page, and the chapter that it belongs to.
CHAPTERS = {
    "lms_filter": "01", "step_size": "03", "momentum": "03", "depth": "06",
    "initial_weights": "06", "dropout": "07", "augmentation": "08",
    "convolution": "09", "receptive_field": "09", "pooling": "10", "lenet5": "11",
    "residual": "14",
}  # fmt: skip
WITH_LENET5 = ("augmentation", "lenet5")
# Of scikit-learn's digits, one of each kind that the network reads with more than 98 %.
DIGITS = (0, 93, 2, 3, 24, 15, 16, 7, 8, 69)
INK = 22  # pixels of a digit's longer side in 32: MNIST's 20 of 28, enlarged
IMPORT = re.compile(r'^import \{([^}]+)\} from "([^"]+)";\n', re.MULTILINE)
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>
{style}</style>
</head>
<body>
<main id="page"></main>
{data}<script type="module">
{code}</script>
</body>
</html>
"""


def joined(path: Path, done: set[Path] | None = None) -> str:
    """Return a module and what it imports as one script, each in a scope of its own.

    Raises:
        ValueError: An import leads out of the folder of the pages, or to a name that
            no line there exports.
    """
    done = set() if done is None else done
    done.add(path)
    before, text = [], path.read_text("utf-8")

    def imported(found: re.Match[str]) -> str:
        other = (path.parent / found[2]).resolve()
        if FOLDER.resolve() not in other.parents:
            raise ValueError(
                f"{path.name} imports {found[2]}: no module of these pages"
            )
        if other not in done:
            before.append(joined(other, done))
        for name in re.findall(r"(\w+)(?: as \w+)?,?", found[1]):
            if not re.search(rf"^export (?:const|function) {name}\b",
                             other.read_text("utf-8"), re.MULTILINE):  # fmt: skip
                raise ValueError(f"{other.name} has no line that exports {name}")
        return f"const {{{found[1].replace(' as ', ': ')}}} = {_scope(other)};\n"

    text = IMPORT.sub(imported, text)
    names = re.findall(r"^export (?:const|function) (\w+)", text, flags=re.MULTILINE)
    own = re.sub(r"^export ", "", text, flags=re.MULTILINE)
    what = f"(() => {{\n{own}return {{ {', '.join(names)} }};\n}})()"
    return "".join([*before, f"const {_scope(path)} = {what};\n"])


def _scope(path: Path) -> str:
    return f"{path.parent.name}_{path.stem}"


def packed(values: Any) -> dict[str, Any]:
    """Return an array in 16-bit integers: off by at most `scale` / 2."""
    scale = float(abs(values).max()) / 32767
    whole = (values / scale).round().astype("<i2")
    return {
        "shape": values.shape,
        "scale": scale,
        "data": base64.b64encode(whole.tobytes()).decode(),
    }


@functools.cache
def lenet5_data() -> str:
    """Return the shipped weights of LeNet-5, and a real digit of each kind, as JSON."""
    import h5py
    import numpy as np
    from sklearn.datasets import load_digits

    shipped = FOLDER.parent.parent / "dlkeras" / "architectures" / "pretrained"
    names = {"C1": "conv2d", "C3": "conv2d_1", "C5": "conv2d_2",
             "F6": "dense", "classifier": "dense_1"}  # fmt: skip
    weights = {}
    with h5py.File(shipped / "lenet5_mnist.weights.h5") as file:
        for name, layer in names.items():
            for place, ending in enumerate(("", "_bias")):
                found = np.array(file[f"layers/{layer}/vars/{place}"])
                weights[f"{name}{ending}"] = packed(found.astype(float))
    digits = load_digits().images[list(DIGITS)] / 16
    data = {"weights": weights, "digits": digits.tolist(), "size": INK}
    return json.dumps(data, separators=(",", ":"))


def page(name: str) -> str:
    """Return a page's HTML."""
    words = (FOLDER / name / "words.mjs").read_text("utf-8")
    title = re.findall(r'title: "([^"]+)"', words)[0]
    data = ""
    if name in WITH_LENET5:
        data = f'<script type="application/json" id="data">{lenet5_data()}</script>\n'
    code = joined((FOLDER / name / "page.mjs").resolve())
    style = (FOLDER / "shared" / "style.css").read_text("utf-8")
    return PAGE.format(title=f"{title} · dlkeras", style=style, data=data, code=code)


def write(folder: Path) -> None:
    """Write all pages, and the gallery's pictures of them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in CHAPTERS:
        (folder / f"{name}.html").write_text(page(name), "utf-8")
    for picture in PICTURES.glob("*.webp"):
        shutil.copy(picture, folder)


def titles(name: str) -> dict[str, str]:
    """Return what a page is called in each language."""
    words = (FOLDER / name / "words.mjs").read_text("utf-8")
    return dict(zip(("en", "pt"), re.findall(r'title: "([^"]+)"', words), strict=True))


def questions(name: str) -> dict[str, str]:
    """Return the sentences below a page's title in each language."""
    words = (FOLDER / name / "words.mjs").read_text("utf-8")
    found = re.findall(r'question: "((?:[^"\\]|\\.)+)"', words)
    return dict(zip(("en", "pt"), found, strict=True))


def thumbnails(shots: Path) -> None:
    """Write the gallery's pictures from screenshots of the pages' figures."""
    from PIL import Image

    PICTURES.mkdir(exist_ok=True)
    for name in (
        f"{page}_{language}" for page in CHAPTERS for language in ("en", "pt")
    ):
        with Image.open(shots / f"figures_light_{name}.png") as shot:
            wide = shot.width
            shown = shot.convert("RGB").crop(
                (0, 0, wide, min(shot.height, wide * 2 // 3))
            )
        shown.thumbnail((480, 320))
        shown.save(PICTURES / f"{name}.webp", quality=80, method=6)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
    if len(sys.argv) > 2:
        thumbnails(Path(sys.argv[2]))
