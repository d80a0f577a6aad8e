"""Every way by which a file with a network comes into the package."""

from pathlib import Path


def through_all(path: str) -> None:
    """Open a file in each way that takes its kind; each must refuse it in one line.

    Raises:
        ValueError: the lines of all refusals, if all refuse.
    """
    lines = {}
    for way in (_predicted, _pixels, _transferred, _weights):
        if way is not _weights and not path.endswith(".keras"):
            continue
        try:
            way(Path(path))
        except Exception as error:
            lines[way.__name__] = f"{type(error).__name__}: {error}"
        else:
            lines[way.__name__] = "taken"
    # What a transfer reads of a configuration is less than what is loaded.
    if lines.get("_pixels") == "taken":
        del lines["_pixels"]
    if any(line == "taken" for line in lines.values()):
        return
    raise ValueError("\0".join(lines.values()))


def _predicted(path: Path) -> None:
    import numpy as np

    from dlkeras.pipeline.serving.answering import _Asker
    from dlkeras.pipeline.tracking.pushed_model import load_pushed_model

    file, _ = load_pushed_model(str(path), None, path.parent)
    _Asker(file)(np.zeros((1, 8, 8, 1), "uint8"), False, [str(path)])


def _pixels(path: Path) -> None:
    from dlkeras.pipeline.training.transfer_source import _pixels

    _pixels(path)


def _transferred(path: Path) -> None:
    from dlkeras.pipeline.configuration.config import TransferConfig
    from dlkeras.pipeline.training.transfer_source import transferred_network

    transferred_network(TransferConfig(source=str(path)), (8, 8, 1), 2)


def _weights(path: Path) -> None:
    from dlkeras.architectures import lenet5, load_weights_from

    load_weights_from(lenet5(), path)
