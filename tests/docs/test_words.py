"""The words' linter: stiff words are found, code is left alone, the pages are clean."""

import contextlib
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("proselint", reason="needs proselint of the group docs")

ROOT = Path(__file__).parents[2]
_spec = importlib.util.spec_from_file_location("words", ROOT / "scripts" / "words.py")
words = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(words)


def found(monkeypatch, capsys, path):
    monkeypatch.setattr(words, "documents", lambda: iter([(path, "pt" in path.stem)]))
    monkeypatch.setattr(words, "ROOT", path.parent)
    with contextlib.suppress(SystemExit):
        words.main()
    return capsys.readouterr().out.splitlines()


def test_stiff_words_are_found_where_they_are_and_code_is_not_read(
    tmp_path, monkeypatch, capsys
):
    page = tmp_path / "page.md"
    page.write_text(
        "# A page\n\nRun it in order to see it.\n\n```\nin order to\n```\n"
        "What stands\nbefore, `anew` and $anew$, is made anew.\n"
    )
    assert found(monkeypatch, capsys, page) == [
        "page.md:3: say it another way (to). Found: in order to",
        "page.md:8: say it another way (what is). Found: What stands",
        "page.md:9: say it another way (again). Found: anew",
    ]


def test_portuguese_has_a_list_of_its_own_and_notebooks_are_read_by_cell(
    tmp_path, monkeypatch, capsys
):
    notebook = tmp_path / "pt.py"
    notebook.write_text(
        "# %% [markdown]\n# Uma rede funda em vez de in order to.\n\n"
        "# %%\nx = 1  # uma rede funda\n"
    )
    assert found(monkeypatch, capsys, notebook) == [
        "pt.py:2: say it another way (rede profunda). Found: rede funda"
    ]


def test_the_library_is_read_by_its_docstrings_messages_and_comments(
    tmp_path, monkeypatch, capsys
):
    module = tmp_path / "module.py"
    module.write_text(
        '"""What stands in a file.\n\n    >>> anew = "anew"  # anew\n"""\n'
        "anew = 1  # made anew\n"
        'raise ValueError(f"{anew} is there, in order "\n'
        '                 "to see it")\n'
    )
    assert found(monkeypatch, capsys, module) == [
        "module.py:1: say it another way (what is). Found: What stands",
        "module.py:5: say it another way (again). Found: anew",
        "module.py:6: say it another way (to). Found: in order to",
    ]


def test_what_readers_read_is_clean():
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "words.py"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout
