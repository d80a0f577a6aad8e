"""A training that is taken up behind its last epoch draws what it would have drawn."""

import shutil

import numpy as np
import pytest

from dlkeras.pipeline.components.trainer import trainer
from dlkeras.pipeline.store.publishing import Draft


@pytest.mark.job
def test_a_training_resumed_behind_its_last_epoch_has_every_figure(
    tiny_config, prepared, tmp_path
):
    """A kill after the last checkpoint, and before the model is published."""
    outputs, shown, drawn = {}, {}, {}

    def train(name, work):
        (tmp_path / name).mkdir()
        outputs[name], shown[name] = Draft(tmp_path / name), []
        trainer(
            tiny_config.trainer,
            outputs[name],
            prepared["Examples"],
            prepared["Transform"],
            None,
            seed=0,
            work=work,
            on_epoch_end=lambda epoch, logs: None,
            on_figures=lambda figures, epoch: shown[name].append(
                (epoch, sorted(figures))
            ),
            verbose="0",
            say=lambda text: None,
        )
        drawn[name] = {
            f.relative_to(tmp_path / name).as_posix(): f.stat().st_size
            for f in (tmp_path / name).rglob("*.png")
        }

    train("whole", tmp_path / "work")
    for figures in (tmp_path / "work").glob("figures-*"):
        shutil.rmtree(figures)
    train("resumed", tmp_path / "work")
    assert "figures/epoch-0001/gradient_flow.png" in drawn["whole"]
    assert drawn["resumed"] == drawn["whole"]
    assert shown["resumed"] == shown["whole"]
    for name in ("findings.json", "history.json"):
        files = [output.path / name for output in outputs.values()]
        assert files[0].read_text() == files[1].read_text()
    whole, resumed = (np.load(o.path / "gradients.npz") for o in outputs.values())
    for name in whole.files:
        assert np.array_equal(whole[name], resumed[name]), name
