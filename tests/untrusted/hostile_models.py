"""Writes small `.keras` files that fill the memory, hang or call other things."""

import io
import itertools
import json
import os
import struct
import zipfile

import h5py
import numpy as np

IMAGE = [None, 8, 8, 1]


def node(name, config=None, module="keras.layers", **more):
    return {
        "module": module,
        "class_name": name,
        "config": {"name": name.lower(), **(config or {})},
        "registered_name": None,
        **more,
    }


def sequential(*layers, shape=IMAGE):
    given = node("InputLayer", {"batch_shape": shape, "dtype": "float32"})
    inside = {"name": "s", "layers": [given, *layers]}
    return {**node("Sequential", module="keras"), "config": inside}


def keras_file(path, config, weights=b"", weights_name="model.weights.h5", **more):
    text = config if isinstance(config, str) else json.dumps(config)
    with zipfile.ZipFile(path, "w", **more) as archive:
        archive.writestr("metadata.json", "{}")
        archive.writestr("config.json", text)
        archive.writestr(weights_name, weights or hdf5(lambda file: None))


def hdf5(fill):
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        fill(file)
    return buffer.getvalue()


def linked_twice(file):
    """Forty groups, each linked twice to the next: 2**40 paths."""
    groups = [file.create_group(f"g{index}") for index in range(40)]
    for one, two in itertools.pairwise(groups):
        one["a"] = one["b"] = two


def linked_to_itself(file):
    file.create_group("layers")["again"] = file["/"]


def linked_softly(file):
    file["layers"] = h5py.SoftLink("/layers/x")


def never_written(file):
    """One layer's weights, 8 GB that take nothing in the file."""
    file.create_dataset("layers/dense/vars/0", (2**16, 2**15), "f4")


def many_groups(file):
    for index in range(20_001):
        file.create_group(str(index))


def packed(file):
    """One layer's weights, 64 MiB of zeros in one chunk of 64 kB."""
    zeros = np.zeros((64, 2**18), "f4")
    file.create_dataset(
        "layers/dense/vars/0", data=zeros, chunks=zeros.shape, compression="gzip"
    )


def in_chunks(file):
    file.create_dataset("layers/dense/vars/0", data=np.zeros((64, 1)), chunks=(2, 1))


def same_text(file):
    kind = h5py.string_dtype()
    file.create_dataset("layers/dense/vars/0", (1000,), kind)[:] = "x" * 1000


def with_claims(path, name, stored, claimed):
    """Change the sizes that the list of members claims for one of them."""
    data = bytearray(path.read_bytes())
    place = data.index(b"PK\x01\x02")
    while data[place + 46 : place + 46 + len(name)] != name.encode():
        place = data.index(b"PK\x01\x02", place + 4)
    struct.pack_into("<II", data, place + 20, stored, claimed)
    path.write_bytes(data)


