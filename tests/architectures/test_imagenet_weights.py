"""ImageNet's weights come as Keras downloads them: by its address, against its hash."""

import functools
import hashlib
import http.server
import shutil
import threading

import keras
import numpy as np
import pytest
from keras.src.applications import resnet
from keras.src.backend import config

from dlkeras.architectures import create

NAME = "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"
OPTIONS = {
    "input_shape": (32, 32, 3),
    "num_classes": 0,
    "pooling": None,
    "weights": "imagenet",
    "kernel_initializer": "zeros",
}
KERAS_ADDRESS = resnet.BASE_WEIGHTS_PATH
KERAS_HASHES = dict(resnet.WEIGHTS_HASHES)


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A server of files; of a request for `cut/` it sends half."""

    def log_message(self, *arguments):
        self.server.asked.append(self.path)

    def do_GET(self):
        if not self.path.startswith("/cut/"):
            return super().do_GET()
        data = b"half" * 100
        self.send_response(200)
        self.send_header("Content-Length", str(2 * len(data)))
        self.end_headers()
        self.wfile.write(data)
        return None


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A server of random weights of keras.applications, in Keras's form."""
    folder = tmp_path_factory.mktemp("served")
    keras.utils.set_random_seed(0)
    theirs = keras.applications.ResNet50(weights=None, include_top=False)
    theirs.save(folder / NAME)
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=folder)
    )
    server.asked, server.theirs, server.folder = [], theirs, folder
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def keras_home(tmp_path, monkeypatch, served):
    """An empty folder for what Keras downloads, and the server in its site's place."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(config, "_KERAS_DIR", str(tmp_path))  # read at import
    address = f"http://127.0.0.1:{served.server_port}/"
    monkeypatch.setattr(resnet, "BASE_WEIGHTS_PATH", address)
    digest = hashlib.md5((served.folder / NAME).read_bytes()).hexdigest()
    hashes = {**KERAS_HASHES, "resnet50": (KERAS_HASHES["resnet50"][0], digest)}
    monkeypatch.setattr(resnet, "WEIGHTS_HASHES", hashes)
    return tmp_path


def left_in(folder):
    return [path.name for path in folder.rglob("*") if path.is_file()]


def test_the_address_and_the_hash_are_kerass():
    assert KERAS_ADDRESS.startswith("https://storage.googleapis.com/tensorflow/")
    assert KERAS_HASHES["resnet50"][0] == "2cb95161c43110f7111970584f804107"


def test_the_weights_are_downloaded_once_and_compute_what_theirs_do(keras_home, served):
    served.asked.clear()
    ours = create("resnet50", **OPTIONS)
    assert left_in(keras_home) == [NAME]
    assert served.asked == [f"/{NAME}"]
    images = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype("float32")
    one, two = (keras.ops.convert_to_numpy(m(images)) for m in (ours, served.theirs))
    assert np.abs(two).max() > 0
    np.testing.assert_allclose(one, two, rtol=1e-3, atol=1e-4 * np.abs(two).max())
    create("resnet50", **OPTIONS)
    assert len(served.asked) == 1


def test_a_file_of_another_hash_is_refused_and_not_kept(keras_home, monkeypatch):
    monkeypatch.setattr(resnet, "WEIGHTS_HASHES", KERAS_HASHES)
    with pytest.raises(OSError, match=r"hash does not match.*4d473c1dd8becc15"):
        create("resnet50", **OPTIONS)
    assert left_in(keras_home) == []


def test_half_a_file_is_not_kept(keras_home, monkeypatch):
    monkeypatch.setattr(resnet, "BASE_WEIGHTS_PATH", resnet.BASE_WEIGHTS_PATH + "cut/")
    with pytest.raises(OSError, match="got only 400 out of 800 bytes"):
        create("resnet50", **OPTIONS)
    assert left_in(keras_home) == []


def test_without_a_network_the_error_says_what_was_tried(keras_home, monkeypatch):
    monkeypatch.setattr(resnet, "BASE_WEIGHTS_PATH", "http://127.0.0.1:9/")
    with pytest.raises(
        OSError, match=r"Received: .*http://127\.0\.0\.1:9/resnet50"
    ) as got:
        create("resnet50", **OPTIONS)
    assert str(keras_home / "models" / NAME) in str(got.value)
    assert left_in(keras_home) == []


def test_a_file_put_there_by_hand_needs_no_network(keras_home, served, monkeypatch):
    monkeypatch.setattr(resnet, "BASE_WEIGHTS_PATH", "http://127.0.0.1:9/")
    (keras_home / "models").mkdir()
    shutil.copy(served.folder / NAME, keras_home / "models")
    assert create("resnet50", **OPTIONS).output_shape == (None, 1, 1, 2048)
