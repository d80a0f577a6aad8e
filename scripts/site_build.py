"""Builds the site into build/site where its sources changed: `scripts/site_build.py`.

`--slides` builds the slides alone, into build/slides. `make docs` and the tests that
read the site share this one build. Most of the time of a first one are the chapters,
which `scripts/chapters.py` runs and whose outputs it keeps; Sphinx reads only what has
changed.
"""

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock

ROOT = Path(__file__).parent.parent
SITE = ROOT / "build" / "site"
STAMP = ROOT / "build" / "site.sha256"
GENERATED = {"chapters", "capitulos", "__pycache__"}


def sources() -> Iterator[Path]:
    """Yield all files that the site is made from, in order."""
    for name in ("docs", "notebooks", "scripts", "dlkeras"):
        for path in sorted((ROOT / name).rglob("*")):
            if path.is_file() and not GENERATED & {*path.relative_to(ROOT).parts}:
                yield path


def digest() -> str:
    """Return the digest of all files that the site is made from."""
    found = hashlib.sha256()
    for path in sources():
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        found.update(f"{path.relative_to(ROOT)} {content}\n".encode())
    return found.hexdigest()


def build() -> Path:
    """Build the site unless it is there and nothing has changed; return its folder.

    Raises:
        RuntimeError: Sphinx warned; its words are in the message.
    """
    STAMP.parent.mkdir(exist_ok=True)
    with FileLock(f"{STAMP}.lock"):
        wanted = digest()
        if SITE.exists() and STAMP.exists() and STAMP.read_text() == wanted:
            return SITE
        STAMP.unlink(missing_ok=True)
        sphinx("-n", "-b", "html", "docs", SITE)
        slides(SITE / "slides")
        STAMP.write_text(wanted)
    return SITE


def slides(folder: Path) -> None:
    """Write the chapters as slides; the site's chapters link to them.

    Raises:
        RuntimeError: As `build`.
    """
    source = STAMP.parent / "slide_pages"
    source.mkdir(parents=True, exist_ok=True)
    sphinx("-b", "revealjs", "-c", "docs/slides", source, folder)
    for theme in (folder / "_static/revealjs/dist/theme").glob("*.css"):
        if theme.stem != "white":  # ours; some of the others ask for fonts elsewhere
            theme.unlink()


def sphinx(*arguments: str | Path) -> None:
    """Run Sphinx; its last argument is the folder that it writes."""
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", *arguments],
        cwd=ROOT, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
    )  # fmt: skip
    if done.returncode:
        # Sphinx would not read again, nor name, a page that it has warned about.
        kept = Path(arguments[-1], ".doctrees", "environment.pickle")
        kept.unlink(missing_ok=True)
        raise RuntimeError(done.stderr[-4000:])


if __name__ == "__main__":
    try:
        if sys.argv[1:] == ["--slides"]:
            slides(STAMP.parent / "slides")
            sys.path.insert(0, str(ROOT / "docs"))
            import interactive_pages

            interactive_pages.write(STAMP.parent / "interactive")  # slides open them
        else:
            build()
    except RuntimeError as warnings:
        sys.exit(str(warnings))
