"""A network as a table: what each layer gives, holds, costs and sees."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import keras

from dlkeras.architectures.costs import multiply_adds, windows

_BYTES = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2}


@dataclass(frozen=True)
class LayerSummary:
    """One layer's row.

    Attributes:
        layer: Name of the layer.
        type: Class of the layer.
        output: Shape of the output without the batch.
        parameters: Trainable parameters.
        frozen: Weights that training does not change: moving statistics, fixed
            bitmaps, the weights of frozen layers.
        multiply_adds: Of the layer's convolutions and dense layers, for one example.
        receptive_field: Pixels of the input that one output pixel sees along the
            height, padding included; `None` where the output is not an image.
        memory: Bytes of the output, for one example.
    """

    layer: str
    type: str
    output: tuple[int | None, ...]
    parameters: int
    frozen: int
    multiply_adds: int
    receptive_field: int | None
    memory: int


class SummaryTable(list[LayerSummary]):
    """The rows of `summary_table`, with their totals, as text or for pandas."""

    @property
    def parameters(self) -> int:
        """Trainable parameters of the network."""
        return sum(row.parameters for row in self)

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of the network's convolutions and dense layers."""
        return sum(row.multiply_adds for row in self)

    @property
    def memory(self) -> int:
        """Bytes of all outputs together, which training keeps for the way back."""
        return sum(row.memory for row in self)

    def to_pandas(self) -> Any:
        """Return a `pandas.DataFrame` with a row for each layer.

        Raises:
            ImportError: pandas is not installed.
        """
        import pandas

        return pandas.DataFrame([asdict(row) for row in self])

    def __str__(self) -> str:
        head = ("layer", "output", "parameters", "multiply-adds", "sees", "memory")
        lines = [
            (
                row.layer,
                "x".join("?" if size is None else str(size) for size in row.output),
                f"{row.parameters:,}",
                f"{row.multiply_adds:,}",
                "" if row.receptive_field is None else str(row.receptive_field),
                f"{row.memory:,}",
            )
            for row in self
        ]
        total = ("", "", f"{self.parameters:,}", f"{self.multiply_adds:,}", "")
        lines = [head, *lines, (*total, f"{self.memory:,}")]
        widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
        return "\n".join(
            "  ".join(
                cell.ljust(width) if column < 2 else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        )


def summary_table(model: Any) -> SummaryTable:
    """Return what each layer of a network gives, holds, costs and sees.

    Args:
        model: A Functional model of images with known height and width.

    Returns:
        A list of `LayerSummary` with totals; `print` shows it, `to_pandas` turns it
        into a data frame.

    Raises:
        ValueError: The height or width of a convolution's output is not known.

    Example:
        >>> from dlkeras.architectures import lenet5, summary_table
        >>> table = summary_table(lenet5())
        >>> table.parameters, table.multiply_adds
        (61706, 416520)
        >>> table[2]
        LayerSummary(layer='S2', type='AveragePooling2D', output=(14, 14, 6),
            parameters=0, frozen=0, multiply_adds=0, receptive_field=6, memory=4704)
    """
    seen = {id(tensor): (1, 1) for tensor in model.inputs}  # receptive field, step
    rows = SummaryTable()
    for layer in model.layers:
        inputs = keras.tree.flatten(layer.input)
        output = keras.tree.flatten(layer.output)[0]
        field, step = max((seen.get(id(x), (1, 1)) for x in inputs), default=(1, 1))
        for kernel, stride in windows(layer):
            field += (kernel - 1) * step
            step *= stride
        seen[id(output)] = (field, step)
        shape = tuple(output.shape)[1:]
        is_input = isinstance(layer, keras.layers.InputLayer)
        trained = _count(layer.trainable_weights)
        rows.append(
            LayerSummary(
                layer=layer.name,
                type=type(layer).__name__,
                output=shape,
                parameters=trained,
                frozen=_count(layer.weights) - trained,
                multiply_adds=0
                if is_input
                else multiply_adds(layer, inputs[0].shape, output.shape),
                receptive_field=field if len(shape) == 3 else None,
                memory=math.prod(size or 0 for size in shape)
                * _BYTES.get(keras.backend.standardize_dtype(output.dtype), 4),
            )
        )
    return rows


def _count(variables: list[Any]) -> int:
    return sum(math.prod(variable.shape) for variable in variables)
