"""Chapters as readers change them: an exercise done in place runs to the last picture.

`make solutions` runs this file, in turn. Each variation is executed in this process,
from the notebook that a reader gets, with its trainings cut short.
"""

import importlib.util
import os
from pathlib import Path

import pytest

jupytext = pytest.importorskip("jupytext")
pytestmark = pytest.mark.rotates

ROOT = Path(__file__).parent.parent.parent
_spec = importlib.util.spec_from_file_location(
    "notebooks_script", ROOT / "scripts" / "notebooks.py"
)
notebooks = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(notebooks)

SHORT = {  # what only costs time
    "01": [("runs, steps = 400, 500", "runs, steps = 20, 400")],
    "07": [("EPOCHS, SEEDS = 5, 60, 6", "EPOCHS, SEEDS = 2, 3, 2")],
    "08": [("COPIES, SEEDS = 10, 10, 4", "COPIES, SEEDS = 2, 2, 2"),
           ("epochs=8", "epochs=1")],
    "15": [("range(3)", "range(2)"), ("epochs=6", "epochs=1")],
}  # fmt: skip
VARIATIONS = {
    "01 three taps": [("eta, taps = 0.02, 4", "eta, taps = 0.02, 3")],
    "01 six taps": [("eta, taps = 0.02, 4", "eta, taps = 0.02, 6")],
    "01 the channel changes": [
        ("np.sqrt(noise_power) * random.normal(size=2000)",
         "np.sqrt(noise_power) * random.normal(size=2000)\nd[1000:] *= -1"),
    ],
    "01 coloured input": [
        ("x = random.normal(size=2000)",
         "x = random.normal(size=2000)\nx[1:] += 0.9 * x[:-1]"),
    ],
    "02 noise": [("d = x @ [5.0, 3.0]",
                  "d = x @ [5.0, 3.0] + 2 * random.normal(size=200)")],
    "02 nearly equal inputs": [
        ("d = x @ [5.0, 3.0]",
         "x[:, 1] = x[:, 0] + 0.05 * random.normal(size=200)\nd = x @ [5.0, 3.0]"),
    ],
    "02 a larger step": [("eta = 0.4", "eta = 1.1")],
    "03 a narrow valley": [("[[1, 0.5], [0.5, 1]]", "[[1, 0.95], [0.95, 1]]")],
    "04 one more function": [
        ('    "tanh": np.tanh,\n', '    "tanh": np.tanh,\n'
         '    "softplus": lambda v: np.log1p(np.exp(v)),\n'),
        ('    "tanh": lambda v, y: 1 - y**2,\n', '    "tanh": lambda v, y: 1 - y**2,\n'
         '    "softplus": lambda v, y: 1 / (1 + np.exp(-v)),\n'),
        ('    "tanh": "tanh",\n', '    "tanh": "tanh",\n    "softplus": "softplus",\n'),
    ],
    "04 a leakier ReLU": [("alpha = 0.01", "alpha = 0.3")],
    "05 tanh at the output": [
        ('Dense(1, "sigmoid"', 'Dense(1, "tanh"'),
        ("[[0], [1], [1], [0]]", "[[-1], [1], [1], [-1]]"),
        ("y2 = 1 / (1 + np.exp(-v2))", "y2 = np.tanh(v2)"),
        ("delta2 = e * y2 * (1 - y2)", "delta2 = e * (1 - y2**2)"),
    ],
    "05 a forgotten line": [('Dense(1, "sigmoid"', 'Dense(1, "tanh"')],
    "07 other rates": [("rates = (0.0, 0.5)", "rates = (0.0, 0.3, 0.6, 0.95)")],
    "08 too much": [("RandomTranslation(0.1, 0.1", "RandomTranslation(0.5, 0.5"),
                    ("RandomRotation(15 / 360, \"constant\", seed=2)",
                     "RandomRotation(90 / 360, \"constant\", seed=2)")],
    "08 flipped": [
        ("EXAMPLES, COPIES", "import sklearn.metrics\nEXAMPLES, COPIES"),
        ('None, "constant", seed=3),\n)',
         'None, "constant", seed=3),\n'
         '    keras.layers.RandomFlip("horizontal", seed=5),\n)'),
        ("    return [\n        100 *",
         "    print(sklearn.metrics.confusion_matrix(digits.target[rest],\n"
         "        model.predict(images[rest], verbose=0).argmax(axis=1)))\n"
         "    return [\n        100 *"),
    ],
    "08 more examples": [("COPIES, SEEDS = 10, 10, 4", "COPIES, SEEDS = 80, 2, 2")],
    "09 other sizes": [("((5, 7), (6, 8))", "((8, 8), (9, 4))")],
    "09 a filter of 5x5": [("size=(3, 3, 1)", "size=(5, 5, 1)"),
                           ("((5, 7), (6, 8))", "((6, 8),)")],
    "10 pooling of 16": [('MaxPooling2D(8)', 'MaxPooling2D(16)')],
    "11 three epochs": [("epochs=12", "epochs=3")],
    "14 other depths": [
        ("((1, False), (5, False), (1, True), (5, True))", "((2, False), (2, True))"),
        ("epochs=4", "epochs=1"), ("epochs=5", "epochs=1"),
    ],
    "15 two labels": [("(1, 4, 15)", "(2,)")],
}  # fmt: skip


def cells(chapter, changes):
    """The code of a reader's notebook, changed."""
    source = next((ROOT / "notebooks").glob(f"{chapter}_*.py"))
    code = [
        cell.source
        for cell in notebooks.generated(source, None, "notebooks").cells
        if cell.cell_type == "code"
    ]
    for old, new in changes:
        assert any(old in cell for cell in code), old
        code = [cell.replace(old, new) for cell in code]
    return source, code


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", VARIATIONS)
def test_a_chapter_runs_as_a_reader_changes_it(name, monkeypatch, capsys):
    plt = pytest.importorskip("matplotlib.pyplot")
    monkeypatch.setitem(os.environ, "MPLBACKEND", "Agg")
    plt.switch_backend("Agg")
    chapter = name[:2]
    short = [pair for pair in SHORT.get(chapter, []) if pair[0] not in
             {old for old, _ in VARIATIONS[name]}]  # fmt: skip
    source, code = cells(chapter, [*VARIATIONS[name], *short])
    known = {"__name__": "chapter"}
    for cell in code:
        exec(compile(cell, str(source), "exec"), known)
    plt.close("all")
    if name == "05 a forgotten line":  # said, and not thrown
        assert "NOT the library's" in capsys.readouterr().out
