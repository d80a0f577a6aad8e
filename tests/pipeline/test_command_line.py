"""The command line: flags, files and scripts resolve to one configuration."""

import ast
import contextlib
import copy
import importlib
import io
import json
import runpy
import subprocess
import sys
import typing
from pathlib import Path

import pytest

from dlkeras.pipeline import PipelineConfig, TrainerConfig, main
from dlkeras.pipeline.commands.command_line import parse
from dlkeras.pipeline.configuration.config import load_config
from dlkeras.pipeline.configuration.flags import flags_of
from dlkeras.pipeline.configuration.script_help import COMMON
from dlkeras.pipeline.store.errors import InputError
from tests.conftest import ROOT

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


def printed(*flags):
    """What a script prints that ends at once, such as its help."""
    text = io.StringIO()
    with contextlib.redirect_stdout(text), pytest.raises(SystemExit) as ended:
        parse(DEFAULT, flags)
    assert ended.value.code == 0
    return text.getvalue()


def test_every_field_of_every_component_is_a_flag():
    text = printed("--help-all")
    for component, field in PipelineConfig.model_fields.items():
        nested = getattr(field.annotation, "model_fields", None)
        for name in nested or ():
            if getattr(nested[name].annotation, "model_fields", None):
                continue  # a group of flags
            assert f"--{component}.{name}".replace("_", "-") in text
            described = nested[name].description
            assert described.split()[0] in text
    assert "(default: 9)" in text  # the script's, not the class's


def test_the_help_fits_two_screens_and_says_where_the_rest_is():
    """It was 493 lines."""
    text = printed("--help")
    assert len(text.splitlines()) < 100
    assert set(COMMON) <= set(FLAGS)
    assert all(f"  {flag}" in text for flag in COMMON)
    assert len(COMMON) == 20
    assert "--trainer.plateau-factor" not in text
    assert "--help-all" in text and "infra-validator" in text
    assert "(default: 9)" in text


@pytest.mark.parametrize("name", ["trainer", "Trainer"])
def test_the_help_of_a_component_has_all_of_its_flags_and_no_others(name):
    text = printed("--help", name)
    found = {word.strip(",") for word in text.split() if word.startswith("--trainer.")}
    assert found == {flag for flag in FLAGS if flag.startswith("--trainer.")}
    assert "--tuner." not in text


def test_the_help_of_no_component_names_those_that_there_are():
    with pytest.raises(InputError, match=r"one of example-gen, .* received 'trainr'"):
        parse(DEFAULT, ["--help", "trainr"])


def test_variables_stand_between_the_file_and_the_flags(monkeypatch, tmp_path):
    file = tmp_path / "config.json"
    file.write_text('{"seed": 1, "trainer": {"epochs": 2, "batch_size": 4}}')
    monkeypatch.setenv("DLKERAS_TRAINER__EPOCHS", "3")
    monkeypatch.setenv("DLKERAS_TRAINER__TRANSFER__SOURCE", "lenet5:digits")
    monkeypatch.setenv("DLKERAS_TRANSFORM__AUGMENT", "false")
    monkeypatch.setenv("DLKERAS_TUNER__SPACE", "dropout=0:0.5,learning_rate=off")
    monkeypatch.setenv("DLKERAS_SEED", "5")
    config, _ = parse(DEFAULT, ["--config", str(file), "--seed", "6"])
    assert (config.trainer.epochs, config.trainer.batch_size, config.seed) == (3, 4, 6)
    assert config.trainer.transfer.source == "lenet5:digits"
    assert not config.transform.augment
    assert config.tuner.space["dropout"] == "0:0.5"
    assert config.tuner.space["learning_rate"] == "off"


@pytest.mark.parametrize(
    ("name", "text", "parts"),
    [
        ("DLKERAS_TRAINER__EPOCHS", "five", ["integer", '"five"']),
        ("DLKERAS_TRAINER__EPOCH", "5", ["expected a variable", "TRAINER__EPOCHS"]),
        ("DLKERAS_TUNER__SPACE", "{", ["expected JSON", "'{'"]),
        ("DLKERAS_MLRUNS", "", ["expected a path"]),
    ],
)
def test_a_wrong_variable_is_named(monkeypatch, capsys, name, text, parts):
    monkeypatch.setenv(name, text)
    assert main(DEFAULT, []) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {name}: ")
    assert all(part in line for part in parts)


