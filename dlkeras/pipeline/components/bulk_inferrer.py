"""BulkInferrer: asks the pushed model about a folder of unlabelled images."""

from pathlib import Path

from dlkeras.pipeline.artifacts.types import Artifact, PushedModel
from dlkeras.pipeline.configuration.config import BulkInferrerConfig
from dlkeras.pipeline.engine.component import component
from dlkeras.pipeline.serving.answer_table import write_table
from dlkeras.pipeline.serving.answering import image_files, predict
from dlkeras.pipeline.serving.tasks.registry import read_task
from dlkeras.pipeline.store.errors import InputError
from dlkeras.pipeline.store.publishing import Draft, file_digest


class Inferences(Artifact):
    """A row for each image: its file, what is answered, or why it cannot be read."""

    producer = "BulkInferrer"
    TABLE = "answers.csv"


def _lines(found: Inferences) -> list[str]:
    p = found.properties
    unread = f", {p['unread']:,} cannot be read" if p["unread"] else ""
    table = found.path / Inferences.TABLE
    return [f"answers for {p['images'] - p['unread']:,} images{unread}: {table}"]


def _content(config: BulkInferrerConfig) -> list[list[str]]:
    """The images' names and digests: other content, other answers."""
    folder = config.images
    if folder is None:
        raise InputError("--bulk-inferrer.images: expected a folder; received none")
    return [
        [file.relative_to(folder).as_posix(), file_digest(file)]
        for file in image_files([folder])
    ]


@component(
    packages=("keras", "tensorflow", "pillow"), fingerprint=_content, lines=_lines
)
def bulk_inferrer(
    config: BulkInferrerConfig, output: Draft[Inferences], pushed: PushedModel
) -> None:
    """Ask the pushed model about every image below a folder.

    Args:
        config: the folder.
        output: gets `answers.csv`, a row for each image, in the order of their names:
            the file, the likeliest classes with their probabilities (or all labels, or
            a number), and the error of one that cannot be read.
        pushed: the model.

    Raises:
        InputError: there is no image in the folder.
    """
    folder: Path = config.images or Path()
    model = pushed.path / PushedModel.MODEL
    labels = list(pushed.properties["labels"])
    answers = predict(model, labels, [folder], task=read_task(pushed.path))
    for answer in answers:
        answer["image"] = Path(answer["image"]).relative_to(folder).as_posix()
    write_table(output.path / Inferences.TABLE, answers)
    unread = sum("error" in answer for answer in answers)
    output.properties.update(images=len(answers), unread=unread)
