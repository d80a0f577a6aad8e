"""The command `dlkeras augment`: a picture of images and of what training sees."""

import numpy as np
import pytest
from PIL import Image

from dlkeras.cli import main
from dlkeras.pipeline import PipelineConfig, TransformConfig


@pytest.fixture
def photograph(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (20, 30, 3), dtype="uint8")
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def test_the_same_seed_draws_the_same_picture_and_another_another(photograph, tmp_path):
    drawn = []
    for seed in ("0", "0", "1"):
        output = tmp_path / f"{len(drawn)}.png"
        flags = ["--output", str(output), "--seed", seed, "--set", "rotation=30"]
        assert main(["augment", str(photograph), *flags, "--epochs", "2"]) == 0
        with Image.open(output) as image:
            drawn.append(np.asarray(image))
    assert np.array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])


def test_the_configuration_of_a_run_is_taken(photograph, tmp_path):
    off = TransformConfig(shift=0, rotation=0, zoom=0, height=16, width=16)
    config = tmp_path / "config.json"
    config.write_text(PipelineConfig(transform=off).model_dump_json())
    output = tmp_path / "out.png"
    flags = ["--config", str(config), "--output", str(output), "--epochs", "1"]
    assert main(["augment", str(photograph), *flags]) == 0
    assert output.exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            ["--set", "rotatoin=30"],
            "NAME one of height, .*received 'rotatoin=30'",
        ),
        (["--set", "rotation=999"], "--set rotation: .*received"),
        (["--config", "absent.json"], "absent.json"),
    ],
)
def test_a_wrong_setting_is_named(photograph, flags, message, capsys):
    import re

    assert main(["augment", str(photograph), *flags]) == 2
    assert re.search(message, capsys.readouterr().err)


def test_a_file_that_is_no_image_is_named(tmp_path, capsys):
    (tmp_path / "notes.png").write_text("no image")
    assert main(["augment", str(tmp_path / "notes.png")]) == 2
    assert "notes.png: not an image" in capsys.readouterr().err
