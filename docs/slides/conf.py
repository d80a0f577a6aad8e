"""Settings of the slides, which `make slides` builds.

Each chapter becomes slides of reveal.js, which sphinx-revealjs brings; nothing comes
from another host. Formulas are MathML, as on the site.
"""

import importlib.util
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
_spec = importlib.util.spec_from_file_location("site_conf", HERE.parent / "conf.py")
assert _spec and _spec.loader
site = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(site)

project = "dlkeras"
author = site.author
extensions = ["myst_parser", "sphinx_revealjs"]
myst_enable_extensions = ["dollarmath", "deflist", "fieldlist", "attrs_inline"]
myst_disable_syntax = site.myst_disable_syntax
suppress_warnings = ["myst.strikethrough", "myst.header", "toc.not_included"]
default_role = "code"
pygments_style = "friendly"

revealjs_style_theme = "white"
revealjs_static_path = ["_static"]
revealjs_css_files = ["slides.css"]
revealjs_script_conf = {
    "width": 1280, "height": 720, "margin": 0.04, "hash": True, "center": False,
    "slideNumber": "c/t", "transition": "none", "navigationMode": "linear",
}  # fmt: skip
revealjs_script_plugins = [
    {"name": "RevealNotes", "src": "revealjs/plugin/notes/notes.js"},
    {"name": "RevealZoom", "src": "revealjs/plugin/zoom/zoom.js"},
]
html_show_sphinx = False
html_copy_source = False
html_math_renderer = "mathml"


def _slides(app: Any) -> None:
    import slide_pages

    slide_pages.write(Path(app.srcdir))


def setup(app: Any) -> None:
    """Write the slides' sources first, and formulas as on the site."""
    app.connect("builder-inited", _slides)
    app.connect("doctree-resolved", site._bind)
    app.add_html_math_renderer("mathml", (site._inline, None), (site._display, None))
