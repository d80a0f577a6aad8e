"""The page "Your photos": its commands are given, and answer what is written."""

import doctest
import re
import runpy
import shlex
from pathlib import Path

from dlkeras.pipeline.commands.command_line import main
from tests.conftest import ROOT
from tests.strangers.folders import Photos, messy

PAGE = ROOT / "docs" / "pipeline" / "your_photos.md"
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def annotations_are_moved(photos: Path) -> None:
    for file in photos.rglob("*.xml"):
        file.unlink()


def the_slip_is_mended(photos: Path) -> None:
    for file in (photos / "Cat").iterdir():
        file.rename(photos / "cat" / f"also {file.name}")
    (photos / "Cat").rmdir()


# What the page tells its reader to do after each answer.
MENDED = (
    annotations_are_moved,
    lambda photos: (photos / "dog" / "IMG_0030.jpg").unlink(),
    the_slip_is_mended,
    lambda photos: (photos / "dog" / "IMG_0031.jpg").unlink(),
)


def test_the_page_leads_from_a_messy_folder_to_a_clean_set(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    photos = messy(Photos(Path("photos")))
    blocks = re.findall(r"```console\n(.*?)```", PAGE.read_text("utf-8"), re.S)
    codes = []
    for number, block in enumerate(blocks):
        command, _, written = block.partition("\n")
        script, *arguments = shlex.split(command.removeprefix("$ python "))
        config = runpy.run_path(str(ROOT / script))["CONFIG"]
        codes.append(main(config, arguments))
        said = capsys.readouterr()
        answer = said.out + said.err
        checked = doctest.OutputChecker().check_output(written, answer, FLAGS)
        assert checked, f"{written}\n{answer}"
        for mend in MENDED[number : number + 1]:
            mend(photos)
    assert codes == [2, 2, 2, 2, 0]
