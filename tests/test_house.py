"""The project's house: what is packaged, documented and locked is what is there."""

import importlib.util
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def test_wheel_and_sdist_build_with_the_type_marker(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", tmp_path, ROOT],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "dlkeras/py.typed" in names
    assert "dlkeras/pipeline/graph.py" in names
    assert "dlkeras/testing/course_exercises.toml" in names
    assert not [name for name in names if name.startswith(("tests", "pipelines"))]
    (sdist,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        assert any(n.endswith("pipelines/lenet5_digits.py") for n in archive.getnames())


def test_importing_the_package_imports_no_backend():
    code = (
        "import sys, dlkeras, dlkeras.pipeline\n"
        "print(sorted({'tensorflow', 'jax', 'torch', 'mlflow', 'keras'} "
        "& set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_an_unknown_part_of_the_package_is_an_attribute_error():
    import dlkeras

    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        dlkeras.nothing  # noqa: B018


def test_every_dependency_is_locked_with_hashes():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lock = (ROOT / "requirements" / "run.txt").read_text()
    wanted = project["dependencies"] + project["optional-dependencies"]["pipeline"]
    for requirement in wanted:
        name = re.match(r"[A-Za-z0-9-]+", requirement).group()
        if name != "dlkeras":
            assert re.search(rf"^{name}==\S+ .*\\\n    --hash=sha256:", lock, re.M), (
                name
            )


def test_every_source_file_opens_with_a_sentence():
    for folder in ("dlkeras", "pipelines", "tests", "benchmarks", "notebooks"):
        for file in (ROOT / folder).rglob("*.py"):
            first = file.read_text(encoding="utf-8").splitlines()[0]
            assert re.match(r'("""|# ).+', first), file


def test_no_file_of_the_package_is_longer_than_400_lines():
    """Files that a reader finishes in one sitting."""
    for file in (ROOT / "dlkeras").rglob("*.py"):
        lines = len(file.read_text(encoding="utf-8").splitlines())
        assert lines <= 400, (file, lines)


def test_links_in_the_documents_lead_to_files():
    for document in (
        "README.md",
        "README.pt-BR.md",
        "CONTRIBUTING.md",
        "mlruns/README.md",
    ):
        text = (ROOT / document).read_text(encoding="utf-8")
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", text):
            assert (ROOT / document).parent.joinpath(target).exists(), target


def test_the_picture_of_the_wings_is_drawn_from_todays_contracts():
    spec = importlib.util.spec_from_file_location(
        "architecture_picture", ROOT / "docs" / "architecture_picture.py"
    )
    picture = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(picture)
    drawn = picture.PICTURE.read_text(encoding="utf-8")
    assert drawn == picture.draw(), "python docs/architecture_picture.py draws it anew"


def test_no_wing_of_the_pipeline_the_figures_or_the_rules_has_more_than_14_rooms():
    others = [ROOT / "dlkeras" / name for name in ("visualization", "diagnosis")]
    wings = [folder for other in others for folder in other.glob("**")]
    for wing in [*(ROOT / "dlkeras" / "pipeline").rglob("*"), *wings]:
        if wing.is_dir() and wing.name != "__pycache__":
            rooms = {p.name for p in wing.iterdir()} - {"__init__.py", "__pycache__"}
            assert len(rooms) <= 14, (wing, sorted(rooms))


def test_a_file_of_tests_keeps_to_one_process(tmp_path):
    """Releases of pytest that xdist does not know yet take no notice of its groups."""
    (tmp_path / "conftest.py").write_text((ROOT / "conftest.py").read_text())
    tests = "import os, pytest\n@pytest.fixture(scope='module')\ndef made():\n"
    tests += f"    open(os.path.join({str(tmp_path)!r}, 'made'), 'a').write('x')\n"
    tests += "@pytest.mark.parametrize('n', range(20))\ndef test_it(made, n): ...\n"
    (tmp_path / "test_one.py").write_text(tests)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", "2", "--dist", "loadgroup", "-q"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    assert (tmp_path / "made").read_text() == "x"
