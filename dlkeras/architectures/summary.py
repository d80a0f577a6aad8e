"""A network as a table: each layer's output, parameters, cost and receptive field."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import keras
import numpy as np

from dlkeras.architectures.costs import call_multiply_adds, per_example
from dlkeras.model_graph import ReceptiveFields


@dataclass(frozen=True)
class LayerSummary:
    """One layer's row.

    Attributes:
        layer: Name of the layer, behind those of the models around it: `base/conv1`;
            `conv#2` where a layer is called a second time.
        type: Class of the layer, or of a plain operation.
        output: Shape of the output without the batch.
        parameters: Trainable parameters.
        frozen: Weights that training does not change: moving statistics, fixed
            bitmaps, the weights of frozen layers.
        multiply_adds: Of the layer's convolutions, dense layers and matrix products,
            for one example; `None` where they cannot be known.
        receptive_field: Pixels of the input that one output pixel sees along the
            height, padding included; `None` where the output is not an image. What is
            measured ends with the image.
        memory: Bytes of the output, for one example.
    """

    layer: str
    type: str
    output: tuple[int | None, ...]
    parameters: int
    frozen: int
    multiply_adds: int | None
    receptive_field: int | None
    memory: int


class SummaryTable(list[LayerSummary]):
    """The rows of `summary_table`, with their totals, as text or for pandas."""

    @property
    def parameters(self) -> int:
        """Trainable parameters of the network."""
        return sum(row.parameters for row in self)

    @property
    def multiply_adds(self) -> int | None:
        """Multiply-adds of the network; `None` where a layer's are not known."""
        counts = [row.multiply_adds for row in self]
        return None if None in counts else sum(count or 0 for count in counts)

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
                _written(row.multiply_adds),
                "" if row.receptive_field is None else str(row.receptive_field),
                f"{row.memory:,}",
            )
            for row in self
        ]
        total = ("", "", f"{self.parameters:,}", _written(self.multiply_adds), "")
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
    """Return each layer's output shape, parameters, cost and receptive field.

    Args:
        model: A built Keras model, nested ones and subclassed ones included; a call of
            a layer, or of a plain operation, is a row.

    Returns:
        A list of `LayerSummary` with totals; `print` shows it, `to_pandas` turns it
        into a data frame.

    Raises:
        ValueError: The model is not built, or its graph cannot be known.

    Example:
        >>> from dlkeras.architectures import lenet5, summary_table
        >>> table = summary_table(lenet5())
        >>> table.parameters, table.multiply_adds
        (61706, 416520)
        >>> table[2]
        LayerSummary(layer='S2', type='AveragePooling2D', output=(14, 14, 6),
            parameters=0, frozen=0, multiply_adds=0, receptive_field=6, memory=4704)
    """
    graph = per_example(model)
    fields = ReceptiveFields(model)
    rows = SummaryTable()
    counted: set[int] = set()
    for call, sized in zip(graph.calls, fields.graph.calls, strict=True):
        new = [x for x in call.weights if id(x) not in counted]
        counted.update(map(id, new))
        output = call.outputs[0]
        shape = tuple(output.shape)[1:]
        trained = _count([x for x in new if x.trainable])
        try:
            field = fields.box(sized.outputs[0])
        except ValueError:  # neither known nor measured
            field = None
        rows.append(
            LayerSummary(
                layer=call.name,
                type=type(call.operation).__name__,
                output=shape,
                parameters=trained,
                frozen=_count(new) - trained,
                multiply_adds=call_multiply_adds(call),
                receptive_field=None if field is None else field.height,
                memory=math.prod(size or 0 for size in shape) * _bytes(output.dtype),
            )
        )
    return rows


def _written(count: int | None) -> str:
    return "?" if count is None else f"{count:,}"


def _bytes(dtype: Any) -> int:
    name = keras.backend.standardize_dtype(dtype)
    if name == "bfloat16" or name.startswith("float8"):  # NumPy has neither
        return 2 if name == "bfloat16" else 1
    return np.dtype(name).itemsize


def _count(variables: list[Any]) -> int:
    return sum(math.prod(variable.shape) for variable in variables)
