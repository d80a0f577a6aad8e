"""Networks and weights are opened in `dlkeras.untrusted`, and nowhere beside it."""

import ast

from tests.conftest import ROOT

# What opens a file of weights or of a network, by the last names of the call.
OPENERS = frozenset(
    (
        "load_model", "load_weights", "load_file", "model_from_json", "safe_open",
        "h5py.File", "Unpickler", "pickle.load", "pickle.loads", "torch.load",
        "saved_model.load", "InferenceSession", "Interpreter", "TFSMLayer",
    )
)  # fmt: skip
# What is opened elsewhere, and why it is no stranger's.
OWN = {
    "pipeline/artifacts/types.py: load_model": "the store's own, digests are compared",
    "pipeline/serving/servable.py: load_model": "what InfraValidator has just written",
    "pipeline/serving/servable.py: saved_model.load": "as above",
    "pipeline/serving/servable.py: InferenceSession": "as above",
    "pipeline/serving/servable.py: Interpreter": "as above",
    "pipeline/serving/answering.py: load_model": "the door itself is called",
    "pipeline/training/transfer_source.py: load_model": "the door itself is called",
    "architectures/weights/loading.py: load_model": "the door itself is called",
    "architectures/presets.py: load_model": "the door itself is called",
    "pipeline/commands/trying/why_not.py: load_model": "the door itself is called",
    "architectures/weights/h5.py: h5py.File": "its objects come from the door's walk",
    "architectures/weights/shipped.py: load_weights": "shipped, with its SHA-256",
    "pipeline/tracking/model_server.py: load_model": "MLflow calls our loader alone",
    "testing/architecture.py: load_model": "what the check has just saved",
    "testing/layer_config.py: load_model": "what the check has just saved",
    "testing/callback.py: load_model": "what the check has just saved",
    "visualization/look/saved_beside.py: pickle.load": "the pipe of its own parent",
}


def opened():
    """Every call in the package that opens such a file, by file and name."""
    found = set()
    package = ROOT / "dlkeras"
    for file in package.rglob("*.py"):
        place = file.relative_to(package).as_posix()
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            names = ast.unparse(node.func).split(".")
            for name in (names[-1], ".".join(names[-2:])):
                if name in OPENERS:
                    found.add(f"{place}: {name}")
    return found


def test_nothing_opens_networks_or_weights_beside_the_door():
    outside = {call for call in opened() if not call.startswith("untrusted/")}
    assert outside - set(OWN) == set()


def test_what_is_opened_elsewhere_is_still_opened_there():
    """Exceptions that nothing needs any more would let new code through."""
    assert set(OWN) - opened() == set()


def test_callers_of_the_door_call_the_door():
    for call in (call for call, why in OWN.items() if why.startswith("the door")):
        text = (ROOT / "dlkeras" / call.split(":")[0]).read_text(encoding="utf-8")
        assert "saving.load_model" not in text, call
        assert "dlkeras.untrusted" in text, call
