"""InfraValidator: tries the blessed model in each form it is served in.

A fresh process, which knows nothing of the training, loads every form, compares its
files with their SHA-256, and answers real images as the trainer's model does: as pixels
of the test split, and as image files, which it decodes as a served model does.
"""

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dlkeras.pipeline.artifacts.types import (
    Blessing,
    Evaluation,
    Examples,
    Model,
    ServableModel,
    Transform,
)
from dlkeras.pipeline.configuration.config import InfraValidatorConfig
from dlkeras.pipeline.engine.component import component
from dlkeras.pipeline.examples.decoding import image_pixels
from dlkeras.pipeline.serving.servable import (
    KERAS,
    LITERT,
    ONNX,
    QUESTIONS,
    SAVED_MODEL,
    TAKES_RAW_IMAGES,
    digests,
    load_form,
    serving_model,
    with_temperature,
    write_form,
)
from dlkeras.pipeline.serving.tasks.registry import answer_scale, task_of
from dlkeras.pipeline.store.errors import PipelineError, last_line, reason
from dlkeras.pipeline.store.publishing import Draft, canonical_digest

if TYPE_CHECKING:
    import keras

PROTOCOL = "infra_validation.json"
# A graph rounds elsewhere than the trainer's model does: eight steps of half precision.
TOLERANCES = {"float16": 2.0**-7, "bfloat16": 2.0**-4}
TOLERANCE = 1e-5
# What a form is asked with: pixels and image files, or what the preprocessing gives.
RAW = ("raw", "file")
PREPARED = ("prepared",)
ASKED_BYTES = 2**28


@component
def infra_validator(
    config: InfraValidatorConfig,
    output: Draft[ServableModel],
    examples: Examples,
    transform: Transform,
    model: Model,
    evaluation: Evaluation,
    blessing: Blessing,
    *,
    model_name: str,
) -> None:
    """Write every form of a model, and have a fresh process load and question it.

    Args:
        config: the forms, the number of images, the tolerance and the deadline.
        output: gets the forms, `questions.npz` (real images, as pixels and as files,
            and the probabilities of the trainer's model) and `infra_validation.json`
            (for each form its files' SHA-256 and the largest difference).
        model_name: its name in the registry.
        examples: where the images are taken from: the test split's first.
        transform: the preprocessing that belongs to the model.
        model: the trainer's.
        evaluation: the temperature that the logits are divided by.
        blessing: that of the evaluator; without it nothing is tried.

    Raises:
        PipelineError: a form cannot be loaded, is not the file that was written, or
            answers differently.
        InputError: a package that a form needs is not installed.
    """
    del blessing  # it is read by being an input: no blessing, no servable model
    with _fresh_process(output.path) as process:  # it imports while the forms are made
        network, preprocessing = model.network(), transform.preprocessing()
        temperature = evaluation.properties.get("temperature", 1.0)
        network = with_temperature(network, temperature)
        output.properties.update(temperature=temperature)
        _write_and_ask(
            config, output, model_name, examples, network, preprocessing, model, process
        )


def _write_and_ask(
    config: InfraValidatorConfig,
    output: Draft,
    name: str,
    examples: Examples,
    network: "keras.Model",
    preprocessing: "keras.Model",
    model: Model,
    process: subprocess.Popen,
) -> None:
    served = serving_model(preprocessing, network, name)
    forms = [KERAS, SAVED_MODEL]
    forms += [ONNX] if config.onnx else []
    forms += [LITERT] if config.litert else []
    for form in forms:
        write_form(form, output.path, served, network, task_of(examples.task).output)
    asked, held = {}, 0
    judged = examples.dataset("test").take(config.images).as_numpy_iterator()
    files = examples.encoded("test")
    for index, (example, file) in enumerate(zip(judged, files, strict=False)):
        image = example["image"][None]
        held += image.nbytes
        if held > ASKED_BYTES and asked:
            break  # photographs of a camera
        prepared = preprocessing(image)
        asked[f"raw_{index}"] = image
        asked[f"file_{index}"] = np.frombuffer(file.image, "uint8")
        asked[f"prepared_{index}"] = np.asarray(prepared)
        asked[f"expected_{index}"] = np.asarray(network(prepared))
    np.savez_compressed(output.path / QUESTIONS, **asked)
    tolerance = config.tolerance
    if tolerance is None:
        computed_in = model.properties["dtype_policy"].removeprefix("mixed_")
        tolerance = TOLERANCES.get(computed_in, TOLERANCE)
        tolerance *= answer_scale(examples.properties)
    request = {
        "tolerance": tolerance,
        "forms": {form: digests(output.path, form) for form in forms},
    }
    differences = _ask(process, request, config.timeout)
    protocol = {
        form: {"files": files, "largest_difference": differences[form]}
        for form, files in request["forms"].items()
    }
    output.write_json(PROTOCOL, protocol)
    output.properties.update(
        forms=forms,
        images=sum(name.startswith("raw_") for name in asked),
        tolerance=tolerance,
        largest_difference=max(differences.values()),
    )
    output.digest = canonical_digest([served.to_json(), model.record.digest, forms])


