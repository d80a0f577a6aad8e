"""Nothing in the package opens a file that a stranger may have made beside one door."""

import ast

from tests.conftest import ROOT

PACKAGE = ROOT / "dlkeras"
# What takes a path and reads what lies there, by its last name; those of modules with
# many, and those whose names mean other things elsewhere, by the module's as well.
OPENERS = frozenset(
    (
        "open", "read_bytes", "read_text", "unpack_archive", "ZipFile", "is_zipfile",
        "TarFile", "GzipFile", "BZ2File", "LZMAFile", "File", "load_model",
        "load_weights", "load_weights_from_file", "read_file", "GFile",
        "TFRecordDataset", "FixedLengthRecordDataset", "TextLineDataset",
        "ArrayRecordDataSource", "InferenceSession", "Interpreter", "ParquetFile",
        "builder_from_directory", "builder_from_directories", "imread", "fromfile",
        "memmap", "genfromtxt", "loadtxt", "safe_open", "load_file", "load_checkpoint",
        "from_file", "DataSource", "urlopen", "urlretrieve", "unsafe_load",
        "KerasFileEditor", "open_memmap", "TFSMLayer", "SourceFileLoader",
        "exec_module", "get_file", "image_dataset_from_directory",
        "load_img",
    )
)  # fmt: skip
OF_MODULES = {
    "load": ("np", "numpy", "torch", "pickle", "cloudpickle", "dill", "joblib", "yaml",
             "json", "tomllib", "marshal", "saved_model", "onnx", "Model"),
    "read_*": ("pd", "pandas", "pq", "feather", "orc", "csv", "pacsv", "pyarrow"),
    "connect": ("sqlite3",),
}  # fmt: skip
# Files that no stranger makes, and settings that the user names for this very run.
ALLOWED = {
    "the pipeline's own artifacts, behind a SHA-256": """
        pipeline/artifacts/types.py pipeline/serving/stranger.py
        pipeline/components/pusher.py pipeline/components/statistics_gen.py
        pipeline/serving/servable.py pipeline/store/digests.py
        pipeline/store/publishing.py pipeline/store/sealed.py
        pipeline/training/train_state.py pipeline/tracking/queries.py""",
    "notes of its own processes to each other": """
        pipeline/examples/shards.py
        pipeline/batches/batch_feeding.py pipeline/examples/beam_job.py
        pipeline/store/fault_injection.py pipeline/store/ownership.py
        pipeline/training/search_recovery.py pipeline/training/search_workers.py
        pipeline/training/trials.py pipeline/tracking/tracker.py
        pipeline/tracking/database/connection.py transfer/feature_cache.py
        pipeline/tracking/database/patient_sqlite.py
        pipeline/tracking/database/database_file.py pipeline/serving/deployment.py
        visualization/training/beside.py visualization/look/saved_beside.py""",
    "code of the user's own": """
        pipeline/training/own/digest.py pipeline/training/own/code.py""",
    "settings that the user names, and the machine's": """
        pipeline/configuration/config.py pipeline/examples/schema.py
        pipeline/tracking/environment.py""",
    "TensorFlow data sets that the user has prepared": """
        pipeline/examples/reading.py pipeline/examples/sources/tfds_source.py""",
    "what comes with the package": """
        architectures/weights/shipped.py pipeline/engine/code_dependencies.py
        pipeline/examples/overview/statistics_page.py
        pipeline/tracking/registry/package_wheel.py""",
    "what the checks of layers have saved themselves": """
        testing/architecture.py testing/callback.py testing/layer_config.py""",
    "a file of the package": """
        testing/course.py""",
    "MLflow's folder, once `check_flavors` has passed it": """
        pipeline/tracking/model_server.py""",
}
# In the door itself, what is no path: an open file, or what was unpacked before.
INSIDE = {
    "archives.py": {"tarfile.open", "archive.open", "os.open"},  # os.open to write
    "arrays.py": {"archive.open", "file.open", "np.load", "os.open"},
    "gate.py": {"os.open"},
    "images.py": {"Image.open"},
    "models.py": {"h5py.File", "keras.saving.load_model"},
    "row_tables.py": {"archive.open"},
    "delimited.py": {"pd.read_csv"},
    "parquet.py": {"pq.ParquetFile"},
    "reading.py": {"gzip.GzipFile"},
    "tar_stream.py": {"bz2.BZ2File", "gzip.GzipFile"},
    "zips.py": {"self._archive.open", "zipfile.ZipFile", "zipfile.is_zipfile"},
}


def opened_in(file):
    """Where a file calls, or imports by its name, what opens a file to read it."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            door = (node.module or "").startswith("dlkeras.untrusted")
            yield from (a.name for a in node.names if a.name in OPENERS and not door)
        elif isinstance(node, ast.Call) and not writes(node):
            name = ast.unparse(node.func)
            before, _, last = name.rpartition(".")
            kind = "read_*" if last.startswith("read_") else last
            of_module = before.rpartition(".")[2] in OF_MODULES.get(kind, ())
            if last in OPENERS or of_module:
                yield name


def writes(call):
    """Whether a call of `open` writes, or opens the null device."""
    modes = [a.value for a in call.args[:2] if isinstance(a, ast.Constant)]
    modes = [mode for mode in modes if isinstance(mode, str) and len(mode) < 4]
    nowhere = [a for a in call.args if ast.unparse(a) == "os.devnull"]
    return bool(nowhere) or any(set(mode) & set("wax") for mode in modes)


def test_nothing_opens_strangers_files_beside_the_door():
    found = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        name = file.relative_to(PACKAGE).as_posix()
        if opened := sorted(set(opened_in(file))):
            found[name] = opened
    allowed = {name for names in ALLOWED.values() for name in names.split()}
    through = {
        "pipeline/commands/trying/why_not.py",
        "pipeline/serving/answering.py",
        "pipeline/training/transfer_source.py",
    }
    for name in through:  # they call the door by its module
        assert found.pop(name) == ["models.load_model"]
    assert found.pop("architectures/weights/h5.py") == ["h5py.File"]
    for name in ("weights/loading.py", "presets.py"):
        assert found.pop(f"architectures/{name}") == ["load_model"]
    beside = {
        name: opened
        for name, opened in found.items()
        if not name.startswith("untrusted/") and name not in allowed
    }
    assert beside == {}
    assert allowed <= found.keys()  # none that opens nothing any more


def test_the_door_itself_opens_paths_in_one_function_alone():
    folder = PACKAGE / "untrusted"
    found = {file.name: set(opened_in(file)) for file in sorted(folder.rglob("*.py"))}
    assert {name: calls for name, calls in found.items() if calls} == INSIDE


def test_one_file_alone_opens_zips():
    """Each zip is opened with a bound on its list of members."""
    opening = {
        file.name
        for file in (PACKAGE / "untrusted").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "zipfile.ZipFile"
    }
    assert opening == {"zips.py"}


def test_the_pipelines_read_images_through_the_door():
    opening = {"Image.open", "np.load", "tarfile.open", "zipfile.ZipFile", "plt.imread"}
    for file in sorted((ROOT / "pipelines").glob("*.py")):
        assert not opening & set(opened_in(file)), file
