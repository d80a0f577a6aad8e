"""Draws the first page's and the README's moving pictures: `moving_pictures.py`.

Animated SVG without a script: what moves are CSS keyframes. The numbers come from the
formulas of the interactive pages, by Node.js, and from the run in the README. If you
want less motion you see the last state. In English and Portuguese, light and dark as
the system of the reader is.
"""

import base64
import functools
import io
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parent.parent
IMAGES = Path(__file__).parent / "images"
PICTURES = ("moving_lesson", "moving_filter", "moving_digit", "moving_run")
WIDTH, HEIGHT = 640, 360
RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹"
LOOKS = """
svg { --paper: #fff; --ink: #1d2733; --quiet: #5b6875; --line: #d4dbe2; --blue: #0b6fb8;
 --orange: #c2600c; --green: #0a8060; --red: #c0272d; --soft: #f4f6f8 }
@media (prefers-color-scheme: dark) { svg { --paper: #161c23; --ink: #e8edf2;
 --quiet: #a3b0bd; --line: #36424e; --blue: #5cb4f0; --orange: #f59b4a;
 --green: #3fc9a1; --red: #ff7b78; --soft: #212a33 } }
text { font: 15px system-ui, "Segoe UI", Roboto, sans-serif; fill: var(--quiet) }
.title { font-size: 20px; font-weight: 600; fill: var(--ink) }
.strong { font-weight: 600; fill: var(--ink) }
.bar { transform-box: fill-box; transform-origin: bottom }
"""
STILL = "@media (prefers-reduced-motion: reduce) { * { animation: none !important } }"


class Drawing:
    """Shapes and their keyframes; `moves` adds an animation of one shape.

    Args:
        title: what is above the drawing.
        seconds: of one round, after which it begins again.
    """

    def __init__(self, title: str, seconds: float) -> None:
        self.title, self.seconds = title, seconds
        self.shapes: list[str] = []
        self.rules: list[str] = []

    def add(self, shape: str) -> None:
        """Add a shape."""
        self.shapes.append(shape)

    def text(self, x: float, y: float, words: str, extra: str = "") -> None:
        """Add words."""
        words = words.replace("&", "&amp;").replace("<", "&lt;")
        self.add(f'<text x="{x:g}" y="{y:g}" {extra}>{words}</text>')

    def moves(self, states: Sequence[tuple[float, str]]) -> str:
        """Return the attribute that gives a shape these states at shares of a round.

        The last state holds to the end, and stands where nothing may move.
        """
        name = f"k{len(self.rules)}"
        stops = "".join(f"{100 * share:.3g}%{{{state}}}" for share, state in states)
        last = states[-1][1]
        timing = f"{self.seconds:g}s linear infinite"
        self.rules.append(
            f"@keyframes {name}{{{stops}100%{{{last}}}}}"
            f".{name}{{{last};animation:{name} {timing}}}"
        )
        return name

    def appears(self, share: float) -> str:
        """Return the class of a shape that is not there before a share of the round."""
        return self.moves([(0, "opacity:0"), (share, "opacity:0"),
                           (min(share + 0.03, 0.99), "opacity:1")])  # fmt: skip

    def grows(self, begin: float, end: float, share: float = 1) -> str:
        """Return the class of a bar that grows to a share of its width."""
        return self.moves([(0, "transform:scaleX(0)"), (begin, "transform:scaleX(0)"),
                           (end, f"transform:scaleX({share:.3f})")])  # fmt: skip

    def svg(self) -> str:
        """Return the picture."""
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
            f'role="img"><title>{self.title}</title><style>{LOOKS}'
            + "\n".join([*self.rules, STILL])
            + f'</style><rect x="1" y="1" width="{WIDTH - 2}" height="{HEIGHT - 2}" '
            'rx="14" fill="var(--paper)" stroke="var(--line)"/>'
            f'<text class="title" x="22" y="36">{self.title}</text>'
            + "\n".join(self.shapes)
            + "</svg>\n"
        )


def number(value: float, digits: int, language: str) -> str:
    """Return a number as people of the language write it."""
    said = f"{value:.{digits}f}"
    return said.replace(".", ",") if language == "pt" else said


TAPS = np.array([0.2, 0.7, 1.0, 0.5, -0.3, -0.5, -0.2, 0.1])


