"""The command line: flags, files and scripts resolve to one configuration."""

import json

import pytest

from dlkeras.pipeline import PipelineConfig, TrainerConfig, main
from dlkeras.pipeline.command_line import parse
from dlkeras.pipeline.config import load_config
from dlkeras.pipeline.errors import InputError

DEFAULT = PipelineConfig(name="script", trainer=TrainerConfig(epochs=9))


def test_flags_override_the_file_which_overrides_the_script(tmp_path):
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"name": "file", "trainer": {"epochs": 7}}))
    config, _ = parse(DEFAULT, [])
    assert (config.name, config.trainer.epochs) == ("script", 9)
    config, _ = parse(DEFAULT, ["--config", str(file)])
    assert (config.name, config.trainer.epochs) == ("file", 7)
    config, _ = parse(DEFAULT, ["--config", str(file), "--trainer.epochs", "5"])
    assert (config.name, config.trainer.epochs) == ("file", 5)


def test_every_field_of_every_component_is_a_flag():
    import contextlib
    import io

    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), pytest.raises(SystemExit) as ended:
        parse(DEFAULT, ["--help"])
    assert ended.value.code == 0
    text = printed.getvalue()
    for component, field in PipelineConfig.model_fields.items():
        nested = getattr(field.annotation, "model_fields", None)
        for name in nested or ():
            if getattr(nested[name].annotation, "model_fields", None):
                continue  # a group of flags
            assert f"--{component}.{name}".replace("_", "-") in text
            described = nested[name].description
            assert described.split()[0] in text
    assert "(default: 9)" in text  # the script's, not the class's


def test_values_of_all_kinds_are_read():
    config, options = parse(
        DEFAULT,
        ["--trainer.learning_rate=1e-3", "--example-gen.image-folder", "a b",
         "--no-transform.augment", "--seed", "3", "--no-tuner",
         "--force", "Trainer", "--force", "Pusher", "--until", "Evaluator"],
    )  # fmt: skip
    assert config.trainer.learning_rate == 1e-3
    assert str(config.example_gen.image_folder) == "a b"
    assert not config.transform.augment
    assert not config.tuner.enabled
    assert config.seed == 3
    assert options.force == ["Trainer", "Pusher"]
    assert options.until == "Evaluator"


@pytest.mark.parametrize(
    ("flags", "parts"),
    [
        (["--trainer.epoch", "5"], ["--trainer.epoch:", "--trainer.epochs"]),
        (["--Trainer.epochs", "5"], ["--Trainer.epochs:", "--trainer.epochs"]),
        (["--trainer.epochs", "five"], ["--trainer.epochs:", "integer", '"five"']),
        (["--trainer.epochs", "0"], ["--trainer.epochs:", "equal to 1", '"0"']),
        (["--trainer.epochs"], ["--trainer.epochs", "expected one argument"]),
        (
            ["--transform.fill-mode", "mirror"],
            ["--transform.fill-mode:", "'constant'", "'nearest'", '"mirror"'],
        ),
        (["--force", "trainer"], ["--force", "Trainer", "'trainer'"]),
        (["--trainer.learning-rate", "nan"], ["--trainer.learning-rate:", "finite"]),
        (["--name", "a/b"], ["--name:", "pattern", '"a/b"']),
        (
            ["--tuner.min-learning-rate", "1", "--tuner.max-learning-rate", "0.1"],
            ["--tuner:", "min_learning_rate", "1.0 > 0.1"],
        ),
        (["--example-gen.test-fraction", "0.9"], ["less than 1", "0.15 + 0.9"]),
    ],
)
def test_a_wrong_flag_gives_one_line_and_exit_code_2(capsys, flags, parts):
    assert main(DEFAULT, flags) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    for part in parts:
        assert part in line


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ('{"trainer": {"epochs": "5"}}', ["trainer.epochs", "integer", '"5"']),
        ('{"trainer": {"epoch": 5}}', ["trainer.epoch", "not permitted"]),
        ('{"trainer":', ["invalid JSON"]),
    ],
)
def test_a_wrong_file_is_named_with_the_key(tmp_path, text, parts):
    file = tmp_path / "config.json"
    file.write_text(text)
    with pytest.raises(InputError) as caught:
        load_config(file)
    for part in [str(file), *parts]:
        assert part in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"--config.*absent\.json"):
        parse(DEFAULT, ["--config", str(tmp_path / "absent.json")])


def test_the_printed_configuration_is_the_resolved_one(capsys):
    assert main(DEFAULT, ["--trainer.epochs", "4", "--print-config"]) == 0
    config = PipelineConfig.model_validate_json(capsys.readouterr().out)
    assert config == parse(DEFAULT, ["--trainer.epochs", "4"])[0]


def test_a_configuration_is_frozen():
    with pytest.raises(ValueError, match="frozen"):
        DEFAULT.trainer.epochs = 3
