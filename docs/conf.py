"""Settings of the documentation, which Sphinx builds from the Markdown beside it.

    python -m sphinx -W --keep-going -n -b html docs site

Nothing in the pages comes from another host: fonts are the reader's own, and formulas
are MathML, which docutils writes and browsers read without a script.
"""

import inspect
import os
import re
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml

sys.path.insert(0, str(Path(__file__).parent))
import drawings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # autodoc imports it

project = "dlkeras"
author = "The dlkeras authors"
language = "en"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["images", "slides"]
suppress_warnings = ["myst.strikethrough"]

myst_enable_extensions = ["dollarmath", "deflist", "fieldlist"]
# A line of prose may begin with %: it is no comment.
myst_disable_syntax = ["myst_line_comment"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_default_options = {"members": False}
napoleon_google_docstring = True
napoleon_use_rtype = False
napoleon_custom_sections = [
    ("Call arguments", "params_style"),
    "Input shape",
    "Output shape",
    "Reference",
    ("Warns", "returns_style"),
]
# `x` in a docstring is code, as in Markdown.
default_role = "code"
# Types in docstrings are prose.
nitpick_ignore_regex = [("py:.*", ".*")]

html_theme = "furo"
html_title = "dlkeras"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_js_files = ["copy.js"]
html_theme_options = {"navigation_with_keys": True}
html_show_sphinx = False
html_show_copyright = False
html_copy_source = False


def _mathml(text: str, block: bool) -> str:
    # docutils takes 12 in \tfrac12 for one number.
    text = re.sub(r"(frac)(\d)(\d)", r"\1{\2}{\3}", text)
    tree = tex2mathml(text, as_block=block)
    # docutils would set the index of an accented letter below it.
    tree = re.sub(
        r'<munderover>\s*(<mi>\w+</mi>)\s*(<m[in]>\w+</m[in]>)'
        r'\s*(<mo stretchy="false">.</mo>)\s*</munderover>',
        r'<msub><mover accent="true">\1\3</mover>\2</msub>', tree,
    )  # fmt: skip
    if not re.search(r"\\(left|begin)", text):  # TeX stretches no other fences
        fence = r'<mo(?: class="\w+")?>([‖⌈⌉⌊⌋{}])</mo>'
        tree = re.sub(fence, r'<mo stretchy="false">\1</mo>', tree)
    return re.sub(r"\s*\n\s*", " ", tree)


def _inline(writer: Any, node: nodes.math) -> None:
    formula = _mathml(node.astext(), block=False)
    if after := node.get("after"):  # stays on the formula's line
        formula = f'<span class="formula">{formula}{after}</span>'
    writer.body.append(formula)
    raise nodes.SkipNode


def _bind(app: Any, doctree: nodes.document, page: str) -> None:
    """Keep a full stop or a comma on the line of the formula before it."""
    for formula in list(doctree.findall(nodes.math)):
        place = formula.parent.index(formula) + 1
        following = formula.parent[place : place + 1]
        if following and isinstance(following[0], nodes.Text):
            mark = re.match(r"[.,;:!?)]+", following[0])
            if mark:
                formula["after"] = mark[0]
                formula.parent[place] = nodes.Text(following[0][mark.end() :])


def _display(writer: Any, node: nodes.math_block) -> None:
    writer.body.append(
        f'<div class="math">{_mathml(node.astext(), block=True)}</div>\n'
    )
    raise nodes.SkipNode


def _as_rst(
    app: Any, what: str, name: str, obj: Any, options: Any, lines: list
) -> None:
    """Turn what docstrings have in Markdown into what Sphinx reads."""
    inside = False  # a fenced block
    for index, line in enumerate(lines):
        if line.strip().startswith("```"):
            indent = line.split("`")[0]
            lines[index] = "" if inside else f"{indent}.. code-block:: python"
            inside = not inside
        elif inside and line.strip():
            lines[index] = f"    {line}"
        elif not line.startswith("    "):  # not code
            # |e|^2 would be a substitution
            lines[index] = re.sub(r"(?<![`\\])\|(\w)", r"\\|\1", line)
    if any(".. code-block:: python" in line for line in lines):
        place = next(i for i, line in enumerate(lines) if "code-block" in line)
        lines.insert(place + 1, "")


def _as_section(
    app: Any, what: str, name: str, obj: Any, options: Any, lines: list
) -> None:
    """Indent an example that begins right below its heading: a section for napoleon."""
    inside = False
    for index, line in enumerate(lines):
        if line.startswith(">>>"):
            inside = inside or lines[index - 1] == "Example:"
        elif line and not lines[index - 1]:  # prose, or the next section
            inside = False
        if inside and line:
            lines[index] = f"    {line}"


def _signature(
    app: Any, what: str, name: str, obj: Any, options: Any, shown: str, returns: str
) -> tuple[str, str] | None:
    """Show a layer's own arguments: Keras's `__new__` hides them from autodoc."""
    if what != "class" or not (shown or "").startswith("(*args"):
        return None
    own = inspect.signature(obj.__init__)
    arguments = [
        argument.replace(annotation=inspect.Parameter.empty)
        for argument in list(own.parameters.values())[1:]
    ]
    own = own.replace(parameters=arguments, return_annotation=own.empty)
    return str(own), returns


def _chapters(app: Any) -> None:
    """Write the chapters of the course as pages, before Sphinx looks for pages."""
    import chapter_pages

    chapter_pages.write()


def setup(app: Any) -> None:
    """Register the formulas' writer, and what docstrings and signatures become."""
    app.connect("builder-inited", _chapters)
    app.connect("doctree-resolved", drawings.embed)
    app.connect("doctree-resolved", _bind)
    app.add_html_math_renderer("mathml", (_inline, None), (_display, None))
    app.connect("autodoc-process-docstring", _as_section, priority=400)  # napoleon: 500
    app.connect("autodoc-process-docstring", _as_rst)
    app.connect("autodoc-process-signature", _signature)


html_math_renderer = "mathml"

# The interactive pages: what they are, and how they come into the site.
sys.path.insert(0, str(Path(__file__).parent))
extensions.append("interactive_site")
