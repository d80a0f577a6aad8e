"""Hostile weight files end in one line, soon, and in little memory."""

import re
import sys

import numpy as np
import pytest

from dlkeras.untrusted.weights import WeightFileError, read_weight_file
from tests.untrusted.hostile_weights import entry, safetensors, write_all
from tests.untrusted.own_process import tried

# The process takes 30 to start, a file of 4 MiB at most 8 times its size and 16.
MOST_MIB = 200


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    files = write_all(tmp_path_factory.mktemp("hostile"))
    imports = "from dlkeras.untrusted.weights import read_weight_file"
    return tried(imports, "read_weight_file(path)", files)


def test_no_hostile_weight_file_takes_memory_or_time(answers):
    assert len(answers) > 80
    before = 0
    for name, (said, mib, seconds) in answers.items():
        assert said.startswith("WeightFileError: "), name
        assert "\n" not in said and len(said) < 500, name
        assert mib < MOST_MIB, (name, "the one before:", before)
        assert seconds < 5, name
        before = mib


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("same_bytes.safetensors", "cut off or corrupt"),
        ("hole.safetensors", "cut off or corrupt"),
        ("stride_0.pth", "need more than"),
        ("tied.pth", "need more than"),
        ("memo.pth", "holds dict, not a state dict"),
        ("key.pth", "neither text nor a number"),
        ("same_hash.pth", r"number below 2\*\*60"),
        ("floats.pth", r"number below 2\*\*60"),
        ("storage.pth", "not a storage"),
        ("storage_key.pth", "where a name is expected"),
        ("shape.pth", "more than 32 dimensions"),
        ("long_shape.safetensors", "more than 32 dimensions|corrupt"),
        ("bomb.pth", "compressed"),
        ("claim.pth", "compressed"),
        ("many.pth", "it has more than"),
        ("holes.safetensors", "never written"),
        ("data_bomb.pth", "compressed"),
        ("pipe.pth", "it is a pipe or a device"),
        ("device.pth", "it is a pipe or a device"),
        ("folder.pth", "it is a folder"),
        ("opcode_BYTEARRAY8.pth", "not a readable|opcode BYTEARRAY8"),
    ],
)
def test_the_line_says_what_is_wrong(answers, name, reason):
    assert re.search(reason, answers[name][0])


def test_arrays_of_safetensors_stand_in_a_row_in_any_order(tmp_path):
    file = tmp_path / "good.safetensors"
    values = np.arange(7, dtype="<f4")
    entries = {
        "b": entry(12, 28, [2, 2]),
        "empty": entry(12, 12, [0, 3]),
        "a": entry(0, 12, [3]),
        "__metadata__": {"format": "pt"},
    }
    safetensors(file, entries, values.tobytes())
    arrays = read_weight_file(file)
    assert np.array_equal(arrays["a"], [0, 1, 2])
    assert np.array_equal(arrays["b"], [[3, 4], [5, 6]])
    assert arrays["empty"].shape == (0, 3)


@pytest.mark.parametrize("reader", ["safetensors", "our own"])
def test_each_byte_of_safetensors_belongs_to_one_array(tmp_path, monkeypatch, reader):
    """As the format says; the library of its makers judges the same where it is."""
    if reader == "safetensors":
        pytest.importorskip(reader)
    else:
        monkeypatch.setitem(sys.modules, "safetensors", None)
    file = tmp_path / "file.safetensors"
    two = {"a": entry(0, 8, [2]), "b": entry(8, 12, [1])}
    safetensors(file, two, bytes(12))
    assert set(read_weight_file(file)) == {"a", "b"}
    for entries in [
        {"a": entry(0, 8, [2]), "b": entry(4, 12, [2])},
        {"a": entry(0, 8, [2])},
        {"a": entry(4, 12, [2])},
        {"a": entry(0, 12, [2])},
        {"a": entry(0, 16, [4])},
    ]:
        safetensors(file, entries, bytes(12))
        with pytest.raises(WeightFileError, match="cut off or corrupt"):
            read_weight_file(file)
