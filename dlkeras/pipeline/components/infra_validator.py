"""InfraValidator: tries the blessed model in each form it is served in.

A fresh process, which knows nothing of the training, loads every form, compares its
files with their SHA-256, and answers real images as the trainer's model does: as pixels
of the test split, and as image files, which it decodes as a served model does.
"""

import json
import subprocess
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
from dlkeras.pipeline.serving.servable import (
    KERAS,
    LITERT,
    ONNX,
    QUESTIONS,
    SAVED_MODEL,
    digests,
    serving_model,
    with_temperature,
    write_form,
)
from dlkeras.pipeline.serving.stranger import stranger
from dlkeras.pipeline.serving.tasks.registry import answer_scale, task_of
from dlkeras.pipeline.store.errors import PipelineError, last_line
from dlkeras.pipeline.store.publishing import Draft, canonical_digest

if TYPE_CHECKING:
    import keras

PROTOCOL = "infra_validation.json"
# A graph rounds elsewhere than the trainer's model does: eight steps of half precision.
TOLERANCES = {"float16": 2.0**-7, "bfloat16": 2.0**-4}
TOLERANCE = 1e-5
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
    with stranger() as process:  # it imports while the model is judged
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
        "folder": str(output.path.resolve()),
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
