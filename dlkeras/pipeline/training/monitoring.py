"""What watches the trainer's `fit`: gradients, activations, findings, and figures."""

import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dlkeras.pipeline.artifacts.types import Examples, Transform
from dlkeras.pipeline.configuration.config import TrainerConfig
from dlkeras.pipeline.store.errors import PipelineError
from dlkeras.pipeline.store.publishing import Draft
from dlkeras.visualization.training.beside import (
    DrawingProcess,
    draw_epoch,
    folder_of,
)
from dlkeras.visualization.training.watched import epoch_drawings

# Images of the validation split that the activations are measured on.
PROBE_SIZE = 256
MEASURED = ("gradient_norm", "weight_norm", "update_norm", "zero_share")
# A training of so few steps has one program for all of them: a second one, which does
# not measure, would take longer to compile than it saves.
FEW_STEPS = 100
# The page with the verdict.
DIAGNOSIS = "diagnosis.html"
_STOPPED = "--trainer.on-finding stop: expected a healthy training; {}"
FigureObserver = Callable[[Mapping[str, Path], int], None]


class Monitoring:
    """The gradient and activation monitors of one training.

    What they measure belongs to the training's state, so that a resumed training ends
    with the numbers and the figures of one that was not interrupted.

    Args:
        config: how often is measured, and what happens at a finding.
        probe: preprocessed images, `(images, height, width, channels)`.
        steps: how many the whole training has; default: many.
        folder: where the figures are kept while training.
        say: shows a line to the user; each kind of finding is told once.
        on_figures: is told the figures of an epoch, PNG files by name, and the number
            of the epoch, from 1, at the end of an epoch by which they are drawn: a
            process of its own draws them.

    Attributes:
        callbacks: for `fit`, before the ones that ask for what was measured.
    """

    def __init__(
        self,
        config: TrainerConfig,
        probe: Any,
        *,
        steps: int | None = None,
        folder: Path,
        say: Callable[[str], None],
        on_figures: FigureObserver,
    ) -> None:
        from dlkeras.pipeline.tensorflow_import import keras  # isort: split

        from dlkeras.callbacks import ActivationMonitor, GradientNormMonitor

        self._stop = config.on_finding == "stop"
        self._folder, self._say, self._on_figures = folder, say, on_figures
        self._drawing, self._asked = DrawingProcess(folder), list[int]()
        self._untold: list[Any] = []
        self._data: tuple = ([], None, False, [])
        self._is_asked = True
        self._first_penalty = 0.0
        self._gradients = GradientNormMonitor(
            config.gradient_frequency, on_finding=self._untold.append
        )
        self._gradients.one_program = steps is not None and steps <= FEW_STEPS
        self._activations = ActivationMonitor(
            probe, config.activation_frequency, on_finding=self._untold.append
        )
        self.callbacks: list[Any] = [
            self._gradients,
            self._activations,
            keras.callbacks.LambdaCallback(
                on_epoch_begin=lambda epoch, logs: self._report_findings(),
                on_epoch_end=lambda epoch, logs: self._epoch_ended(epoch + 1),
                on_train_end=lambda logs: self._report_findings(),
            ),
        ]

    @property
    def findings(self) -> list[str]:
        """A line for each kind of finding, errors first."""
        from dlkeras.diagnosis.finding import summary

        found = [*self._gradients.findings, *self._activations.findings]
        return summary(sorted(found, key=lambda finding: finding.rank))

    def begin(
        self, model: Any, batches: Iterable[Any], *, is_asked: bool = True
    ) -> None:
        """Look at the network and its data before the first step.

        Args:
            model: compiled; its weights may be those of a resumed training.
            batches: some of the batches it is trained on.
            is_asked: whether its answers are looked at, too: of several machines one
                alone may not ask it.

        Raises:
            PipelineError: it cannot learn, and `on_finding` is `"stop"`.
        """
        from dlkeras.diagnosis.checks import of_batches
        from dlkeras.diagnosis.rules.optimisation import penalty_of
        from dlkeras.diagnosis.training import hopeless

        self._data, self._is_asked = of_batches(list(batches)), is_asked
        self._first_penalty = self._first_penalty or penalty_of(model)
        found = hopeless(self._judged(model, []))
        for finding in found:
            self._say(str(finding))
        if found and self._stop:
            raise PipelineError(_STOPPED.format(found[0]))

    def epoch_metrics(self, epoch: int) -> dict[str, float]:
        """`gradient_norm/LAYER`: the median norm of each layer in an epoch (from 0)."""
        return self._gradients.epoch_metrics(epoch)

    def get_state(self) -> dict[str, np.ndarray]:
        """What was measured so far, as arrays."""
        return {
            f"{name}/{key}": value
            for name, monitor in self._monitors.items()
            for key, value in monitor.get_state().items()
        } | {"first_penalty": np.array(self._first_penalty)}

    def set_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on from what `get_state` returned."""
        self._first_penalty = float(state.get("first_penalty", 0.0))
        for name, monitor in self._monitors.items():
            mine = {
                key.removeprefix(f"{name}/"): value
                for key, value in state.items()
                if key.startswith(f"{name}/")
            }
            if mine:
                monitor.set_state(mine)

    def show_earlier(self, epochs: int) -> None:
        """Show the figures of the epochs that an earlier, interrupted training did."""
        for epoch in range(1, epochs + 1):
            if _is_drawn(epoch):
                self._show(epoch)

    def finish(
        self, output: Draft, model: Any, logs: Sequence[Mapping[str, float]]
    ) -> None:
        """Write the measurements, the findings, the verdict and the figures.

        Args:
            output: gets `gradients.npz`, `findings.json`, `diagnosis.html`, the last
                epoch's figures in `figures/`, and those of earlier epochs in
                `figures/epoch-NNNN/`.
            model: compiled, as it is kept.
            logs: of each epoch that was trained.
        """
        epochs = len(logs)
        self._hand_over(wait=True)
        history = self._gradients.history
        np.savez_compressed(
            output.path / "gradients.npz",
            allow_pickle=False,
            layers=np.array(history.layer_names),
            steps=history.steps,
            epochs=history.epochs,
            loss=history.loss,
            **{name: history.per_layer(name) for name in MEASURED},
        )
        found = [*self._gradients.findings, *self._activations.findings]
        output.write_json("findings.json", [vars(finding) for finding in found])
        from dlkeras.visualization.look.saved_beside import draw_figure

        before = _drawn_before(epochs)
        for name, draw in epoch_drawings(self._measured(), epochs, before):
            draw_figure(output.figure_path(name), draw)
        diagnosis = self._judged(model, logs)
        shown = {
            name: [row.get(name, np.nan) for row in logs]
            for name in ("loss", "val_loss", "accuracy", "val_accuracy")
            if any(name in row for row in logs)
        }
        page = diagnosis.to_html(shown)
        (output.path / DIAGNOSIS).write_text(page, encoding="utf-8")
        output.properties.update(findings=self.findings, verdict=diagnosis.verdict)
        for epoch in range(1, epochs):
            if _is_drawn(epoch):
                figures = output.path / "figures" / f"epoch-{epoch:04d}"
                figures.parent.mkdir(exist_ok=True)
                shutil.copytree(self._draw(epoch), figures)

    def _judged(self, model: Any, logs: Sequence[Mapping[str, float]]) -> Any:
        """The diagnosis of what is known now."""
        from dlkeras.diagnosis.checks import ANSWERED
        from dlkeras.diagnosis.training import judge_training

        inputs = self._data[0]
        return judge_training(
            model,
            self._data,
            probe=inputs[0][:ANSWERED] if inputs and self._is_asked else None,
            logs=logs,
            rates=[row["learning_rate"] for row in logs if "learning_rate" in row],
            gradients=self._gradients,
            activations=self._activations if logs else None,
            first_penalty=self._first_penalty,
        )

    @property
    def _monitors(self) -> dict[str, Any]:
        return {"gradients": self._gradients, "activations": self._activations}

    def _epoch_ended(self, epoch: int) -> None:
        errors = [f for f in self._untold if f.severity == "error"]
        if self._stop and errors:
            raise PipelineError(_STOPPED.format(errors[0]))
        if _is_drawn(epoch):
            self._show(epoch)
        self._hand_over(wait=False)

    def _show(self, epoch: int) -> None:
        """Have an epoch's figures drawn while the training goes on, and shown then."""
        if not self._drawing.is_drawn(epoch):
            self._drawing.ask(epoch, _drawn_before(epoch), self._measured())
        self._asked.append(epoch)

    def _hand_over(self, *, wait: bool) -> None:
        """Show the figures that are drawn by now, in the order of their epochs."""
        while self._asked and (wait or self._drawing.is_drawn(self._asked[0])):
            epoch = self._asked.pop(0)
            folder = self._drawing.wait(epoch)
            self._on_figures({f.stem: f for f in sorted(folder.glob("*.png"))}, epoch)
        if wait:
            self._drawing.close()

    def _report_findings(self) -> None:
        """Between two epochs: not into the middle of a progress bar."""
        from dlkeras.diagnosis.finding import summary

        for line in summary(self._untold):
            self._say(line)
        self._untold.clear()

    def _draw(self, epoch: int) -> Path:
        """The folder of an epoch's figures, drawn if they are not there already."""
        if not self._drawing.is_drawn(epoch):
            before = _drawn_before(epoch)
            return draw_epoch(self._folder, epoch, before, self._measured())
        return folder_of(self._folder, epoch)

    def _measured(self) -> dict[str, np.ndarray]:
        """What the figures of an epoch are drawn of."""
        gradients, activations = self._gradients.history, self._activations.history
        ratios = ("gradient_norm", "update_ratio")
        probed = ("mean", "std", "dead_share", "saturated_share")
        return {
            "layers": np.array(gradients.layer_names, "U"),
            "steps": np.asarray(gradients.steps),
            "epochs": np.asarray(gradients.epochs),
            **{name: gradients.per_layer(name) for name in ratios},
            "probed_layers": np.array(activations.layer_names, "U"),
            "probed_epochs": np.asarray(activations.epochs),
            **{name: np.asarray(getattr(activations, name)) for name in probed},
        }