@functools.cache
def numbers() -> Any:
    """Return what the pages' formulas give, which tests compare with dlkeras."""
    import interactive_pages
    from sklearn.datasets import load_digits

    digits, random = load_digits(), np.random.default_rng(3)
    x = random.normal(size=600)
    noise = random.normal(size=600) * 0.03
    data = json.loads(interactive_pages.lenet5_data())
    scaled = (digits.data - digits.data.mean()) / digits.data.std()
    given = {
        "filter": {"x": x.tolist(), "taps": len(TAPS), "mu": 0.02,
                   "d": (np.convolve(x, TAPS)[:600] + noise).tolist()},
        "lesson": {"x": scaled[:1000].tolist(), "labels": digits.target[:1000].tolist(),
                   "width": 32, "layers": 10, "epochs": 16, "batch": 10, "rate": 0.1},
        "digit": data["digits"][3], "ink": data["size"], "weights": data["weights"],
    }  # fmt: skip
    node = shutil.which("node")
    if node is None:
        raise FileNotFoundError("Node.js is needed to draw these: install nodejs")
    script = interactive_pages.FOLDER / "shared" / "pictures.mjs"
    done = subprocess.run([node, script], input=json.dumps(given), text=True,
                          capture_output=True, check=True)  # fmt: skip
    return json.loads(done.stdout)


def filter_picture(language: str) -> str:
    """Return an LMS filter that finds eight taps."""
    words = {
        "en": ("A filter finds an unknown system", "weights", "true taps", "error"),
        "pt": ("Um filtro descobre um sistema", "pesos", "coeficientes", "erro"),
    }[language]
    taps, weights = TAPS, np.array(numbers()["filter"])
    shown = np.unique(np.geomspace(1, len(weights) - 1, 26).astype(int))
    drawing = Drawing(words[0], 8)
    ground, unit, end = 215, 120, 0.8
    for k, tap in enumerate(taps):
        left = 34 + 38 * k
        top, tall = (
            (ground - tap * unit, tap * unit) if tap > 0 else (ground, -tap * unit)
        )
        steps = [(0.0, "transform:scaleY(0)")]
        for n, step in enumerate(shown):
            share = end * (n + 1) / len(shown)
            steps.append((share, f"transform:scaleY({weights[step, k] / tap:.3f})"))
        side = "top" if tap < 0 else "bottom"
        drawing.add(
            f'<rect class="bar {drawing.moves(steps)}" style="transform-origin:{side}" '
            f'x="{left}" y="{top:.1f}" width="24" height="{tall:.1f}" '
            'fill="var(--blue)"/>'
        )
        drawing.add(
            f'<rect x="{left - 4}" y="{top:.1f}" width="32" height="{tall:.1f}" '
            'fill="none" stroke="var(--orange)" stroke-width="2"/>'
        )
    drawing.add(f'<path d="M28 {ground}H342" stroke="var(--line)"/>')
    drawing.text(34, 330, words[1], 'style="fill:var(--blue)"')
    drawing.text(110, 330, words[2], 'style="fill:var(--orange)"')
    wrong = ((weights - taps) ** 2).sum(1) / (taps**2).sum()
    decibels = 10 * np.log10(np.maximum(wrong, 1e-9))[shown]
    xs = np.linspace(390, 612, len(shown))
    ys = 90 + 200 * np.clip(-decibels / 45, 0, 1)
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(xs, ys, strict=True))
    line = drawing.moves([(0, "stroke-dashoffset:1"), (end, "stroke-dashoffset:0")])
    drawing.add('<path d="M390 80V300H612" fill="none" stroke="var(--line)"/>')
    drawing.add(
        f'<polyline class="{line}" points="{points}" pathLength="1" '
        'stroke-dasharray="1" fill="none" stroke="var(--blue)" stroke-width="3"/>'
    )
    said = number(float(decibels[-1]), 0, language).replace("-", "\N{MINUS SIGN}")
    later = drawing.appears(end)
    drawing.text(612, 330, f"{words[3]}: {said} dB",
                 f'text-anchor="end" class="strong {later}"')  # fmt: skip
    return drawing.svg()


