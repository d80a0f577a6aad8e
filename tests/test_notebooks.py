"""The notebooks: complete, the same code in both languages, and openable."""

import ast
import importlib.util
import io
import re
import subprocess
import sys
import tokenize
from pathlib import Path

import pytest

jupytext = pytest.importorskip("jupytext")
pytest.importorskip("nbclient")  # of the documents' packages

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "notebooks"
ENGLISH = sorted(path.name for path in FOLDER.glob("*.py"))
SOLUTIONS = [f"solutions/{name}" for name in ENGLISH]


def imported(name):
    path = ROOT / "scripts" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"{name}_script", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


script, chapters = imported("notebooks"), imported("chapters")


def cells(path, kind):
    return [cell.source for cell in jupytext.read(path).cells if cell.cell_type == kind]


def test_every_chapter_of_the_course_has_a_notebook_and_its_solutions():
    numbers = [name[:2] for name in ENGLISH]
    assert numbers == [f"{chapter:02}" for chapter in range(1, 17)]
    found = sorted(path.name for path in (FOLDER / "solutions").glob("*.py"))
    assert found == ENGLISH


@pytest.mark.parametrize("name", [*ENGLISH, *SOLUTIONS])
def test_code_cells_differ_in_their_words_only(name):
    both = [
        jupytext.read(path).cells for path in (FOLDER / name, FOLDER / "pt-BR" / name)
    ]
    for english, portuguese in zip(*both, strict=True):
        assert english.cell_type == portuguese.cell_type
        assert english.metadata.get("tags") == portuguese.metadata.get("tags")
        if english.cell_type == "code":
            chapters.merged(english.source, portuguese.source)  # raises otherwise


def test_merged_code_runs_once_and_prints_both_languages():
    english = "words = 'a loss'\nprint(f'{words:>8} of {2:.1f}')"
    portuguese = "words = 'um custo'\nprint(f'{words:>8} de {2:.1f}')"
    code = chapters.merged(english, portuguese)
    done = subprocess.run([sys.executable, "-c", chapters.PRELUDE + code],
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert done.stdout == "\x02  a loss of 2.0\x1fum custo de 2.0\x03\n"
    output = [{"output_type": "stream", "name": "stdout", "text": done.stdout}]
    assert [chapters._in_language(output, n)[0]["text"] for n in (0, 1)] == [
        "  a loss of 2.0\n", "um custo de 2.0\n",
    ]  # fmt: skip
    with pytest.raises(ValueError, match="codes differ"):
        chapters.merged("print('a', 1)", "print('b', 2)")


@pytest.mark.parametrize("name", ENGLISH)
def test_what_a_portuguese_notebook_says_in_its_code_is_portuguese(name):
    english, portuguese = (
        {words for cell in jupytext.read(path).cells
         if cell.cell_type == "code" and "check" not in cell.metadata.get("tags", ())
         for words in comments_and_docstrings(cell.source)}
        for path in (FOLDER / name, FOLDER / "pt-BR" / name)
    )  # fmt: skip
    left = {
        text for text in english & portuguese if len(re.findall("[a-z]{2,}", text)) > 3
    }
    assert not left


def comments_and_docstrings(code):
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        if token.type == tokenize.COMMENT and "fmt:" not in token.string:
            yield token.string
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.FunctionDef) and ast.get_docstring(node):
            yield ast.get_docstring(node)


@pytest.mark.parametrize("name", ENGLISH)
def test_a_readers_notebook_holds_no_expectation_of_ours(name):
    for folder in (FOLDER, FOLDER / "pt-BR"):
        for cell in script.generated(folder / name, None, "notebooks").cells:
            assert "check" not in cell.metadata.get("tags", ())
            if cell.cell_type == "code" and not cell.source.startswith("%"):
                tree = ast.parse(cell.source)
                assert not any(isinstance(node, ast.Assert) for node in tree.body)


def test_every_slide_of_the_lecture_has_its_chapter_and_cell():
    rows = re.findall(
        r"^\| (.+?) \| \[(\d+)\]\(chapters/(\w+)\.md\) \| (.+?) \|$",
        (ROOT / "docs/lecture.md").read_text("utf-8"), re.MULTILINE,
    )  # fmt: skip
    assert len(rows) >= 38
    for slide, number, chapter, heading in rows:
        assert chapter.startswith(f"{int(number):02}_"), slide
        text = "\n".join(cells(FOLDER / f"{chapter}.py", "markdown"))
        assert re.search(rf"^##? {re.escape(heading)}$", text, re.MULTILINE), slide
    # The course's fifteen chapters are all on a slide; the last is the pipeline.
    assert {int(number) for _, number, _, _ in rows} == {*range(1, 16)}


