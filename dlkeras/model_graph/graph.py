"""A Keras model as calls of operations on tensors, nested models opened.

This is the one place of the package that reads a model's graph, and so the one that
knows Keras's names for it.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import keras
from keras import tree

from dlkeras.model_graph.calls import Call, Scope, filled_in, tensors_of
from dlkeras.model_graph.tracing import (
    NotTraceableError,
    differs_in_training,
    ends_of,
    input_layer,
    nodes_between,
    takes_training,
    traced,
)


class Graph:
    """The calls of a model from its inputs to its outputs, in order.

    Attributes:
        model: The model.
        calls: All calls, the inputs first; a nested model stands for its own calls.
        inputs: The tensors that the model starts from.
        outputs: The tensors that it gives.
        scopes: The model itself and every call of a model inside of it.
    """

    def __init__(self, scope: Scope, inputs: Sequence[Any]) -> None:
        self.model = scope.model
        self.calls: list[Call] = []
        self.scopes = [scope]
        self.inputs = list(inputs)
        self._ends: dict[str, list[Any]] = {}
        self._origin: dict[int, tuple[Scope, Any]] = {}
        self._times: dict[str, int] = {}
        self._plain: dict[tuple[str, str], int] = {}
        self._seen: set[int] = set()
        self.outputs = self._enter(scope, self.inputs)

    def _enter(self, scope: Scope, inputs: list[Any]) -> list[Any]:
        values = {id(x): y for x, y in zip(scope.inputs, inputs, strict=True)}
        outermost = scope.parent is None
        for original in scope.inputs if outermost else ():
            tensor = values[id(original)]
            self._origin[id(tensor)] = (scope, original)
            layer = input_layer(original)
            call = Call(layer, self._named(scope, layer), scope, (), {}, [tensor])
            self._add(call, [original])
        for node in nodes_between(scope.inputs, scope.outputs):
            given = (tuple(node.arguments.args), dict(node.arguments.kwargs))
            args, kwargs = filled_in(given, values)
            operation = node.operation
            # Keras writes the default into the node, and `fit` overrides it.
            kwargs.pop("training", None)
            name = self._named(scope, operation)
            outputs = self._nested(scope, node, name, args, kwargs)
            if outputs is None:
                if all(values[id(x)].shape == x.shape for x in node.input_tensors):
                    outputs = list(node.outputs)
                    if not outermost or inputs is not scope.inputs:
                        outputs = [_like(x) for x in outputs]
                else:
                    spec = operation.compute_output_spec(*args, **kwargs)
                    outputs = [_like(x) for x in tree.flatten(spec)]
                if isinstance(operation, keras.layers.EinsumDense):
                    outputs = [_of_equation(operation, args, outputs[0])]
                call = Call(operation, name, scope, args, kwargs, outputs)
                self._add(call, node.outputs)
            values.update(zip(map(id, node.outputs), outputs, strict=True))
        return [values[id(x)] for x in scope.outputs]

    def _nested(
        self,
        scope: Scope,
        node: Any,
        name: str,
        args: tuple,
        kwargs: Any,
    ) -> list[Any] | None:
        """Read the calls of a nested model; None if it is none, or is not known."""
        model = node.operation
        if not isinstance(model, keras.Model):
            return None
        try:
            ends = ends_of(model, args, kwargs)
        except NotTraceableError:
            return None
        inputs = _in_order(model, args, kwargs)
        if len(inputs) != len(ends[0]):
            return None
        arguments = (tuple(node.arguments.args), dict(node.arguments.kwargs))
        inner = Scope(model, name, *ends, scope, arguments, list(node.outputs))
        self.scopes.append(inner)
        outputs = self._enter(inner, inputs)
        self._ends[name] = outputs
        for tensor, original in zip(outputs, node.outputs, strict=True):
            self._origin[id(tensor)] = (scope, original)
        return outputs

    def _named(self, scope: Scope, operation: Any) -> str:
        own = operation.name
        layer = isinstance(operation, keras.layers.Layer)
        begins = isinstance(operation, keras.layers.InputLayer)
        made = not isinstance(scope.model, keras.Function | keras.Sequential)
        if made and (begins or not layer):
            # A trace makes its plain operations again, and Keras counts them up.
            own = "input" if begins else type(operation).__name__.lower()
            number = self._plain[scope.name, own] = (
                self._plain.get((scope.name, own), -1) + 1
            )
            own = f"{own}_{number}" if number else own
        path = f"{scope.name}/{own}" if scope.name else own
        times = self._times[path] = self._times.get(path, 0) + 1
        return path if times == 1 else f"{path}#{times}"

    def _add(self, call: Call, originals: Iterable[Any]) -> None:
        call.again = id(call.operation) in self._seen
        self._seen.add(id(call.operation))
        self.calls.append(call)
        self._ends.setdefault(call.name, call.outputs)
        for tensor, original in zip(call.outputs, originals, strict=True):
            self._origin[id(tensor)] = (call.scope, original)

    @property
    def names(self) -> list[str]:
        """The names of all calls, and of the nested models."""
        return list(self._ends)

    def ends(self, name: str) -> list[Any] | None:
        """Return what a call, or a nested model, gives.

        A layer inside a nested model is known by its own name, too, where there is
        one such layer only.
        """
        if name in self._ends:
            return self._ends[name]
        found = [key for key in self._ends if key.rsplit("/", 1)[-1] == name]
        return self._ends[found[0]] if len(found) == 1 else None

    def belonging_to(self, name: str) -> list[Call]:
        """Return the calls of a layer, or of all layers of a nested model."""
        ends = self.ends(name) or []
        calls = [c for c in self.calls if c.name.startswith(f"{name}/")]
        return calls or [self.producer(tensor) for tensor in ends]

    def producer(self, tensor: Any) -> Call:
        """Return the call that gives a tensor."""
        return next(c for c in self.calls if any(x is tensor for x in c.outputs))

    def leading_to(self, tensors: Iterable[Any], start: Iterable[Any] = ()) -> list:
        """Return the calls between `start`, or the inputs, and tensors, in order."""
        known = {id(x) for x in start}
        wanted = {id(x) for x in tensors} - known
        calls = []
        for call in reversed(self.calls):
            if any(id(x) in wanted for x in call.outputs):
                calls.append(call)
                wanted.update(id(x) for x in call.inputs if id(x) not in known)
        return calls[::-1]

    def run(self, values: Sequence[tuple[Any, Any]], wanted: Sequence[Any]) -> list:
        """Compute tensors of the graph from the values of others, without training.

        Args:
            values: Pairs of a tensor of the graph and its value.
            wanted: Tensors of the graph.

        Returns:
            Their values.

        Raises:
            ValueError: The values do not lead to what is wanted.
        """
        known = {id(tensor): value for tensor, value in values}
        for call in self.leading_to(wanted, [tensor for tensor, _ in values]):
            if call.is_input:
                raise ValueError(
                    f"What was given does not lead to {wanted[0].name!r} without the "
                    f"input {call.name!r}"
                )
            args, kwargs = filled_in((call.args, call.kwargs), known)
            if takes_training(call.operation):
                kwargs["training"] = False
            outputs = tree.flatten(call.operation(*args, **kwargs))
            known.update(zip(map(id, call.outputs), outputs, strict=True))
        return [known[id(x)] for x in wanted]

    def symbolic(self, tensors: Sequence[Any]) -> list[Any]:
        """Return tensors from which a Functional model can be made.

        What lies inside a nested model is given by a new model of the same layers.

        Args:
            tensors: Tensors of the graph.

        Returns:
            The same, as tensors of the outermost model's own graph.
        """
        places = [self._origin[id(x)] for x in tensors]
        for scope in reversed(self.scopes[1:]):  # the innermost stand last
            inside = [i for i, place in enumerate(places) if place[0] is scope]
            if not inside:
                continue
            inner = [places[i][1] for i in inside]
            part = keras.Model(
                _alone(scope.inputs), inner, name=f"{scope.model.name}_features"
            )
            args, kwargs = scope.arguments
            given = _in_order(scope.model, args, kwargs)
            assert scope.parent is not None
            for i, output in zip(
                inside, tree.flatten(part(_alone(given))), strict=True
            ):
                places[i] = (scope.parent, output)
        return [tensor for _, tensor in places]

    def check_training(self) -> None:
        """Refuse a model whose parts, made again, would not train as it does.

        Raises:
            ValueError: A subclassed model does something else in training.
        """
        for scope in self.scopes:
            if differs_in_training(scope.model, _alone(scope.inputs)):
                raise ValueError(
                    f"The call of {scope.model.name!r} does something else in training "
                    "than elsewhere, which no other model can take over: put what is "
                    "random into layers, which know by themselves"
                )

    def front(self, tensors: Sequence[Any], name: str | None = None) -> keras.Model:
        """Return the model from the inputs to tensors; one tensor is no list."""
        return _built(self.start, _alone(self.symbolic(tensors)), name)

    def rest(self, tensor: Any, name: str | None = None) -> keras.Model:
        """Return the model of the same layers from a tensor to the outputs.

        Raises:
            ValueError: A part of the model goes around the tensor.
        """
        scope, original = self._origin[id(tensor)]
        model = _built(original, _alone(scope.outputs), name)
        while scope.parent is not None:
            results, scope = scope.results, scope.parent
            direct = [id(x) for x in results] == [id(x) for x in scope.outputs]
            x = keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype)
            y = model(x)
            if not direct:
                y = keras.Model(_alone(results), _alone(scope.outputs))(y)
            model = keras.Model(x, y, name=name)
        return model

    @property
    def start(self) -> Any:
        """What `keras.Model` takes as this model's inputs."""
        if isinstance(self.model, keras.Function):
            given: Any = self.model.input
            alone = isinstance(given, list) and len(given) == 1
            return given[0] if alone else given
        return _alone(self.scopes[0].inputs)


