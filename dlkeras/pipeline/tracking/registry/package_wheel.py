"""This package as a wheel, which travels with a registered model into its container."""

import base64
import hashlib
import importlib.metadata
import zipfile
from collections.abc import Iterator
from pathlib import Path

import dlkeras

# The first moment that a zip can hold: the same package gives the same bytes.
_MOMENT = (1980, 1, 1, 0, 0, 0)
_WHEEL = "Wheel-Version: 1.0\nGenerator: dlkeras\nRoot-Is-Purelib: true\nTag: {}\n"
_TAG = "py3-none-any"


def write_wheel(folder: Path) -> Path:
    """Write the package that runs here as a wheel that pip installs.

    A container is built where the package may be on no index.

    Args:
        folder: where to.

    Returns:
        The wheel.

    Example:
    >>> import tempfile
    >>> write_wheel(Path(tempfile.mkdtemp())).name.split("-")[0]
    'dlkeras'

    Reference:
        "Binary distribution format", packaging.python.org: the file `RECORD` lists the
        SHA-256 of every other one.
    """
    found = importlib.metadata.distribution("dlkeras")
    wheel = folder / f"dlkeras-{found.version}-{_TAG}.whl"
    info = f"dlkeras-{found.version}.dist-info"
    rows = []
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:

        def add(name: str, content: bytes) -> None:
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest())
            rows.append(f"{name},sha256={digest.decode().rstrip('=')},{len(content)}\n")
            archive.writestr(
                zipfile.ZipInfo(name, _MOMENT), content, archive.compression
            )

        root = Path(dlkeras.__file__).parent
        for file in _files(root):
            add(f"dlkeras/{file.relative_to(root).as_posix()}", file.read_bytes())
        for name in ("METADATA", "entry_points.txt"):
            if text := found.read_text(name):
                add(f"{info}/{name}", text.encode())
        add(f"{info}/WHEEL", _WHEEL.format(_TAG).encode())
        record = "".join(rows) + f"{info}/RECORD,,\n"
        listed = zipfile.ZipInfo(f"{info}/RECORD", _MOMENT)
        archive.writestr(listed, record, archive.compression)
    return wheel


def _files(root: Path) -> Iterator[Path]:
    """The files of the package, without what Python has compiled."""
    for path in sorted(root.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path
