"""The parts of a graph: calls of operations, and the models around them."""

from dataclasses import dataclass, field
from typing import Any

import keras
from keras import tree


@dataclass(eq=False)
class Scope:
    """A level of nesting: the model itself, or one call of a model inside of it.

    Attributes:
        model: The model whose operations are at this level.
        name: Where it is called: `"base"`, `"outer/inner"`, `"branch#2"` for the second
            call of one model; empty for the outermost.
        inputs: The tensors that it starts from, of its own graph.
        outputs: The tensors that it gives, of its own graph.
        parent: The level above; None for the outermost.
        arguments: Positional and keyword arguments of the call, tensors of the parent.
        results: What the call gives, tensors of the parent.
    """

    model: Any
    name: str
    inputs: list[Any]
    outputs: list[Any]
    parent: "Scope | None" = None
    arguments: tuple[tuple, dict[str, Any]] = ((), {})
    results: list[Any] = field(default_factory=list)


@dataclass(eq=False)
class Call:
    """One call of an operation: a layer, or a plain one such as `keras.ops.relu`.

    Attributes:
        operation: What is called.
        name: Its name behind those of the models around it, `"base/conv1"`; the second
            call of a shared layer is `"conv#2"`.
        scope: The level it is on.
        args: Positional arguments; their tensors are those of the graph.
        kwargs: Keyword arguments, with tensors in the same way.
        outputs: The tensors that it gives.
        again: Whether the operation was called before in this graph.
    """

    operation: Any
    name: str
    scope: Scope
    args: tuple
    kwargs: dict[str, Any]
    outputs: list[Any]
    again: bool = False

    @property
    def inputs(self) -> list[Any]:
        """The tensors that it reads."""
        return tensors_of((self.args, self.kwargs))

    @property
    def is_input(self) -> bool:
        """Whether it is an input of the model."""
        return isinstance(self.operation, keras.layers.InputLayer)

    @property
    def weights(self) -> list[Any]:
        """The variables of the layer, or the ones that a plain operation reads."""
        if hasattr(self.operation, "weights"):
            return list(self.operation.weights)
        arguments = tree.flatten((self.args, self.kwargs))
        return [x for x in arguments if isinstance(x, keras.Variable)]


def filled_in(structure: Any, values: dict[int, Any]) -> Any:
    """Return a structure of arguments with values in the place of its tensors."""
    return tree.map_structure(
        lambda x: values[id(x)] if isinstance(x, keras.KerasTensor) else x, structure
    )


def tensors_of(structure: Any) -> list[Any]:
    """Return the symbolic tensors in a structure of arguments."""
    return [x for x in tree.flatten(structure) if isinstance(x, keras.KerasTensor)]
