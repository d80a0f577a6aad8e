"""What is served is what was judged: both decoders give the same pixels, everywhere."""

import ast
import tarfile
from pathlib import Path

import pytest

from dlkeras.pipeline.examples.decoding import decode_image, decode_in_graph
from tests.conftest import ROOT
from tests.pipeline.image_kinds import image_files

PHOTOS = ROOT.parent / "shared" / "data" / "cifar10_small.tar.xz"
# Decoders of TensorFlow, Keras and TFDS, whose pixels of a JPEG are others.
OTHER_DECODERS = {
    "decode_jpeg", "decode_png", "decode_image", "decode_and_crop_jpeg",
    "decode_example", "image_dataset_from_directory", "load_img",
}  # fmt: skip
MODULES_OF_OTHERS = {"tf", "tensorflow", "keras", "tfds"}


def differing(files: dict[str, bytes]) -> list[str]:
    """The files that TensorFlow reads to other pixels than Pillow."""
    found = []
    for name, content in files.items():
        image = decode_image(content)
        for channels in {image.pixels.shape[-1], 3}:
            seen = decode_in_graph(image.encoded, channels).numpy()
            expected = (*image.pixels.shape[:2], channels)
            if seen.shape != expected or not (seen == image.pixels).all():
                found.append(f"{name} with {channels} channels")
    return found


def test_training_and_serving_see_the_same_pixels_of_every_kind_of_image():
    files = image_files()
    assert len(files) > 60
    assert differing(files) == []


@pytest.mark.skipif(not PHOTOS.is_file(), reason="no CIFAR-10 photos")
def test_training_and_serving_see_the_same_pixels_of_2000_photos():
    files = {}
    with tarfile.open(PHOTOS) as archive:
        for member in archive:
            if member.isfile() and len(files) < 2000:
                files[member.name] = archive.extractfile(member).read()
    assert len(files) == 2000
    assert differing(files) == []


def _decoders(file: Path) -> list[str]:
    """Where a file calls a decoder of TensorFlow, Keras or TFDS."""
    found = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Attribute) or node.attr not in OTHER_DECODERS:
            continue
        root = node
        while isinstance(root, ast.Attribute):
            root = root.value
        of_features = node.attr == "decode_example"
        if of_features or getattr(root, "id", "") in MODULES_OF_OTHERS:
            found.append(f"{file.relative_to(ROOT)}:{node.lineno} {node.attr}")
    return found


def test_no_other_decoder_is_called_by_package_pipelines_benchmarks_and_notebooks():
    found = []
    for folder in ("dlkeras", "pipelines", "benchmarks", "notebooks", "docs"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            found += _decoders(file)
    assert [line.split(":")[0] for line in found] == [
        "dlkeras/pipeline/examples/decoding.py"
    ], found