def test_a_variable_replaces_the_network_of_a_script_as_a_flag_does(monkeypatch):
    reference = "tests.pipeline.test_own_parts:small_net"
    script = PipelineConfig(
        trainer={"network": reference, "network_args": {"filters": 8}}
    )
    monkeypatch.setenv("DLKERAS_TRAINER__ARCHITECTURE", "resnet20")
    trainer = parse(script, [])[0].trainer
    assert (trainer.architecture, trainer.network) == ("resnet20", None)
    assert trainer.network_args == {}
    flags = ["--trainer.network", reference, "--trainer.network-args.filters", "2"]
    trainer = parse(DEFAULT, flags)[0].trainer
    assert (trainer.architecture, trainer.network) == ("small_net", reference)
    assert trainer.network_args == {"filters": "2"}
    monkeypatch.setenv("DLKERAS_TRAINER__NETWORK", reference)
    with pytest.raises(InputError, match=r"^DLKERAS_TRAINER__ARCHITECTURE: expected "):
        parse(DEFAULT, [])
    assert (
        parse(DEFAULT, ["--trainer.architecture", "lenet5"])[0].trainer.network is None
    )


def test_a_flag_is_not_blamed_on_a_variable(monkeypatch, capsys):
    monkeypatch.setenv("DLKERAS_TRAINER__EPOCHS", "3")
    monkeypatch.setenv("DLKERAS_DATA", "of the tests, and no flag of this pipeline")
    assert main(DEFAULT, ["--trainer.epochs", "0"]) == 2
    assert capsys.readouterr().err.startswith("error: --trainer.epochs: ")


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
        (["--trainer.epochs", "--seed", "3"], ["--trainer.epochs", "received --seed"]),
        (["--trainer.activation", "--trainer.epoch=3"], ["received --trainer.epoch=3"]),
        (["--name", "--until", "Trainer"], ["--name", "received --until"]),
        (["--no-transform.augment=yes"], ["--no-transform.augment:", "'yes'"]),
        (["--transform.augment=maybe"], ["--transform.augment:", '"maybe"']),
        (["--mlruns", ""], ["--mlruns:", "expected a path"]),
        (["--tuner.space", "dropout"], ["--tuner.space:", "NAME=VALUE", "'dropout'"]),
        (["--tuner.space", "{"], ["--tuner.space:", "expected JSON", "'{'"]),
        (["--tuner.space", '{"dropout": 1}'], ["--tuner.space.dropout:", "string"]),
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
        ('{"trainer": {"epoch": 5}}', ["trainer.epoch:", "mean trainer.epochs"]),
        ('{"trainer": {"batch-size": 5}}', ["batch-size:", "mean trainer.batch_size"]),
        ('{"traner": {"epochs": 5}}', ["traner:", "did you mean trainer"]),
        ('{"early_stopping_patience": 5}', ["mean trainer.early_stopping_patience?"]),
        ('{"trainer": {"transfer": {"surce": ""}}}', ["mean trainer.transfer.source?"]),
        ('{"seed": 1, "seed": 2}', ["seed: expected once"]),
        (
            '{"trainer": {"epochs": 1}, "trainer": {"batch_size": 8}}',
            ["trainer: expected once"],
        ),
        (
            '{"tuner": {"space": {"dropout": "on", "dropout": "off"}}}',
            ["tuner.space.dropout: expected once"],
        ),
        ('{"trainer":', ["invalid JSON"]),
        ("[" * 100_000, ["invalid JSON"]),
        ("[]", ["expected a JSON object"]),
        ('{"trainer": null}', ["trainer: ", "null"]),
    ],
)
def test_a_wrong_file_is_named_with_the_key(tmp_path, text, parts):
    file = tmp_path / "config.json"
    file.write_text(text)
    with pytest.raises(InputError) as caught:
        load_config(file)
    for part in [str(file), *parts]:
        assert part in str(caught.value)


def test_a_byte_order_mark_is_no_part_of_a_file(tmp_path):
    file = tmp_path / "config.json"
    file.write_bytes(b"\xef\xbb\xbf" + b'{"seed": 7}')
    assert load_config(file).seed == 7
    file.write_bytes('{"seed": 7}'.encode("utf-16"))
    with pytest.raises(InputError, match=r"expected a readable JSON file; .*config"):
        load_config(file)


