"""`@component`: your function's signature says what it reads and what it makes."""

import functools
import inspect
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar, overload

from pydantic import create_model

from dlkeras.pipeline.artifacts.types import Artifact
from dlkeras.pipeline.configuration.config import (
    BulkInferrerConfig,
    PipelineConfig,
    camel_case,
    component_names,
)
from dlkeras.pipeline.configuration.data import ComponentConfig
from dlkeras.pipeline.configuration.flags import without_none
from dlkeras.pipeline.configuration.key_fields import sections
from dlkeras.pipeline.store.publishing import Draft

A = TypeVar("A", bound=Artifact)
C = TypeVar("C", bound=ComponentConfig)
P = ParamSpec("P")


@dataclass(eq=False)
class Component(Generic[A]):
    """A component of a pipeline: a function, and what its signature says.

    Call it with all arguments, and it is the function that it was made of.

    Attributes:
        function: fills the output.
        name: what `--force` and the user call it, such as "StatisticsGen".
        output: the type of the artifact that it makes.
        inputs: the parameters that are artifacts, and their types.
        optional: those of them that may be None.
        configs: the parameters that are configurations, and their types.
        others: the other parameters, which the run gives by name.
        draft: the parameter that the output is written to.
        packages: packages whose version the output depends on.
        code: modules that it imports by name, where no import says so.
        fingerprint: what else its output depends on, a function of its arguments.
        lines: what the user is told of its artifact, whether made or reused.
        cache: name of the pieces of its work that are kept for other outputs.
    """

    function: Callable[..., None]
    name: str
    output: type[A]
    inputs: Mapping[str, type[Artifact]]
    optional: frozenset[str]
    configs: Mapping[str, type[ComponentConfig]]
    others: tuple[str, ...]
    draft: str
    packages: tuple[str, ...] = ()
    code: tuple[str, ...] = ()
    fingerprint: Callable[..., Any] | None = None
    lines: Callable[[A], Iterable[str]] = field(default=lambda artifact: ())
    cache: str | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        """Call the function itself, as a test does."""
        self.function(*args, **kwargs)

    @property
    def section(self) -> str:
        """Name of its own configuration, such as "statistics_gen"."""
        return self.function.__name__

    @property
    def on_tensorflow(self) -> bool:
        """Whether it is one of this package's, and computes with TensorFlow."""
        own = self.function.__module__.startswith(f"{__package__.partition('.')[0]}.")
        return own and "tensorflow" in self.packages

    def bind(self, artifacts: tuple[Artifact | None, ...]) -> dict[str, Any]:
        """Give each artifact the parameter that it stands for.

        Args:
            artifacts: what the component is to read, in the order of its parameters;
                those left out at the end are None.

        Raises:
            TypeError: there are too many, one is missing or of another type.
        """
        if len(artifacts) > len(self.inputs):
            raise TypeError(
                f"{self.name}: expected at most {len(self.inputs)} artifacts "
                f"({', '.join(self.inputs)}); received {len(artifacts)}"
            )
        given = dict(zip(self.inputs, artifacts, strict=False))
        bound = {name: given.get(name) for name in self.inputs}
        for name, artifact in bound.items():
            kind = self.inputs[name]
            if artifact is None and name in self.optional:
                continue
            if not isinstance(artifact, kind):
                received = "nothing" if artifact is None else type(artifact).__name__
                raise TypeError(
                    f"{self.name}: expected {kind.__name__} for `{name}`; "
                    f"received {received}"
                )
        return bound


class _Decorator(Protocol):
    """Makes a component of a function whose first or second parameter is its output."""

    @overload
    def __call__(
        self, function: Callable[Concatenate[C, Draft[A], P], None], /
    ) -> Component[A]: ...
    @overload
    def __call__(
        self, function: Callable[Concatenate[Draft[A], P], None], /
    ) -> Component[A]: ...


