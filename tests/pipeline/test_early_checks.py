"""What is refused before any component runs, in one line."""

import pytest

from dlkeras.pipeline import (
    PipelineConfig,
    TrainerConfig,
    TransferConfig,
    TunerConfig,
    main,
)
from dlkeras.pipeline.store.errors import InputError
from dlkeras.pipeline.training.network import check_frozen_layers, compiled_network
from dlkeras.pipeline.training.search_spaces import search_space


@pytest.mark.parametrize(
    ("flags", "parts"),
    [
        (["--evaluator.slices", "age"], ["--evaluator.slices", "'age'", "mean, std"]),
        (
            ["--evaluator.slices", "hue", "--example-gen.manifest", "TABLE"],
            ["--evaluator.slices", "'hue'", "file_channels, grey, age, camera;"],
        ),
        # LeNet-5 has five layers with weights: C1, C3, C5, F6 and the output.
        (["--trainer.frozen-layers", "5"], ["at most 4", "lenet5", "has 5", "5"]),
        (["--trainer.frozen-layers", "6"], ["at most 4", "lenet5", "has 5", "6"]),
        (
            ["--tuner.space", "frozen_layers=0:5"],
            ["--tuner.space frozen_layers", "at most 4", "received 5"],
        ),
        (["--tuner.space", "hue=on"], ["--tuner.space", "'hue'", "dropout"]),
    ],
)
def test_it_is_said_in_a_line_before_anything_is_written(
    capsys, tmp_path, flags, parts
):
    table = tmp_path / "table.csv"
    table.write_text("path,label,age,camera,id\na.png,a,1,x,7\nb.png,b,,y,8\n")
    flags = [str(table) if flag == "TABLE" else flag for flag in flags]
    mlruns = tmp_path / "mlruns"
    assert main(PipelineConfig(), [*flags, "--mlruns", str(mlruns)]) == 2
    printed = capsys.readouterr()
    (line,) = printed.err.splitlines()
    for part in parts:
        assert part in line
    assert not mlruns.exists()


def test_no_declared_search_freezes_a_whole_network():
    """Of each family the network of the fewest layers."""
    config = TunerConfig(space={"frozen_layers": "on"})
    for name in ("lenet5", "alexnet", "googlenet", "resnet18", "resnet20"):
        model = compiled_network(
            TrainerConfig(architecture=name),
            input_shape=(67, 67, 3),
            num_classes=2,
            learning_rate=0.1,
            steps=1,
        )
        check_frozen_layers(model, 0, search_space(name, config))


@pytest.mark.parametrize("place", ["1.0", "classifier", "5"])
def test_a_transfer_that_would_learn_nothing_is_refused(place):
    transfer = TransferConfig(source="lenet5:digits", freeze_until=place)
    with pytest.raises(InputError, match=r"freeze-until: expected a place before"):
        compiled_network(
            TrainerConfig(transfer=transfer),
            input_shape=(32, 32, 1),
            num_classes=10,
            learning_rate=0.1,
            steps=1,
        )


def test_the_layers_of_a_transfers_network_are_counted_too():
    """It is not there before any component runs: the tuner and the trainer build it."""
    transfer = TransferConfig(source="lenet5:digits")
    with pytest.raises(InputError, match=r"--trainer\.frozen-layers: .* at most 4"):
        compiled_network(
            TrainerConfig(transfer=transfer, frozen_layers=5),
            input_shape=(32, 32, 1),
            num_classes=10,
            learning_rate=0.1,
            steps=1,
        )