def test_a_part_of_a_configuration_leaves_the_rest_of_the_script_as_it_is(tmp_path):
    """A script of photographs with a ResNet, no search; the file says two things."""
    script = runpy.run_path(str(ROOT / "pipelines/resnet20_image_folder.py"))["CONFIG"]
    file = tmp_path / "part.json"
    file.write_text('{"name": "mine", "trainer": {"epochs": 2}}')
    config, _ = parse(script, ["--config", str(file), "--trainer.batch-size", "16"])
    trainer = script.trainer.model_copy(update={"epochs": 2, "batch_size": 16})
    assert config == script.model_copy(update={"name": "mine", "trainer": trainer})
    assert (config.trainer.architecture, config.tuner.enabled) == ("resnet20", False)


def leaves(values, path=()):
    """The fields of a configuration that holds others, with their values."""
    for name, value in values.items():
        if isinstance(value, dict) and (*path, name) != ("tuner", "space"):
            yield from leaves(value, (*path, name))
        else:
            yield (*path, name), value


def test_a_file_that_lacks_a_field_takes_that_field_of_the_script_and_no_other(
    tmp_path,
):
    """Such as a file of an earlier version, which had fewer fields; each in turn."""
    script = runpy.run_path(str(ROOT / "pipelines/resnet20_image_folder.py"))["CONFIG"]
    of_a_run = PipelineConfig().model_dump(mode="json")
    for path, _ in leaves(of_a_run):
        older = copy.deepcopy(of_a_run)
        section = older
        for name in path[:-1]:
            section = section[name]
        del section[path[-1]]
        file = tmp_path / "older.json"
        file.write_text(json.dumps(older))
        merged = dict(leaves(load_config(file, script).model_dump(mode="json")))
        expected = dict(leaves(of_a_run))
        expected[path] = dict(leaves(script.model_dump(mode="json")))[path]
        if path[0] == "example_gen":  # a folder of images stands in place of a data set
            folder = expected["example_gen", "image_folder"]
            expected["example_gen", "dataset"] = None if folder else "digits"
        assert merged == expected


def test_the_file_of_a_run_is_that_run_whatever_the_script_searches(tmp_path):
    script = PipelineConfig(tuner={"space": {"dropout": "0:0.5", "optimizer": "on"}})
    run = PipelineConfig(tuner={"space": {"learning_rate": "on"}})
    file = tmp_path / "run.json"
    file.write_text(run.model_dump_json())
    assert parse(script, ["--config", str(file)])[0] == run


FLAGS = flags_of(PipelineConfig)
TEXTS = [
    "--direct_num_workers=4", "--a_b --c=d_e", "-x", "-1", "_a_", "--", "---", "a,b",
    "[1, 2]", "{}", '{"a": 1}', '"q"', "'q'", " a ", "true", "1e3", "a=b", "@file",
    "a\nb", "null", "ß%s", "$HOME", "--transform", "--x_y",
]  # fmt: skip


def typed(config, flag):
    for name in flag.path:
        config = getattr(config, name)
    return config


@pytest.mark.parametrize(
    "name", [name for name, flag in FLAGS.items() if flag.kind in (str, Path)]
)
def test_a_value_arrives_as_it_was_typed(name):
    flag = FLAGS[name]
    for text in TEXTS:
        for arguments in ([name, text], [f"{name}={text}"]):
            try:
                config, _ = parse(DEFAULT, arguments)
            except InputError as error:  # a name must be one, whatever the flag
                assert "pattern" in str(error), arguments
                assert flag.field.metadata, arguments
                assert json.dumps(text) in str(error)
                continue
            assert str(typed(config, flag)) == text, arguments


def test_none_unsets_what_may_be_left_out_and_is_a_value_elsewhere():
    script = PipelineConfig(
        trainer=TrainerConfig(activation="relu", dropout=0.5), tracking_uri="sqlite://"
    )
    config, _ = parse(
        script,
        ["--trainer.activation", "None", "--trainer.dropout=None", "--tracking-uri",
         "None", "--example-gen.beam-options", "None"],
    )  # fmt: skip
    assert config.trainer == TrainerConfig()
    assert config.tracking_uri is None
    assert config.example_gen.beam_options == "None"


