"""Descriptions of models, as long as MLflow's tables take them."""

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