@pytest.mark.parametrize("name", [*ENGLISH, *SOLUTIONS])
def test_no_paragraph_is_left_untranslated(name):
    english = set(cells(FOLDER / name, "markdown"))
    # A heading may be the same word in both languages, a paragraph may not.
    same = [
        text
        for text in cells(FOLDER / "pt-BR" / name, "markdown")
        if text in english and len(text.split()) > 4
    ]
    assert not same


def test_portuguese_has_the_terms_of_the_course():
    text = "\n".join(path.read_text() for path in (FOLDER / "pt-BR").rglob("*.py"))
    words = re.sub(r"[\s#]+", " ", text)
    for term in (
        "campo local induzido",
        "gradiente local",
        "regra delta",
        "descida mais íngreme",
        "taxa de aprendizagem",
        "função de custo",
        "filtragem adaptativa",
    ):
        assert term in words, term
    assert "taxa de aprendizado" not in words


@pytest.mark.parametrize("name", ENGLISH)
def test_a_notebook_begins_with_imports_and_ends_with_three_exercises(name):
    code = cells(FOLDER / name, "code")
    first = ast.parse(code[0]).body
    while first and isinstance(first[-1], ast.Expr):  # plt.show()
        first.pop()
    assert all(isinstance(node, ast.Import | ast.ImportFrom) for node in first)
    number = name[:2]
    wanted = [f"{number}.{exercise}" for exercise in (1, 2, 3)]
    assert re.findall(r'^check\("([\d.]+)", None\)  # \S', code[-1], re.M) == wanted
    assert re.search(r"plt\.show|display\(", code[-2])  # a picture at the end
    for cell in code[1:]:  # every picture speaks the reader's language
        assert ("plt.show()" in cell) <= ("in_language(figure, language)" in cell)
    for folder, heading in ((FOLDER, "Exercises"), (FOLDER / "pt-BR", "Exercícios")):
        texts = cells(folder / name, "markdown")
        question = re.search(r"^\*\*(.+?)\*\*$", texts[0], re.M | re.S)
        assert question and question[1].endswith("?")  # what the chapter answers
        assert texts[-1].startswith(f"## {heading}")
        assert re.findall(r"^(\d)\. ", texts[-1], re.MULTILINE) == ["1", "2", "3"]
        solved = "\n".join(cells(folder / "solutions" / name, "markdown"))
        assert re.findall(r"^\*\*(\d)\.\*\*", solved, re.MULTILINE) == ["1", "2", "3"]
        proved = "\n".join(cells(folder / "solutions" / name, "code"))
        assert re.findall(r'^ *assert check\("([\d.]+)"', proved, re.M) == wanted


@pytest.mark.parametrize("name", ENGLISH)
def test_what_a_reader_varies_is_compared_and_not_asserted(name):
    for cell in script.generated(FOLDER / name, None, "notebooks").cells:
        if cell.cell_type == "code":
            assert not re.search(r"^\s*assert |np\.testing", cell.source, re.M)


def test_the_script_writes_notebooks_that_are_valid_and_without_outputs(tmp_path):
    import nbformat

    subprocess.run([sys.executable, script.__file__, tmp_path], check=True)
    written = sorted(tmp_path.rglob("*.ipynb"))
    assert len(written) == 4 * 16
    for path in written:
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        assert not any(cell.outputs for cell in code)
        portuguese = "pt-BR" in path.parts
        first = [cell.source for cell in code[:2]]
        assert ("%env DLKERAS_LANGUAGE=pt" in first) == portuguese


@pytest.mark.parametrize("folder", [FOLDER, FOLDER / "pt-BR"])
def test_a_notebook_ends_with_links_that_lead_somewhere(folder, tmp_path):
    for name in ENGLISH:
        last = script.generated(folder / name, None, "notebooks").cells[-1].source
        links = re.findall(r"\]\(([^)]+)\)", last)
        files = [link for link in links if not link.startswith("https://")]
        assert len(files) == (1 if name.startswith("16") else 2)
        for link in files:
            assert (folder / link).with_suffix(".py").exists(), (name, link)
        assert any(link.startswith("https://") for link in links)  # a paper
        page = re.findall(r"`(docs/[\w/]+\.md)`", last)
        assert len(page) == 1 and (ROOT / page[0]).exists(), name  # the library's