@overload
def component(
    function: Callable[Concatenate[C, Draft[A], P], None], /
) -> Component[A]: ...
@overload
def component(
    function: Callable[Concatenate[Draft[A], P], None], /
) -> Component[A]: ...
@overload
def component(
    *,
    name: str | None = None,
    packages: tuple[str, ...] = ...,
    code: Iterable[str] = ...,
    fingerprint: Callable[..., Any] | None = None,
    lines: Callable[[Any], Iterable[str]] | None = None,
    cache: str | None = None,
) -> _Decorator: ...
def component(
    function: Callable[..., None] | None = None,
    /,
    *,
    name: str | None = None,
    packages: tuple[str, ...] = ("keras", "tensorflow"),
    code: Iterable[str] = (),
    fingerprint: Callable[..., Any] | None = None,
    lines: Callable[[Any], Iterable[str]] | None = None,
    cache: str | None = None,
) -> Any:
    """Make a component of a function; its signature says the rest.

    A parameter that is a `ComponentConfig` is a configuration, an artifact is an input
    (`X | None` may be absent), and `Draft[X]` the output, an artifact of type X. Any
    other parameter is given by its name: `seed`, `model_name` and the other fields of
    the pipeline's configuration, which are part of the key; `say` (shows a line),
    `work` (a folder that outlasts an interruption), `verbose` and what else `Services`
    has, which are not.

    A run makes the artifact once: the same configuration, inputs, code and versions
    are the same key, and the artifact is reused. The code is that of the function's
    module and of what it imports; a field that no output depends on is marked
    `NotInKey` where it is defined.

    Args:
        function: the component's function.
        name: what the user calls it; default: the function's name in CamelCase.
        packages: packages whose version the output depends on.
        code: modules that it imports by name, where no import says so.
        fingerprint: gives what else the output depends on, as JSON, such as the digest
            of a file; its parameters are some of the component's own, by name.
        lines: gives lines to show of the artifact, whether it was made or reused.
        cache: name of the pieces of work, such as trials, that are kept for other
            outputs: `InKeyOf` names it for the fields that they depend on.

    Raises:
        TypeError: the signature names no output, or several.

    Example:
    ```python
    from dlkeras.pipeline import ComponentConfig, Draft, component
    from dlkeras.pipeline.artifacts.types import Artifact, Examples

    class Counts(Artifact):
        '''How many examples each split has.'''

    class CountGenConfig(ComponentConfig):
        digits: int = 3

    @component(packages=())
    def count_gen(
        config: CountGenConfig, output: Draft[Counts], examples: Examples
    ) -> None:
        output.write_json("counts.json", examples.splits)
    ```
    """
    if function is None:
        return functools.partial(
            component,
            name=name,
            packages=packages,
            code=code,
            fingerprint=fingerprint,
            lines=lines,
            cache=cache,
        )
    inputs: dict[str, type[Artifact]] = {}
    configs: dict[str, type[ComponentConfig]] = {}
    optional: set[str] = set()
    drafts: dict[str, Any] = {}
    others: list[str] = []
    kinds = typing.get_type_hints(function)
    for parameter in inspect.signature(function).parameters:
        kind, may_be_none = without_none(kinds.get(parameter))
        if typing.get_origin(kind) is Draft:
            (drafts[parameter],) = typing.get_args(kind)
        elif isinstance(kind, type) and issubclass(kind, Artifact):
            inputs[parameter] = kind
            optional |= {parameter} if may_be_none else set()
        elif isinstance(kind, type) and issubclass(kind, PipelineConfig):
            raise TypeError(
                f"{function.__name__}: expected a configuration of its own for "
                f"`{parameter}`, or parameters such as `seed`; received {kind.__name__}"
            )
        elif isinstance(kind, type) and issubclass(kind, ComponentConfig):
            configs[parameter] = kind
        else:
            others.append(parameter)
    if len(drafts) != 1:
        raise TypeError(
            f"{function.__name__}: expected one parameter `output: Draft[X]`, where X "
            f"is a type of artifact; received {', '.join(kinds) or 'no annotation'}"
        )
    ((draft, output),) = drafts.items()
    made = Component(
        function,
        name or camel_case(function.__name__),
        output,
        inputs,
        frozenset(optional),
        configs,
        tuple(others),
        draft,
        packages,
        tuple(code),
        fingerprint,
        lines or (lambda artifact: ()),
        cache,
    )
    return functools.update_wrapper(made, function)


def components_of(graph: Callable[..., Any]) -> tuple[Component[Any], ...]:
    """The components that a graph names, also in the functions that it calls.

    Args:
        graph: a function of a run, such as `dlkeras.pipeline.graph.standard`.
    """
    found: dict[Component[Any], None] = {}
    seen: set[int] = set()

    def look(function: Any) -> None:
        while isinstance(function, functools.partial):
            function = function.func
        function = inspect.unwrap(getattr(function, "__func__", function))
        if not inspect.isfunction(function):
            function = type(function).__call__
            if not inspect.isfunction(function):
                return
        code, names = [function.__code__], dict[str, None]()
        for part in code:
            names |= dict.fromkeys((*part.co_names, *part.co_freevars))
            code += [c for c in part.co_consts if isinstance(c, types.CodeType)]
        closed = inspect.getclosurevars(function).nonlocals
        around = {**function.__globals__, **closed}
        values = [around[name] for name in names if name in around]
        for module in [v for v in values if isinstance(v, types.ModuleType)]:
            values += [vars(module)[name] for name in names if name in vars(module)]
        for value in values:
            if isinstance(value, Component):
                found[value] = None
            elif isinstance(value, types.FunctionType) and id(value) not in seen:
                seen.add(id(value))
                look(value)

    look(graph)
    return tuple(found)


def with_sections(
    config: PipelineConfig, components: Iterable[Component[Any]]
) -> PipelineConfig:
    """Give a pipeline's configuration the sections of a user's own components.

    Args:
        config: the script's configuration; it may have the sections already.
        components: those of the graph.

    Returns:
        The configuration, with a field for each component's configuration. A
        BulkInferrer of the user's own replaces the package's.

    Raises:
        TypeError: another component of the pipeline has this name.
    """
    there = {type(part) for part in sections(config).values()}
    own: dict[str, Any] = {}
    for component in components:
        kind = component.configs.get("config")
        if kind is None or kind in there:
            continue
        taken = type(config).model_fields.get(component.section)
        if taken is not None and taken.annotation is not BulkInferrerConfig:
            raise TypeError(
                f"{component.section}: expected another name of a component whose "
                f"configuration is {kind.__name__}; {type(config).__name__} has a "
                "field of this name"
            )
        own[component.section] = (kind, kind())
    if not own:
        return config
    model = create_model(type(config).__name__, __base__=type(config), **own)
    names = type(config).model_fields.keys() - own.keys()
    fields = {name: getattr(config, name) for name in names}
    return model(**fields)


def names_of(
    config: PipelineConfig, components: Iterable[Component[Any]]
) -> tuple[str, ...]:
    """The names of a job's components, those of the user at the end."""
    own = (component.name for component in components)
    return tuple(dict.fromkeys((*component_names(type(config)), *own)))
