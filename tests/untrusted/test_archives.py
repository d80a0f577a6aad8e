"""From an archive come regular files and folders below its folder, or an error."""

import bz2
import gzip
import io
import lzma
import os
import tarfile
import zipfile

import pytest

from dlkeras.untrusted.archives import unpack
from tests.untrusted.hostile_archives import archives
from tests.untrusted.own_process import tried

# The process takes 20 MiB to start.
MOST_MIB = 60


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with `outside/there`, the archives, and where they are unpacked."""
    place = tmp_path_factory.mktemp("place")
    for name in ("outside", "archives", "unpacked"):
        (place / name).mkdir()
    (place / "outside" / "there").write_text("untouched")
    return place


@pytest.fixture(scope="module")
def answers(place):
    files = []
    for name, make in archives(place / "outside").items():
        files.append(place / "archives" / name)
        files[-1].write_bytes(make())
    imports = f"""
import os, tempfile
from dlkeras.untrusted.archives import unpack
os.chdir({str(place / "unpacked")!r})
"""
    return tried(imports, "unpack(path, tempfile.mkdtemp(dir='.'))", files)


def test_no_hostile_archive_takes_memory_or_time(answers):
    assert len(answers) > 40
    for name, (said, mib, seconds) in answers.items():
        assert said.startswith("UntrustedFileError: "), (name, said)
        assert "\n" not in said and len(said) < 500, name
        assert mib < MOST_MIB, name
        assert seconds < 30, name


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("path_max.tar", "'a' is a link, pack the file it leads to"),
        ("hard_link.tar", "'a' is a link"),
        ("link.zip", "'cat' is a link"),
        ("device.tar", "'cat/a.png' is a device"),
        ("up.zip", "it has '../planted'"),
        ("twice.tar", "it has './cat//a' twice"),
        ("sparse.tar", "'cat/a.png' is a sparse file"),
        ("bomb.tar.gz", "unpacks to more than"),
        ("headers.tar.gz", "headers of more than"),
        ("short_records.tar", "damaged headers"),
        ("digits.tar", "a number without end in its headers"),
        ("long_records.tar", "headers of more than 65,536 bytes"),
        ("members.zip", "it has more than 2,000,000 files"),
        ("overlaps.zip", "unpacks to more than"),
        ("damaged_header.tar", "it is damaged or cut short at byte"),
        ("cut.tar.xz", "cut short"),
    ],
)
def test_the_error_says_what_is_wrong(answers, name, reason):
    assert reason in answers[name][0]


def test_nothing_is_written_outside_and_no_link_is_made(answers, place):
    assert os.listdir(place / "outside") == ["there"]
    assert (place / "outside" / "there").read_text() == "untouched"
    for folder, folders, files in os.walk(place / "unpacked"):
        for name in (*folders, *files):
            path = os.path.join(folder, name)
            assert os.path.isdir(path) or os.path.isfile(path)
            assert not os.path.islink(path)
            assert os.stat(path).st_nlink == 1 or os.path.isdir(path)


CONTENT = {
    "cat/é 1.png": b"one",
    "cat/empty.png": b"",
    "dog/2.png": os.urandom(3 * 2**20),
}
# More than the old forms of tar take.
LONG = {
    "1" * 255 + "/" + "2" * 250: b"digits",
    "cat/" + "/".join(["é" * 120] * 15): b"most of what a system takes",
}


def _zip(packed):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", packed) as archive:
        archive.mkdir("none")
        for name, body in CONTENT.items():
            archive.writestr(name, body)
    return buffer.getvalue()


def _tar(form):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for name in (".", "./none"):
            member = tarfile.TarInfo(name)
            member.type = tarfile.DIRTYPE
            archive.addfile(member)
        content = CONTENT if form == tarfile.USTAR_FORMAT else CONTENT | LONG
        for name, body in content.items():
            member = tarfile.TarInfo(f"./{name}")
            member.size = len(body)
            archive.addfile(member, io.BytesIO(body))
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        _zip(zipfile.ZIP_STORED),
        _zip(zipfile.ZIP_DEFLATED),
        _tar(tarfile.USTAR_FORMAT),
        _tar(tarfile.GNU_FORMAT),
        gzip.compress(_tar(tarfile.PAX_FORMAT)),
        bz2.compress(_tar(tarfile.PAX_FORMAT)),
        lzma.compress(_tar(tarfile.PAX_FORMAT)),
        lzma.compress(_tar(tarfile.PAX_FORMAT), lzma.FORMAT_ALONE),
    ],
    ids=["zip", "deflate", "ustar", "gnu", "gz", "bz2", "xz", "lzma"],
)
def test_every_kind_of_archive_gives_its_files_and_folders(content, tmp_path):
    (tmp_path / "archive").write_bytes(content)
    target = tmp_path / "target"
    target.mkdir()
    unpack(tmp_path / "archive", target)
    for name, body in CONTENT.items():
        assert (target / name).read_bytes() == body
    for name, body in LONG.items() if (target / ("1" * 255)).exists() else ():
        assert (target / name).read_bytes() == body
    tops = {path.name for path in target.iterdir()} - {"1" * 255}
    assert tops == {"cat", "dog", "none"}
