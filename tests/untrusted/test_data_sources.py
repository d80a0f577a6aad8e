"""ExampleGen names hostile sources in a line, soon, and in little memory."""

import zipfile

import numpy as np
import pytest
from PIL import Image

from tests.untrusted.own_process import tried
from tests.untrusted.test_data_files import npy, with_hole

MOST_MIB = 100
IMPORTS = """
import tempfile
import dlkeras.pipeline.tensorflow_import
from dlkeras.pipeline import ExampleGenConfig, PipelineConfig, run

def example_gen(path):
    flag = "npz" if path.endswith(".npz") else "image_folder"
    with tempfile.TemporaryDirectory() as folder:
        config = ExampleGenConfig(**{flag: Path(path)})
        config = PipelineConfig(mlruns=Path(folder), example_gen=config, name="hostile")
        run(config, until="ExampleGen")
"""


def photos(folder):
    for name in "ab":
        (folder / name).mkdir(parents=True)
        for number in range(8):
            pixels = np.full((8, 8), 20 * number + 7 * (name == "b"), "uint8")
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    place = tmp_path_factory.mktemp("sources")
    photos(place / "0" / "one")  # one class: what a refusal takes
    sparse = photos(place / "sparse") / "a" / "big.png"
    with_hole(sparse, 6 * 2**30, (place / "sparse" / "a" / "0.png").read_bytes())
    device = photos(place / "device") / "a" / "zero.png"
    device.symlink_to("/dev/zero")
    endless = photos(place / "endless") / "a" / "pages.png"
    endless.symlink_to("/proc/self/pagemap")
    labels, images = np.zeros(2**27, "int8"), np.zeros((10, 8, 8), "uint8")
    with zipfile.ZipFile(place / "labels.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in (("x_train", images), ("y_train", labels)):
            start = npy(array.shape, str(array.dtype))
            archive.writestr(f"{name}.npy", start + array.tobytes())
    names = ("0", "sparse", "device", "endless", "labels.npz")
    return tried(IMPORTS, "example_gen(path)", [place / name for name in names])


def test_no_hostile_source_takes_memory_or_time(answers):
    before = answers["0"][1]
    assert len(answers) == 5
    for name, (said, mib, seconds) in answers.items():
        assert said.startswith("InputError: "), (name, said)
        assert "\n" not in said and len(said) < 700, said
        assert mib < before + MOST_MIB, name
        assert seconds < 20, name


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("sparse", "big.png: expected at most 512,000,000 bytes"),
        ("device", "zero.png"),
        ("endless", "pages.png: not an image"),
        ("labels.npz", "expected y_train as 10 integers, one for each image"),
    ],
)
def test_the_line_names_what_is_wrong(answers, name, reason):
    assert reason in answers[name][0]