def _built(inputs: Any, outputs: Any, name: str | None) -> keras.Model:
    """A model of these ends, whose layers must have names of their own."""
    try:
        return keras.Model(inputs, outputs, name=name)
    except ValueError as error:
        if "names should be unique" not in str(error):
            raise
        raise ValueError(
            "model must have a name of its own for each layer, to be cut into parts. "
            f"Received: {error}"
        ) from error


def read(model: Any, sizes: Sequence[Sequence[int | None]] | None = None) -> Graph:
    """Read a model into its calls.

    Functional and built Sequential models are read as they are, nested ones with them.
    A subclassed model is traced: its `call` is run on symbolic tensors of the shape
    that it was built with, so what is written in layers and `keras.ops` is known.

    Args:
        model: A built Keras model.
        sizes: Shapes of the inputs, with the batch, in place of the model's own.

    Returns:
        The graph.

    Raises:
        ValueError: The model is not built, or cannot be traced.

    Example:
        >>> import keras
        >>> inner = keras.Sequential(
        ...     [keras.Input((8,)), keras.layers.Dense(4, name="a")], name="inner"
        ... )
        >>> images = keras.Input((8,), name="images")
        >>> outer = keras.Model(images, keras.ops.relu(inner(images)))
        >>> [call.name for call in read(outer).calls][:2]
        ['images', 'inner/a']
    """
    if not isinstance(model, keras.Model):
        raise ValueError(
            "model must be a Keras model, whose layers are known. "
            f"Received: {type(model).__name__}"
        )
    try:
        inputs, outputs = ends_of(model)
    except NotTraceableError as error:
        raise ValueError(str(error)) from error
    scope = Scope(model, "", inputs, outputs)
    if sizes is None:
        return Graph(scope, inputs)
    given = [
        keras.KerasTensor(tuple(shape), dtype=x.dtype)
        for shape, x in zip(sizes, inputs, strict=True)
    ]
    return Graph(scope, given)