def lesson_picture(language: str) -> str:
    """Return why a network of ten sigmoid layers does not learn."""
    words = {
        "en": ("Why does it not learn?", "layer", "gradient of each layer",
               "accuracy", "sigmoid", "ReLU, He's weights",
               "first / last layer:"),
        "pt": ("Por que ela não aprende?", "camada", "gradiente de cada camada",
               "acurácia", "sigmoide", "ReLU, pesos de He",
               "primeira / última camada:"),
    }[language]  # fmt: skip
    drawing, end = Drawing(words[0], 9), 0.75
    for side, (activation, colour) in enumerate((("sigmoid", "red"), ("relu", "blue"))):
        found = numbers()["lesson"][activation]
        norms, accuracy = np.array(found["norms"]), found["accuracy"]
        left = 30 + 310 * side
        drawing.text(left, 72, words[4 + side], 'class="strong"')
        for layer in range(10):
            tall = np.clip((np.log10(norms[:, layer]) + 6.5) / 7.5, 0.012, 1)
            steps = [(end * n / 15, f"transform:scaleY({t:.3f})")
                     for n, t in enumerate(tall)]  # fmt: skip
            drawing.add(
                f'<rect class="bar {drawing.moves(steps)}" x="{left + 27 * layer}" '
                f'y="90" width="20" height="150" fill="var(--{colour})"/>'
            )
        drawing.add(f'<path d="M{left - 4} 240h276" stroke="var(--line)"/>')
        drawing.text(left, 259, f"{words[1]} 1")
        drawing.text(left + 266, 259, "10", 'text-anchor="end"')
        drawing.text(left, 292, words[3])
        steps = [(end * n / 15, f"transform:scaleX({a:.3f})")
                 for n, a in enumerate(accuracy)]  # fmt: skip
        drawing.add(f'<rect x="{left + 78}" y="279" width="120" height="16" rx="3" '
                    'fill="var(--soft)"/>')  # fmt: skip
        drawing.add(
            f'<rect class="bar {drawing.moves(steps)}" style="transform-origin:left" '
            f'x="{left + 78}" y="279" width="120" height="16" rx="3" '
            f'fill="var(--{colour})"/>'
        )
        drawing.text(left + 206, 292, f"{100 * accuracy[-1]:.0f} %",
                     f'class="strong {drawing.appears(end)}"')  # fmt: skip
        power = round(np.log10(norms[-1, 0] / norms[-1, -1]))
        ratio = "".join("\N{SUPERSCRIPT MINUS}" if c == "-" else RAISED[int(c)]
                        for c in str(power))  # fmt: skip
        drawing.text(left, 330, f"{words[6]} 10{ratio}",
                     f'class="{drawing.appears(end)}" '
                     f'style="fill:var(--{colour});font-weight:600"')  # fmt: skip
    drawing.text(618, 36, words[2], 'text-anchor="end"')
    return drawing.svg()


