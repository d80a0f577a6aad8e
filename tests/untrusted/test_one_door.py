"""Nothing in the package opens archives, tables, arrays or images beside one door."""

import ast

from tests.conftest import ROOT

# What opens each kind, as its module's name and its own; "*": whatever the module has.
OPENERS = {
    "tarfile": "*",
    "zipfile": {"ZipFile", "is_zipfile"},
    "gzip": "*",
    "bz2": "*",
    "lzma": "*",
    "shutil": {"unpack_archive"},
    "np": {"load", "fromfile", "memmap", "genfromtxt", "loadtxt", "DataSource"},
    "numpy": {"load", "fromfile", "memmap", "genfromtxt", "loadtxt"},
    "pd": {"read_csv", "read_parquet", "read_table", "read_json", "read_excel",
           "read_feather", "read_hdf", "read_orc", "read_pickle", "read_xml"},
    "pq": "*",
    "pyarrow": {"parquet", "csv", "feather", "orc", "json"},
    "Image": {"open"},
    "imageio": "*",
    "plt": {"imread"},
}  # fmt: skip
# Files of the pipeline's own making, whose digests the store compares, and those of
# models, whose archives have a door of their own.
ALLOWED = {
    "pipeline/artifacts/types.py": "tables of its own artifacts",
    "pipeline/batches/batch_feeding.py": "batches of its own process, through a pipe",
    "pipeline/components/infra_validator.py": "questions of its own process",
    "pipeline/components/pusher.py": "questions of the artifact before it",
    "pipeline/training/train_state.py": "its own checkpoints, behind a SHA-256",
    "pipeline/tracking/tracker.py": "its own figures",
    "transfer/feature_cache.py": "features of its own cache",
}


def opened_in(file):
    """Where a file calls what opens a file of these kinds."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            names = OPENERS.get(node.value.id, ())
            if names == "*" or node.attr in names:
                yield f"{node.value.id}.{node.attr}"
        elif isinstance(node, ast.ImportFrom) and node.module in OPENERS:
            names = OPENERS[node.module]
            yield from (a.name for a in node.names if names == "*" or a.name in names)


def test_nothing_opens_strangers_files_beside_the_door():
    package, found = ROOT / "dlkeras", {}
    for file in sorted(package.rglob("*.py")):
        name = file.relative_to(package).as_posix()
        if opened := sorted(set(opened_in(file))):
            found[name] = opened
    inside = {name for name in found if name.startswith("untrusted/")}
    assert {"untrusted/archives.py", "untrusted/tables.py", "untrusted/images.py",
            "untrusted/tar_stream.py", "untrusted/zips.py"} <= inside  # fmt: skip
    beside = {name: found[name] for name in found.keys() - inside - ALLOWED.keys()}
    assert beside == {}


def test_one_file_alone_opens_zips():
    """Each zip is opened with a bound on its list of members."""
    opening = {
        file.name
        for file in (ROOT / "dlkeras" / "untrusted").glob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "zipfile.ZipFile"
    }
    assert opening == {"zips.py"}


def test_the_pipelines_read_images_through_the_door():
    for file in sorted((ROOT / "pipelines").glob("*.py")):
        assert not list(opened_in(file)), file