def first_images(
    evaluation_batches: Callable[..., Iterable[Any]],
    examples: Examples,
    transform: Transform,
    batch_size: int,
    number: int = PROBE_SIZE,
) -> np.ndarray:
    """The first images of the validation split, preprocessed, and no others.

    Args:
        evaluation_batches: what reads the split.
        examples: the data set.
        transform: the preprocessing.
        batch_size: images in a batch.
        number: how many images; fewer where the split has fewer.
    """
    images: list[np.ndarray] = []
    for batch in evaluation_batches(
        examples, transform, "validation", batch_size, cached=False
    ):
        images.append(np.asarray(batch[0]))
        if sum(map(len, images)) >= number:
            break
    return np.concatenate(images)[:number].copy()  # not a view of whole batches


def _drawn_before(epoch: int) -> int:
    """The epoch before this one that has figures of its own; 0 where none has.

    >>> [_drawn_before(epoch) for epoch in (1, 2, 4, 5, 20)]
    [0, 1, 2, 4, 16]
    """
    return max((e for e in range(epoch) if _is_drawn(e)), default=0)


def _is_drawn(epoch: int) -> bool:
    """Whether an epoch (from 1) has figures of its own: 1, 2, 4, 8 and so on.

    >>> [epoch for epoch in range(20) if _is_drawn(epoch)]
    [1, 2, 4, 8, 16]
    """
    return epoch > 0 and epoch & (epoch - 1) == 0
