"""The page of what is not here: each name it gives is to be had where it says."""

import importlib
import importlib.util
import re
from pathlib import Path

import keras
import pytest

PAGE = Path(__file__).parents[2] / "docs" / "architectures" / "elsewhere.md"


def rows():
    for line in PAGE.read_text("utf-8").splitlines():
        if line.startswith("| ") and "Not here" not in line:
            for source in line.split("|")[2].split(";"):
                yield source, re.findall(r"`([\w.]+)`", source)


def test_keras_applications_has_each_network_that_the_page_says():
    named = [
        name.removeprefix("keras.applications.")
        for source, names in rows()
        if "keras.applications." in source
        for name in names
    ]
    assert len(named) >= 14
    assert [name for name in named if not hasattr(keras.applications, name)] == []


@pytest.mark.parametrize("package", ["timm", "keras_hub"])
def test_timm_and_kerashub_have_each_network_that_the_page_says(package):
    word = {"timm": "timm", "keras_hub": "KerasHub"}[package]
    named = [
        name for source, names in rows() if source.strip().startswith(word)
        for name in names
    ]  # fmt: skip
    assert len(named) >= 5
    found = importlib.util.find_spec(package) and importlib.import_module(package)
    if not found:
        pytest.skip(f"{package} is not installed")
    has = found.is_model if package == "timm" else found.models.__dict__.__contains__
    assert [name for name in named if not has(name)] == []