@contextlib.contextmanager
def _fresh_process(folder: Path) -> Iterator[subprocess.Popen]:
    """Start `answer` of this file in a process of its own; end it in any case."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "dlkeras.pipeline.components.infra_validator",
            str(folder),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _ask(process: subprocess.Popen, request: dict, timeout: float) -> dict[str, float]:
    try:
        given, complaints = process.communicate(json.dumps(request), timeout)
    except subprocess.TimeoutExpired as error:
        raise PipelineError(
            f"expected the served model's answers within {timeout:g} s; the process "
            "that was to give them gave none: --infra-validator.timeout"
        ) from error
    try:
        answer = json.loads(last_line(given))
    except ValueError as error:
        raise PipelineError(
            f"the process that was to load the served model ended with exit code "
            f"{process.returncode}: {last_line(complaints)}"
        ) from error
    if "problem" in answer:
        raise PipelineError(f"not pushed: {answer['problem']}")
    return answer


def answer(folder: Path, request: dict) -> dict[str, float]:
    """Load and question every form; the fresh process's part.

    Args:
        folder: where the forms and the questions are.
        request: `tolerance`, and `forms`: SHA-256 of each file by form.

    Returns:
        The largest difference from the trainer's model, by form.

    Raises:
        PipelineError: a file is another one, or an answer differs.
    """
    with np.load(folder / QUESTIONS, allow_pickle=False) as asked:
        questions = dict(asked)
    differences = {}
    for form, published in request["forms"].items():
        found = digests(folder, form)
        for name in sorted(published.keys() | found.keys()):
            if published.get(name) != found.get(name):
                raise PipelineError(
                    f"{name}: expected SHA-256 {str(published.get(name))[:16]}, "
                    f"received {str(found.get(name))[:16]}"
                )
        try:
            call = load_form(form, folder)
        except Exception as error:  # whatever it is, this form cannot be served
            raise PipelineError(
                f"{form}: expected a model that loads in a fresh process; "
                f"{type(error).__name__}: {reason(error)}"
            ) from error
        given = [
            _difference(form, questions, number, kind, call, request["tolerance"])
            for number in range(sum(name.startswith("raw_") for name in questions))
            for kind in (RAW if form in TAKES_RAW_IMAGES else PREPARED)
        ]
        differences[form] = max(given, default=0.0)
    return differences


def _difference(
    form: str,
    questions: dict[str, np.ndarray],
    number: int,
    kind: str,
    call: Callable[[np.ndarray], np.ndarray],
    tolerance: float,
) -> float:
    """Ask one question in one of its forms, and compare the answer."""
    expected, asked = questions[f"expected_{number}"], questions[f"{kind}_{number}"]
    if kind == "file":
        channels = questions[f"raw_{number}"].shape[-1]
        asked = image_pixels(asked.tobytes(), channels)[None]
    received = call(asked)
    difference = (
        float(np.abs(expected - received).max())
        if expected.shape == received.shape
        else np.inf
    )
    if not difference <= tolerance:
        sent = ", sent as a file" if kind == "file" else ""
        raise PipelineError(
            f"{form}: expected the trainer's probabilities within {tolerance:g} for "
            f"test image {number}{sent}; they differ by {difference:.2g}"
        )
    return difference


if __name__ == "__main__":
    import dlkeras.layers
    import dlkeras.pipeline.tensorflow_import  # noqa: F401  (while the other writes)

    try:
        reply: dict = answer(Path(sys.argv[1]), json.load(sys.stdin))
    except PipelineError as problem:
        reply = {"problem": str(problem)}
    print(json.dumps(reply))
