"""Which fields an output depends on: each field says so where it is defined."""

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel

T = TypeVar("T")


class InKeyOf:
    """Marks a field that only some outputs depend on, by the names of their types.

    A field without this mark is in the key of every component that reads it: another
    value, and the component runs again.

    Args:
        *outputs: names of artifact types, such as "Model"; without any, no output
            depends on the field.

    Example:
    ```python
    class TunerConfig(ComponentConfig):
        max_trials: Annotated[int, InKeyOf("Hyperparameters")] = 3  # no trial's own
        workers: NotInKey[int] = 0  # changes no byte of the output
    ```
    """

    def __init__(self, *outputs: str):
        self.outputs = outputs


NotInKey = Annotated[T, InKeyOf()]


def key_fields(config: BaseModel, output: str) -> dict[str, Any]:
    """The fields that an output depends on, as JSON.

    Args:
        config: a component's configuration.
        output: name of the output's type.

    Example:
    >>> class Config(BaseModel):
    ...     bins: int = 32
    ...     workers: NotInKey[int] = 2
    >>> key_fields(Config(), "Statistics")
    {'bins': 32}
    """
    return config.model_dump(mode="json", exclude=_left_out(type(config), output))


def _left_out(model: type[BaseModel], output: str) -> dict[str, Any]:
    left_out: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        marks = [mark for mark in field.metadata if isinstance(mark, InKeyOf)]
        if any(output not in mark.outputs for mark in marks):
            left_out[name] = True
        elif nested := section(field.annotation):
            left_out[name] = _left_out(nested, output)
    return left_out


def section(annotation: Any) -> type[BaseModel] | None:
    """The model of a field that is a group of fields."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return None


def sections(config: BaseModel) -> Mapping[str, BaseModel]:
    """The groups of fields of a configuration, by name."""
    values = ((name, getattr(config, name)) for name in type(config).model_fields)
    return {name: value for name, value in values if isinstance(value, BaseModel)}
