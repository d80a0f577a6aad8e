"""Words for MLflow: descriptions as long as its tables take them, metrics' names."""

from collections.abc import Mapping

# Of a registered model and of its versions, on PostgreSQL and MySQL.
MAX_DESCRIPTION = 5000
MODEL_CARD = "model_card.md"


def described(card: str) -> str:
    """Give a model card as a description: whole, or cut at the end of a line.

    Args:
        card: Markdown; the file `MODEL_CARD` among a run's artifacts holds all of it.

    Returns:
        At most `MAX_DESCRIPTION` characters; where it is cut, the last line says where
        the rest is.

    Example:
    >>> described("# digits")
    '# digits'
    """
    if len(card) <= MAX_DESCRIPTION:
        return card
    end = f"\n\nThis is the beginning: the run's artifact `{MODEL_CARD}` has all of it."
    return card[: MAX_DESCRIPTION - len(end)].rpartition("\n")[0] + end


def epoch_metrics(logs: Mapping[str, float]) -> dict[str, float]:
    """Name Keras's metrics so that MLflow groups them: train/loss, validation/loss.

    What has a section in its name keeps it.

    >>> epoch_metrics({"loss": 1.0, "val_loss": 2.0, "gradient_norm/c1": 0.5})
    {'train/loss': 1.0, 'validation/loss': 2.0, 'gradient_norm/c1': 0.5}
    """

    def section(name: str) -> str:
        if "/" in name:
            return name
        return f"validation/{name[4:]}" if name.startswith("val_") else f"train/{name}"

    return {section(name): value for name, value in logs.items()}