def opened(operation: Any, args: tuple, kwargs: dict[str, Any]) -> Graph | None:
    """Read what a layer that is made of layers and operations does in a call.

    Args:
        operation: The layer.
        args: Positional arguments; symbolic tensors give their shapes.
        kwargs: Keyword arguments, with shapes in the same way.

    Returns:
        The graph of its inner calls, whose inputs are the symbolic tensors among the
        arguments in order; None where it computes with anything but layers and
        `keras.ops`.
    """
    if not isinstance(operation, keras.layers.Layer) or not operation.built:
        return None
    try:
        with traced(operation, args, kwargs) as (inputs, outputs):
            graph = Graph(Scope(operation, "", inputs, outputs), inputs)
    except NotTraceableError:
        return None
    return graph if len(graph.calls) > len(inputs) else None


def _like(tensor: Any) -> Any:
    return keras.KerasTensor(tuple(tensor.shape), dtype=tensor.dtype)


def _of_equation(layer: Any, args: tuple, output: Any) -> Any:
    """The output of an `EinsumDense`; Keras forgets the sizes that are not its own."""
    left, _, right = layer.equation.partition("->")
    inputs, kernel = left.split(",")
    if "." in left or None not in output.shape[1:]:
        return output
    letters = dict(zip(kernel, layer.kernel.shape, strict=True))
    letters.update(zip(inputs, args[0].shape, strict=True))
    return keras.KerasTensor([letters[x] for x in right], dtype=output.dtype)


def _alone(tensors: Sequence[Any]) -> Any:
    return tensors[0] if len(tensors) == 1 else list(tensors)


def _in_order(model: Any, args: tuple, kwargs: dict[str, Any]) -> list[Any]:
    """The tensors given to a nested model, in the order of its inputs."""
    if not isinstance(model, keras.Function):
        return tensors_of((args, kwargs))
    given = args[0] if args else kwargs.get("inputs")
    if isinstance(given, dict) and not isinstance(model.input, dict):
        return [given[x.name] for x in model.inputs if x.name in given]
    return tensors_of(given)
