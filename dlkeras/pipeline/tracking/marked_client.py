"""MLflow's client with a write boundary before each write, for deliberate faults."""

from typing import Any, cast

from mlflow import MlflowClient

from dlkeras.pipeline.store.fault_injection import is_on, write_boundary

_WRITES = ("log_", "set_", "create_", "update_")


class _MarkedClient:
    """Hands everything on to a client."""

    def __init__(self, client: MlflowClient):
        self._marked = client

    def __getattr__(self, name: str) -> Any:
        """The client's own, marked where it writes."""
        found = getattr(self._marked, name)
        if not name.startswith(_WRITES):
            return found

        def marked(*arguments: Any, **named: Any) -> Any:
            write_boundary(f"mlflow {name} {_subject(arguments[1:], named)}")
            return found(*arguments, **named)

        return marked


def _subject(arguments: tuple, named: dict[str, Any]) -> str:
    """What is written, by its names: of metrics, parameters and tags, or a file's."""
    words = []
    for value in (*arguments, *named.values()):
        if isinstance(value, list):
            words += [
                f"{getattr(v, 'key', type(v).__name__)}@{getattr(v, 'step', '')}"
                for v in value[:1]
            ]
        elif isinstance(value, str | int) and len(str(value)) < 80:
            words.append(str(value))
    return " ".join(words)


def marked(client: MlflowClient) -> MlflowClient:
    """The client itself, or one whose writes can be struck by `DLKERAS_FAULT`."""
    if not is_on():
        return client
    return cast(MlflowClient, _MarkedClient(client))