@pytest.mark.parametrize(
    "flags",
    [
        ["dropout=0:0.5", "activation=relu,tanh", "augmentation_strength=off"],
        ["dropout=0:0.5,activation=relu,tanh,augmentation_strength=off"],
        ['{"dropout": "0:0.5", "activation": "relu,tanh"}',
         "augmentation_strength=off"],
        ["activation=gelu", '{"dropout": "0:0.5"}',
         "activation=relu,tanh,augmentation_strength=off"],
    ],
)  # fmt: skip
def test_the_keys_of_a_dictionary_come_in_one_flag_or_in_several(flags):
    arguments = [part for text in flags for part in ("--tuner.space", text)]
    config, _ = parse(DEFAULT, arguments)
    assert config.tuner.space == {
        "learning_rate": "on",
        "augmentation_strength": "off",
        "dropout": "0:0.5",
        "activation": "relu,tanh",
    }


@pytest.mark.parametrize(
    "flags",
    [["mean,label"], ["mean", "label"], ['["mean", "label"]'], ["mean", '["label"]']],
)
def test_the_values_of_a_list_come_in_one_flag_or_in_several(flags):
    arguments = [f"--evaluator.slices={text}" for text in flags]
    assert parse(DEFAULT, arguments)[0].evaluator.slices == ("mean", "label")


def test_every_kind_of_flag_is_one_that_is_tried_here():
    """A field of another kind needs a rule of its own, and its test."""
    kinds = {typing.get_origin(flag.kind) or flag.kind for flag in FLAGS.values()}
    assert kinds == {str, Path, int, float, bool, tuple, dict, typing.Literal}


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"--config.*absent\.json"):
        parse(DEFAULT, ["--config", str(tmp_path / "absent.json")])


def test_the_printed_configuration_is_the_resolved_one(capsys):
    assert main(DEFAULT, ["--trainer.epochs", "4", "--print-config"]) == 0
    config = PipelineConfig.model_validate_json(capsys.readouterr().out)
    assert config == parse(DEFAULT, ["--trainer.epochs", "4"])[0]


@pytest.mark.parametrize("source", ["image-folder", "manifest", "npz", "builder-dir"])
def test_the_configuration_of_another_source_names_no_data_set(source, capsys):
    """Of a script, a variable or a default; and none where there is another source."""
    script = PipelineConfig(example_gen={"dataset": "mnist"})
    assert main(script, [f"--example-gen.{source}", "a", "--print-config"]) == 0
    section = json.loads(capsys.readouterr().out)["example_gen"]
    assert (section["dataset"], section[source.replace("-", "_")]) == (None, "a")
    again = PipelineConfig.model_validate_json(json.dumps({"example_gen": section}))
    assert again.example_gen.source_name.endswith("a")
    assert parse(script, [])[0].example_gen.dataset == "mnist"
    assert PipelineConfig().example_gen.dataset == "digits"


def test_a_configuration_is_frozen():
    with pytest.raises(ValueError, match="frozen"):
        DEFAULT.trainer.epochs = 3


def test_a_dimension_that_no_search_has_is_refused_before_anything_is_made(
    tmp_path, capsys
):
    mlruns = tmp_path / "mlruns"
    assert main(DEFAULT, ["--mlruns", str(mlruns), "--tuner.space", "dropuot=on"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "--tuner.space: expected a dimension of lenet5" in line
    assert "'dropuot'" in line
    assert not mlruns.exists()


def test_the_names_of_the_pipeline_are_imported_on_demand():
    code = (
        "import sys, dlkeras.pipeline as p\n"
        "assert not {'pydantic', 'filelock', 'numpy'} & set(sys.modules)\n"
        "from dlkeras.pipeline import run, tracking\n"
        "assert run is p.run and run.__name__ == 'run'\n"
        "assert {'run', 'main', 'PipelineConfig'} < set(dir(p))\n"
        "assert p.PipelineConfig(name='x').name == 'x'\n"
        "assert 'mlflow' not in sys.modules and 'tensorflow' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["dlkeras.pipeline", "dlkeras.pipeline.tracking"])
def test_each_name_is_found_where_the_type_checker_finds_it(name):
    package = importlib.import_module(name)
    tree = ast.parse(Path(str(package.__file__)).read_text(encoding="utf-8"))
    homes = {
        alias.name: str(node.module)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith(name)
        for alias in node.names
    }
    assert len(homes) >= 10 and set(homes) <= set(dir(package))
    for public, home in homes.items():
        found = getattr(importlib.import_module(home), public)
        assert getattr(package, public) is found
    for key, home in homes.items():
        found = getattr(importlib.import_module(str(home)), key)
        assert getattr(package, key) is found