def test_the_badge_leads_to_the_notebook_on_its_branch():
    path = FOLDER / "pt-BR" / "02_unconstrained_optimization.py"
    text = script.opening(path, "someone/something", "notebooks")
    assert re.search(r"^\*\d+ minutos de leitura", text, re.M)
    # https://colab.research.google.com/github/OWNER/NAME/blob/BRANCH/PATH opens a file
    assert (
        "https://colab.research.google.com/github/someone/something/blob/notebooks/"
        "pt-BR/02_unconstrained_optimization.ipynb" in text
    )
    assert "Abrir no Colab" in text
    assert "localhost:8888/lab/tree/pt-BR/02_unconstrained" in text
    assert "colab" not in script.opening(path, None, "notebooks")


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("https://github.com/some-one/some.thing.git", "some-one/some.thing"),
        ("https://github.com/someone/something/", "someone/something"),
        ("https://user:token@github.com/someone/something", "someone/something"),
        ("git@github.com:someone/something.git", "someone/something"),
        ("ssh://git@github.com/someone/something", "someone/something"),
        ("https://gitlab.com/someone/something", None),
        ("https://example.org/github.com/someone", None),
        ("/srv/git/something.git", None),
    ],
)
def test_only_an_address_on_github_names_a_repository(address, name):
    assert script.on_github(address) == name


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A repository of one commit, which the script takes for the project's."""
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "someone")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "someone@example.org")
    folder = tmp_path / "clone"
    folder.mkdir()
    (folder / "pyproject.toml").write_text('[project]\nname = "dlkeras"\n')
    (folder / ".gitignore").write_text("*.ipynb\nbuild\n")
    monkeypatch.setattr(script, "ROOT", folder)
    script.git("init", "--quiet")
    script.git("add", ".")
    script.git("commit", "--quiet", "-m", "first")
    return folder


def test_the_repository_is_origin_unless_pyproject_names_it(clone):
    assert script.repository() is None  # no address is known, and none is invented
    script.git("remote", "add", "origin", "git@github.com:someone/fork.git")
    assert script.repository() == "someone/fork"
    (clone / "pyproject.toml").write_text(
        '[project.urls]\nRepository = "https://github.com/someone/something"\n'
    )
    assert script.repository() == "someone/something"


def test_notebooks_are_committed_on_a_branch_of_their_own(clone):
    written = clone / "build" / "notebooks"
    (written / "pt-BR" / ".ipynb_checkpoints").mkdir(parents=True)
    for name in ("01.ipynb", "pt-BR/01.ipynb", "pt-BR/.ipynb_checkpoints/01.ipynb"):
        (written / name).write_text("{}")
    (written / "data.csv").write_text("1")
    before = script.git("status", "--porcelain"), script.git("rev-parse", "HEAD")
    for _ in range(2):  # a new branch, and then a commit on top of the last
        script.commit(written, "published")
    listed = script.git("ls-tree", "-r", "--name-only", "published")
    assert listed.split() == ["01.ipynb", "pt-BR/01.ipynb"]
    assert script.git("rev-list", "--count", "published") == "2"
    assert before == (script.git("status", "--porcelain"),
                      script.git("rev-parse", "HEAD"))  # fmt: skip


def test_a_notebook_says_how_to_install_the_project_and_does_so_in_colab():
    source = FOLDER / "06_vanishing_gradients.py"
    here = script.generated(source, None, "notebooks")
    there = script.generated(source, "someone/something", "notebooks")
    wanted = "pip install '.[tensorflow,visualization]' jupyterlab scikit-learn pillow"
    for notebook in (here, there):
        assert wanted in notebook.cells[0].source
        assert "in the project's folder" in notebook.cells[0].source
    first = [
        next(cell.source for cell in notebook.cells if cell.cell_type == "code")
        for notebook in (here, there)
    ]
    assert "pip" not in first[0]
    # A direct reference of PEP 508, since no package index has the project.
    assert (
        "%pip install 'dlkeras[tensorflow,visualization] @ "
        "git+https://github.com/someone/something' jupyterlab" in first[1]
    )
    assert 'find_spec("dlkeras") is None' in first[1]
    assert "needs TensorFlow" not in here.cells[0].source
    first = script.generated(FOLDER / "16_pipeline.py", None, "notebooks").cells[0]
    assert "needs TensorFlow" in first.source
    pipeline = script.requirements(FOLDER / "16_pipeline.py")
    assert pipeline == "pip install '.[pipeline]' jupyterlab"
