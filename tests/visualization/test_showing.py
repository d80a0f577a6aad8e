"""A figure is seen: in a fresh notebook, from a script, in the caller's own Axes."""

import base64
import inspect
import io
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import matplotlib
import nbformat
import numpy as np
import pytest
from matplotlib import pyplot as plt
from PIL import Image

from dlkeras import visualization as show

NotebookClient = pytest.importorskip("nbclient").NotebookClient  # of the documents'
ROOT = Path(__file__).parents[2]
CELLS = [
    "from dlkeras.visualization import learning_curves\n"
    "learning_curves({'loss': [1.0, 0.5]})",
    "figure = learning_curves({'loss': [1.0, 0.5]})\ndisplay(figure)",
    "figure.show()",
    "import matplotlib.pyplot as plt\n"
    "axis = plt.subplots()[1]\n"
    "learning_curves({'loss': [1.0, 0.5]}, ax=axis)\nplt.show()",
    "learning_curves({'loss': [1.0, 0.5]})",  # where pyplot draws inline
]


def test_a_figure_is_a_picture_in_a_fresh_notebook(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("MPLBACKEND", raising=False)
    cells = [nbformat.v4.new_code_cell(code) for code in CELLS]
    notebook = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    for cell in notebook.cells:
        pictures = [
            o.data for o in cell.outputs if "data" in o and "image/png" in o.data
        ]
        assert len(pictures) == 1, cell.source  # one, not two
        image = Image.open(io.BytesIO(base64.b64decode(pictures[0]["image/png"])))
        assert np.asarray(image.convert("L")).std() > 5, cell.source  # ink on paper
    for cell in notebook.cells[:3]:
        assert "<svg" in cell.outputs[0].data["image/svg+xml"]


WINDOW = """
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backend_bases import FigureManagerBase
from matplotlib import _pylab_helpers

class FigureManager(FigureManagerBase):
    @classmethod
    def pyplot_show(cls, *, block=None):
        for manager in _pylab_helpers.Gcf.get_all_fig_managers():
            manager.canvas.figure.savefig("window.png")

class FigureCanvas(FigureCanvasAgg):
    manager_class = FigureManager
"""


def test_show_opens_a_window_from_a_script(tmp_path):
    (tmp_path / "window.py").write_text(WINDOW)
    code = (
        "from dlkeras.visualization import learning_curves\n"
        "figure = learning_curves({'loss': [1.0, 0.5]})\n"
        "figure.show()\nfigure.savefig('again.svg')\n"
    )
    environment = {
        **os.environ,
        "MPLBACKEND": "module://window",
        "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}",
    }
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True,
                   env=environment)  # fmt: skip
    assert np.asarray(Image.open(tmp_path / "window.png").convert("L")).std() > 5
    assert ElementTree.parse(tmp_path / "again.svg").getroot().tag.endswith("svg")


def test_show_says_in_one_line_that_there_is_no_window(tmp_path):
    code = (
        "from dlkeras.visualization import learning_curves\n"
        "learning_curves({'loss': [1.0, 0.5]}).show()\n"
        "from matplotlib import pyplot; print(pyplot.get_fignums())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, text=True, capture_output=True,
        env={**os.environ, "MPLBACKEND": "agg", "PYTHONPATH": str(ROOT)}, check=True,
    )  # fmt: skip
    said = [line for line in done.stderr.splitlines() if "window" in line]
    (line,) = said
    assert line.startswith("<string>:2: UserWarning: No window can be opened")
    assert "savefig('figure.png') writes the picture" in line
    assert done.stdout.strip() == "[]"


def test_a_large_figure_has_no_svg_in_a_notebook():
    draw = np.random.default_rng(0)
    sizes = {f"split {n}": draw.integers(1, 999, (3000, 2)) for n in range(5)}
    assert show.image_sizes(sizes)._repr_svg_() is None
    assert show.image_sizes(sizes)._repr_png_().startswith(b"\x89PNG")


HISTORY = {"loss": [1.0, 0.5], "accuracy": [0.1, 0.8]}


def test_figures_draw_into_the_axes_of_the_caller():
    figure, (left, right) = plt.subplots(1, 2, layout="constrained")
    left.set_title("mine: 0.5")
    matrix = [[5, 1], [0, 6]]
    assert show.confusion_matrix(matrix, ["a", "b"], ax=right, language="pt") is figure
    assert right.images and right.get_title().startswith("1 de 12")
    assert left.get_title() == "mine: 0.5"  # nobody else's numbers are turned
    both, axes = plt.subplots(1, 2)
    assert show.learning_curves(HISTORY, ax=axes) is both
    assert [axis.get_ylabel() for axis in axes] == ["loss", "accuracy"]
    divided, (first, _) = plt.subplots(1, 2, layout="constrained")
    assert show.learning_curves(HISTORY, ax=first) is divided
    (part,) = divided.subfigs
    assert [axis.get_ylabel() for axis in part.axes] == ["loss", "accuracy"]
    divided.draw_without_rendering()
    assert part.bbox.width < 0.6 * divided.bbox.width
    plt.close("all")
    with pytest.raises(TypeError, match=r"ax must be matplotlib Axes.*'str'"):
        show.learning_curves(HISTORY, ax="left")
    with pytest.raises(ValueError, match=r"or 2 Axes\. Received: 3 Axes"):
        show.learning_curves(HISTORY, ax=matplotlib.figure.Figure().subplots(3))


def test_a_size_is_taken_and_a_wrong_one_refused():
    figure = show.learning_curves(HISTORY, figsize=(4, 2))
    assert figure.get_size_inches().tolist() == [4, 2]
    for wrong in ((4,), (0, 2), "ab", (4, "b")):
        with pytest.raises(ValueError, match="figsize must be width and height"):
            show.learning_curves(HISTORY, figsize=wrong)


def test_what_was_taken_by_position_still_is_with_a_warning():
    images = np.zeros((6, 4, 4, 1))
    with pytest.warns(FutureWarning, match="image_grid takes title=, columns= by name"):
        figure = show.image_grid(images, None, "Six", 3)
    assert figure.get_suptitle() == "Six"
    assert figure.axes[0].get_gridspec().ncols == 3
    with pytest.warns(FutureWarning, match="filters takes title= by name"):
        assert show.filters(np.zeros((2, 2, 1, 1)), "C1").get_suptitle() == "C1"


def test_everything_is_imported_by_a_star():
    namespace = {}
    exec("from dlkeras.visualization import *", namespace)
    assert {"grad_cam", "loss_along", "Box", "learning_curves"} <= namespace.keys()
    assert {*show.__all__} <= namespace.keys()


def test_title_language_size_and_axes_are_keywords_of_every_figure():
    shared = {"title", "language", "figsize", "ax"}
    for name in show.__all__:
        function = getattr(show, name)
        if getattr(function, "__wrapped__", None) is not None:
            parameters = inspect.signature(function).parameters
            kinds = {parameters[option].kind for option in shared}
            assert kinds == {inspect.Parameter.KEYWORD_ONLY}, name
