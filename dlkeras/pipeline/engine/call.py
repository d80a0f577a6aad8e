"""A component with its arguments: what the key of its artifact is made of."""

import inspect
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from dlkeras.pipeline.artifacts.types import Artifact
from dlkeras.pipeline.configuration.data import ComponentConfig
from dlkeras.pipeline.configuration.key_fields import key_fields, sections
from dlkeras.pipeline.engine.code_dependencies import (
    code_dependencies,
    function_dependencies,
    has_source,
)
from dlkeras.pipeline.engine.component import Component
from dlkeras.pipeline.engine.observer import Observer
from dlkeras.pipeline.engine.versions import package_versions
from dlkeras.pipeline.store.publishing import Draft, Store, canonical_digest

A = TypeVar("A", bound=Artifact)


@dataclass
class Call(Generic[A]):
    """A component with its arguments.

    Attributes:
        component: the component.
        inputs: the artifacts that it reads, by parameter; None is an absent one.
        configs: its configurations, by parameter.
        values: what else it takes from the pipeline's configuration, such as `seed`.
        services: names of what it takes from the engine, such as `say`.
        code: digests of the code that the output depends on.
    """

    component: Component[A]
    inputs: Mapping[str, Artifact | None]
    configs: Mapping[str, ComponentConfig]
    values: Mapping[str, Any]
    services: tuple[str, ...]
    code: dict[str, str]

    def config(self, output: str) -> dict[str, Any]:
        """All that an output depends on besides the inputs, as JSON.

        Args:
            output: name of the artifact's type, or of a piece of the work.
        """
        own = self.component.section
        config: dict[str, Any] = {
            own if name == "config" else name: key_fields(section, output)
            for name, section in self.configs.items()
        }
        config |= {
            name: os.fspath(value) if isinstance(value, Path) else value
            for name, value in self.values.items()
        }
        if self.component.fingerprint:
            given = {**self.inputs, **self.configs, **self.values}
            asked = inspect.signature(self.component.fingerprint).parameters
            fingerprint = self.component.fingerprint(**{n: given[n] for n in asked})
            config["fingerprint"] = fingerprint
        if "keras" in self.component.packages:
            config["floatx"] = os.environ.get("KERAS_FLOATX", "float32")
        return config

    @cached_property
    def versions(self) -> dict[str, str]:
        """Versions of the packages that the output depends on."""
        return package_versions("dlkeras", *self.component.packages)

    @cached_property
    def recorded_config(self) -> dict[str, Any]:
        """What the artifact's record says of its configuration."""
        return self.config(self.component.output.__name__)

    @cached_property
    def key(self) -> str:
        """The name of the computation: all that its output depends on, digested."""
        return self._key(self.component.output.__name__, self.recorded_config)

    def key_of(self, piece: str) -> str:
        """The key of a piece of the work, such as "Trial"."""
        return self._key(piece, self.config(piece))

    def _key(self, output: str, config: dict[str, Any]) -> str:
        return canonical_digest(
            {
                "component": self.component.name,
                "artifact": output,
                "config": config,
                "inputs": {
                    name: a.record.digest if a is not None else None
                    for name, a in self.inputs.items()
                },
                "code": self.code,
                "versions": self.versions,
            }
        )

    def write(self, draft: Draft[A], services: "Services") -> None:
        """Have the component fill its output."""
        self.component.function(
            **{self.component.draft: draft},
            **self.inputs,
            **self.configs,
            **self.values,
            **{name: getattr(services, name) for name in self.services},
        )


def code_of(component: Component[Any]) -> dict[str, str]:
    """Digests of the code that a component's output depends on, as it is now."""
    function = component.function
    if has_source(function.__module__):
        return code_dependencies(function.__module__, *component.code)
    more = component.code
    return function_dependencies(function) | (code_dependencies(*more) if more else {})


def call(
    component: Component[A],
    artifacts: tuple[Artifact | None, ...],
    config: BaseModel,
    own: ComponentConfig | None = None,
    code: Mapping[str, str] | None = None,
) -> Call[A]:
    """Give a component its arguments.

    Args:
        component: the component.
        artifacts: what it reads, in the order of its parameters.
        config: the pipeline's configuration.
        own: the component's configuration in place of the pipeline's.
        code: what `code_of` says of the component; default: that is asked now.

    Raises:
        TypeError: an artifact is missing or of another type, or the component asks for
            what there is not.
    """
    there = sections(config)
    configs = {}
    for name, kind in component.configs.items():
        mine = [own, there.get(component.section)] if name == "config" else []
        # A section of exactly this type comes before one of a type below it.
        exact = [part for part in there.values() if type(part) is kind]
        fitting = [
            part for part in (*mine, *exact, *there.values()) if isinstance(part, kind)
        ]
        configs[name] = fitting[0] if fitting else kind()
    values: dict[str, Any] = {}
    services: list[str] = []
    for name in component.others:
        if hasattr(config, name):
            values[name] = getattr(config, name)
        elif name in Services.NAMES:
            services.append(name)
        elif _is_required(component, name):
            raise TypeError(
                f"{component.name}: expected a field of {type(config).__name__} or one "
                f"of {', '.join(Services.NAMES)} for its parameter; received {name!r}"
            )
    return Call(
        component,
        component.bind(artifacts),
        configs,
        values,
        tuple(services),
        dict(code_of(component) if code is None else code),
    )


def _is_required(component: Component[Any], parameter: str) -> bool:
    default = inspect.signature(component.function).parameters[parameter].default
    return default is inspect.Parameter.empty


class Services:
    """What a component may ask the engine for by name; none of it changes an output.

    Attributes:
        say: shows the user a line.
        verbose: what Keras shows of its own progress: 1 a bar, 2 a line an epoch.
        data_dir: folder where data sets are prepared and kept.
        observer: is told what happens.
        on_epoch_end: is told the number and the metrics of each epoch.
        on_figures: is told of figures by name, and the epoch that they show.
    """

    NAMES = (
        "say",
        "verbose",
        "work",
        "cache",
        "data_dir",
        "observer",
        "on_epoch_end",
        "on_figures",
    )

    def __init__(
        self,
        call: Call[Any],
        store: Store,
        observer: Observer,
        say: Callable[[str], None],
        verbose: Any,
        forced: bool = False,
    ):
        self.say, self.verbose, self.observer = say, verbose, observer
        self.on_epoch_end, self.on_figures = observer.log_epoch, observer.log_images
        self.data_dir = store.root.parent / "tensorflow_datasets"
        self._call, self._store, self._forced = call, store, forced

    @property
    def work(self) -> Path:
        """A folder that outlasts an interruption, until the artifact is published."""
        return self._store.work(self._call.component.output, self._call.key)

    @property
    def cache(self) -> Path | None:
        """A folder of finished pieces of work; None if they are made again."""
        if self._forced or self._call.component.cache is None:
            return None
        piece = self._call.component.cache
        return self._store.root / "trials" / self._call.key_of(piece)[:16]