def numpy_zip():
    """Weights as a zip in the zip: 64 MiB of zeros."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, __root__=np.zeros(2**24, "float32"))
    return buffer.getvalue()


def function(module, name):
    return {
        "module": module,
        "class_name": "function",
        "config": name,
        "registered_name": name,
    }


def functional(layers, links):
    """A network whose layer i is called on layer `links[i]`."""
    tensors = {
        name: {
            "class_name": "__keras_tensor__",
            "config": {
                "shape": IMAGE,
                "dtype": "float32",
                "keras_history": [name, 0, 0],
            },
        }
        for name in (layer["config"]["name"] for layer in layers)
    }
    listed = []
    for layer, link in zip(layers, links, strict=True):
        calls = [] if link is None else [{"args": [tensors[link]], "kwargs": {}}]
        name = layer["config"]["name"]
        listed.append({**layer, "name": name, "inbound_nodes": calls})
    ends = {
        "input_layers": [[listed[0]["name"], 0, 0]],
        "output_layers": [[listed[-1]["name"], 0, 0]],
    }
    model = node("Functional", module="keras.src.models.functional")
    model["config"] = {"name": "f", "trainable": True, "layers": listed, **ends}
    return model


def constant():
    """A padding of a constant, which Keras computes when it builds the network."""
    given = node("InputLayer", {"batch_shape": IMAGE, "name": "i"})
    pad = node("ZeroPadding2D", {"padding": 30_000, "name": "p"})
    model = functional([given, pad, node("Flatten", {"name": "f"})], [None, "i", "i"])
    value = {"value": [[[[0.0]]]], "dtype": "float32"}
    call = model["config"]["layers"][1]["inbound_nodes"][0]
    call["args"] = [{"class_name": "__tensor__", "config": value}]
    return model


def write_all(folder):
    """Write one file of each kind, and return their paths."""
    dense, flat = node("Dense", {"units": 1}), node("Flatten")
    plain = sequential(flat, dense)

    def write(name, config=plain, *args, **options):
        keras_file(folder / f"{name}.keras", config, *args, **options)

    for fill in (
        linked_twice,
        linked_to_itself,
        linked_softly,
        never_written,
        many_groups,
        same_text,
        packed,
        in_chunks,
    ):
        write(fill.__name__, plain, hdf5(fill))
        (folder / f"{fill.__name__}.weights.h5").write_bytes(hdf5(fill))
    write("numpy_zip", plain, numpy_zip(), "model.weights.npz")
    write("many_units", sequential(flat, node("Dense", {"units": 1_500_000_000})))
    square = [node("Dense", {"units": 100_000, "name": f"d{i}"}) for i in range(2)]
    write("square", sequential(flat, *square))
    write(
        "convolution",
        sequential(
            node(
                "Conv2D", {"filters": 2**20, "kernel_size": [8, 8], "padding": "same"}
            ),
            node("DepthwiseConv2D", {"kernel_size": [1000, 1000], "padding": "same"}),
        ),
    )
    built = {"input_shape": [None, 2**31]}
    write("build_config", sequential(flat, {**dense, "build_config": built}))
    write(
        "not_built",
        {
            **plain,
            "config": {
                "name": "s",
                "layers": [node("Dense", {"units": 1_500_000_000})],
            },
        },
    )
    write("no_model", node("Dense", {"units": 1_500_000_000}, build_config=built))
    metric = node("MeanIoU", {"num_classes": 60_000}, "keras.metrics")
    compiled = {"optimizer": "adam", "loss": "mse", "metrics": [metric]}
    inner = {**sequential(flat, dense), "compile_config": compiled}
    write("metric_inside", sequential(inner))
    for module, name in [
        ("keras.utils", "plot_model"),
        ("keras.utils", "get_file"),
        ("keras.datasets.mnist", "load_data"),
        ("keras", "datasets.mnist.load_data"),
        ("keras.activations", "deserialize"),
        ("keras.src.utils.io_utils", "print_msg"),
        ("keras.saving", "load_model"),
        ("os", "system"),
    ]:
        named = function(module, name)
        write(
            f"lambda_{module}_{name}", sequential(node("Lambda", {"function": named}))
        )
        write(
            f"activation_{module}_{name}",
            sequential(node("Activation", {"activation": named}), flat, dense),
        )
    write(
        "tanh_in_lambda",
        sequential(
            node("Lambda", {"function": function("keras.activations", "tanh")}), flat
        ),
    )
    for name in (
        "TFSMLayer",
        "JaxLayer",
        "FlaxLayer",
        "TorchModuleWrapper",
        "Layer",
        "StringLookup",
        "IntegerLookup",
        "TextVectorization",
        "RNN",
    ):
        write(name, sequential(node(name, {"filepath": "/etc"})))
    spec = {"class_name": "__typespec__", "config": [], "spec_name": "x", "module": "x"}
    write("typespec", sequential(node("Rescaling", {"scale": spec})))
    write(
        "not_registered",
        sequential({**node("Evil", module="evil"), "registered_name": "evil>Evil"}),
    )
    write("ops", sequential(node("RandAugment", {"num_ops": 10**9}), flat, dense))
    write("bins", sequential(node("Equalization", {"bins": 2**31}), flat, dense))
    for count in (300_000, 1_000_000):  # lists, then numbers
        values = [[]] * count if count < 10**6 else [0] * count
        write(f"wide_{count}", {**plain, "more": values})
    huge = {"scale": 10**400, "offset": 0.0}
    write("huge_number", sequential(node("Rescaling", huge), flat, dense))
    # Keras would take the class of its own that has the name.
    for module in ("dlkeras.layers.lenet", None, ["x"]):
        tanh = function("keras.activations", "tanh")
        hidden = node("Lambda", {"function": tanh})
        registered = {"module": module, "registered_name": "dlkeras>ScaledTanh"}
        named = {**hidden, **registered}
        without = {key: named[key] for key in named if key != "module"}
        write(f"hidden_{module}", sequential(named, flat, dense))
        write(f"hidden_without_{module}", sequential(without, flat, dense))
    write("deep", "[" * 100_000 + "]" * 100_000)
    write("deeper_than_keras", '{"a":' * 500 + "1" + "}" * 500)
    nested = plain
    for _ in range(120):
        nested = sequential(nested)
    write("models_in_models", nested)
    write("large", json.dumps(plain) + " " * 2**23)
    write(
        "many_layers",
        sequential(*(node("Identity", {"name": f"i{i}"}) for i in range(3000))),
    )
    cycle = [
        node("InputLayer", {"batch_shape": IMAGE, "name": "i"}),
        node("Identity", {"name": "a"}),
        node("Identity", {"name": "b"}),
    ]
    write("cycle", functional(cycle, [None, "b", "a"]))
    zeros = bytes(2**24)
    for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        file = folder / f"packed_by_{method}.keras"
        keras_file(file, plain, zeros, compression=method)
        with zipfile.ZipFile(file) as archive:
            member = archive.getinfo("model.weights.h5")
        with_claims(file, member.filename, member.compress_size, member.compress_size)
    spaces = json.dumps(plain) + " " * 2**24
    write("config_by_bzip2", spaces, compression=zipfile.ZIP_BZIP2)
    for stored in (0, 2**31):
        write(f"claims_{stored}")
        file = folder / f"claims_{stored}.keras"
        with_claims(file, "model.weights.h5", stored, 2**31)
    write("holes")
    with open(folder / "holes.keras", "r+b") as file:  # 4 GB in front of the zip
        whole = file.read()
        file.truncate(0)
        file.seek(2**32)
        file.write(whole)
    write("constant", constant())
    scalar = {"mean": 0.0, "variance": 1.0, "axis": [1, 2, 3]}
    huge = {"input_shape": [None, 2**15, 2**15, 1]}
    normal = node("Normalization", scalar)
    write("normalization", sequential(normal, flat, dense, shape=huge["input_shape"]))
    built = sequential({**normal, "build_config": huge}, flat, dense)
    write("normalization_built", built)
    write("no_list", "3")
    write("no_config", '{"class_name": "Rescaling", "config": {}}')
    write("no_numbers", '{"class_name": ["a"], "module": {"b": 1}, "config": "x"}')
    with zipfile.ZipFile(folder / "twice.keras", "w") as archive:
        for name in ("config.json", "model.weights.h5", "assets/x"):
            archive.writestr(name, "{}")
    os.mkfifo(folder / "pipe.keras")
    os.mkfifo(folder / "pipe.weights.h5")
    (folder / "device.keras").symlink_to("/dev/zero")
    return sorted(folder.iterdir())