def _png(values: np.ndarray, signed: bool = False) -> str:
    """Return an image as a data address: grey, or orange to blue around white."""
    from PIL import Image

    if signed:
        share = np.clip(values, -1, 1)[..., None]
        ends = np.where(share > 0, [11, 111, 184], [226, 125, 30])
        pixels = 250 + (ends - 250) * abs(share)
    else:
        pixels = 255 * np.clip(values, 0, 1)
    file = io.BytesIO()
    Image.fromarray(pixels.round().astype("uint8")).save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def digit_picture(language: str) -> str:
    """Return a digit on its way through LeNet-5."""
    title = {
        "en": "A digit goes through LeNet-5",
        "pt": "Um dígito atravessa a LeNet-5",
    }
    found = numbers()["digit"]
    image, f6, answer = (np.array(found[n]) for n in ("image", "F6", "probabilities"))
    c1, c3 = np.reshape(found["C1"], (28, 28, 6)), np.reshape(found["C3"], (10, 10, 16))
    drawing = Drawing(title[language], 8)

    def picture(values: Any, x: float, y: float, side: float, share: float) -> None:
        address = _png(values, signed=values.min() < 0)
        drawing.add(
            f'<image class="{drawing.appears(share)}" href="{address}" x="{x:g}" '
            f'y="{y:g}" width="{side:g}" height="{side:g}" '
            'style="image-rendering:pixelated"/>'
        )

    picture(image, 24, 130, 110, 0.02)
    drawing.text(24, 330, "32 \N{MULTIPLICATION SIGN} 32")
    for k in range(6):
        place = 168 + 72 * (k % 2), 66 + 80 * (k // 2)
        picture(c1[..., k], *place, 66, 0.1 + 0.04 * k)
    drawing.text(168, 330, "C1")
    for k in range(16):
        place = 336 + 38 * (k % 4), 100 + 40 * (k // 4)
        picture(c3[..., k], *place, 34, 0.36 + 0.015 * k)
    drawing.text(336, 330, "C3")
    columns = f6.reshape(21, 4)
    address = _png(columns, signed=True)
    drawing.add(
        f'<image class="{drawing.appears(0.64)}" href="{address}" x="506" y="70" '
        'width="40" height="226" preserveAspectRatio="none" '
        'style="image-rendering:pixelated"/>'
    )
    drawing.text(506, 330, "F6")
    for k in range(10):
        grows = drawing.grows(0.7, 0.8, float(answer[k]))
        drawing.text(566, 84 + 23 * k, str(k), 'class="strong"')
        drawing.add(
            f'<rect class="bar {grows}" style="transform-origin:left" x="580" '
            f'y="{72 + 23 * k}" width="44" height="14" fill="var(--blue)"/>'
        )
    best = int(answer.argmax())
    sure = number(100 * float(answer[best]), 1, language)
    later = drawing.appears(0.82)
    drawing.text(620, 330, f"{best}: {sure} %",
                 f'text-anchor="end" class="strong {later}"')  # fmt: skip
    return drawing.svg()


def run_picture(language: str) -> str:
    """Return the pipeline's run as the README has it, step by step."""
    words = {
        "en": ("One command, from images to a registered model", "test accuracy",
               "blessed, pushed:", "all of it in MLflow: make ui"),
        "pt": ("Um comando, das imagens ao modelo registrado", "acurácia no teste",
               "aprovado e publicado:", "tudo no MLflow: make ui"),
    }[language]  # fmt: skip
    text = (ROOT / "README.md").read_text("utf-8")
    steps = re.findall(r"^(\w+)(?:: (\w+))? +([\d.]+) s  run  ", text, re.MULTILINE)
    steps = [(second or first, float(seconds)) for first, second, seconds in steps]
    (accuracy,) = re.findall(r"^Test accuracy ([\d.]+)", text, re.MULTILINE)
    (model,) = re.findall(r"pushed as (\S+),", text)
    drawing = Drawing(words[0], 9)
    total, passed, end = sum(seconds + 1 for _, seconds in steps), 0.0, 0.75
    drawing.text(24, 66, "$ make run", 'class="strong" style="font-family:monospace"')
    for place, (name, seconds) in enumerate(steps):
        y = 80 + 21 * place
        begin, passed = end * passed / total, passed + seconds + 1
        grows = drawing.grows(begin, end * passed / total)
        drawing.text(24, y + 14, name, f'class="{drawing.appears(begin)}"')
        wide = max(4, 6.8 * seconds)
        drawing.add(
            f'<rect class="bar {grows}" style="transform-origin:left" x="164" '
            f'y="{y + 2}" width="{wide:g}" height="14" rx="3" fill="var(--blue)"/>'
        )
        drawing.text(172 + wide, y + 14, f"{number(seconds, 1, language)} s",
                     f'class="{drawing.appears(end * passed / total)}"')  # fmt: skip
    drawing.add(
        f'<g class="{drawing.appears(end + 0.04)}"><rect x="402" y="90" width="222" '
        'height="176" rx="10" fill="var(--soft)" stroke="var(--green)" '
        'stroke-width="2"/><path d="M490 128l16 16 30-34" fill="none" '
        'stroke="var(--green)" stroke-width="6" stroke-linecap="round" '
        'stroke-linejoin="round"/></g>'
    )
    percent = number(100 * float(accuracy), 1, language)
    for y, said, kind in (
        (180, words[1], ""), (202, f"{percent} %", "strong"), (230, words[2], ""),
        (250, model, "strong"),
    ):  # fmt: skip
        later = drawing.appears(end + 0.06)
        drawing.text(513, y, said, f'text-anchor="middle" class="{kind} {later}"')
    later = drawing.appears(end + 0.06)
    drawing.text(513, 292, words[3], f'text-anchor="middle" class="{later}"')
    return drawing.svg()


def file_of(name: str, language: str) -> Path:
    """Return where a picture stands."""
    return IMAGES / f"{name}{'_pt' if language == 'pt' else ''}.svg"


def main() -> None:
    """Write the pictures, or the named ones."""
    draw = {
        "moving_lesson": lesson_picture,
        "moving_filter": filter_picture,
        "moving_digit": digit_picture,
        "moving_run": run_picture,
    }
    for name in sys.argv[1:] or PICTURES:
        for language in ("en", "pt"):
            file_of(name, language).write_text(draw[name](language), "utf-8")


if __name__ == "__main__":
    main()
