"""Splits fixed by the content of the examples: stratified, and free of leakage."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence


def stratified_split(
    digests: Sequence[str],
    labels: Sequence[int],
    fractions: Mapping[str, float],
) -> list[str]:
    """Assign every example to a split by the rank of its digest within its class.

    The assignment depends on the set of examples alone, not on their order or on a
    random state. Examples with the same digest, the same content, get the same split,
    also where they have different labels.

    Args:
        digests: a hexadecimal digest of each example's content.
        labels: each example's class.
        fractions: the share of each split, in the order in which the ranks are dealt;
            they add up to 1.

    Returns:
        The name of each example's split.

    Raises:
        ValueError: the fractions do not add up to 1.

    Example:
    >>> stratified_split(["c", "a", "b", "d"], [0, 0, 0, 0], {"train": .5, "test": .5})
    ['test', 'train', 'train', 'test']
    """
    if abs(sum(fractions.values()) - 1) > 1e-9:
        raise ValueError(f"fractions must add up to 1. Received: {dict(fractions)}")
    by_class: dict[int, list[int]] = defaultdict(list)
    for index, label in enumerate(labels):
        by_class[label].append(index)
    names = list(fractions)
    of_digest: dict[str, str] = {}
    splits = [""] * len(digests)
    for label in sorted(by_class):
        members = sorted(by_class[label], key=lambda index: digests[index])
        for rank, index in enumerate(members):
            position = (rank + 0.5) / len(members)
            split, edge = names[-1], 0.0
            for name in names:
                edge += fractions[name]
                if position < edge:
                    split = name
                    break
            splits[index] = of_digest.setdefault(digests[index], split)
    return splits


def hash_split(key: str, fractions: Mapping[str, float]) -> str:
    """Assign an example to a split by its digest alone.

    What the split of one example is does not depend on which others there are: adding,
    removing, renaming or reordering files moves no other example. The shares are those
    asked for up to chance.

    Args:
        key: the example's content, as a hexadecimal digest of at least 16 digits.
        fractions: the share of each split; they add up to 1.

    Returns:
        The name of the split.

    Raises:
        ValueError: the fractions do not add up to 1.

    Example:
    >>> hash_split("7f" * 32, {"train": 0.5, "test": 0.5})
    'train'
    >>> hash_split("80" * 32, {"train": 0.5, "test": 0.5})
    'test'
    """
    if abs(sum(fractions.values()) - 1) > 1e-9:
        raise ValueError(f"fractions must add up to 1. Received: {dict(fractions)}")
    position, edge = _position(key), 0.0
    for name, share in fractions.items():
        edge += share
        if position < edge:
            return name
    return name


def hash_split_by_class(
    keys: Sequence[str], labels: Sequence[int], fractions: Mapping[str, float]
) -> list[str]:
    """Assign examples to splits by their digests, every class to every split.

    Each example's digest alone decides, as in `hash_split`. Only where that leaves a
    class out of a split, its example whose digest lies nearest to the split's range
    goes there. So adding, removing or renaming files moves no other example but
    those few, in classes so small that chance would leave a split empty.

    Args:
        keys: a hexadecimal digest for each example, of at least 16 digits; examples of
            one key, copies or a group, stay together.
        labels: each example's class.
        fractions: the share of each split; they add up to 1. A class of fewer keys than
            splits goes to the first one whole.

    Returns:
        The name of each example's split.

    Example:
    >>> keys = [f"{digit}" * 16 for digit in "012"]
    >>> hash_split_by_class(keys, [0, 0, 0], {"train": 0.6, "val": 0.2, "test": 0.2})
    ['train', 'test', 'val']
    >>> hash_split_by_class(keys, [0, 0, 1], {"train": 0.6, "val": 0.2, "test": 0.2})
    ['train', 'train', 'train']
    """
    classes: dict[str, set[int]] = defaultdict(set)
    members: dict[int, set[str]] = defaultdict(set)
    for key, label in zip(keys, labels, strict=True):
        classes[key].add(label)
        members[label].add(key)
    names = list(fractions)
    whole = {label for label in members if len(members[label]) < len(names)}
    split_of = {
        key: names[0] if classes[key] <= whole else hash_split(key, fractions)
        for key in classes
    }
    ends = [sum(list(fractions.values())[: n + 1]) for n in range(len(names))]
    numbers = Counter((c, split_of[key]) for key in classes for c in classes[key])
    for label in sorted(members.keys() - whole):
        for name, end in zip(names, ends, strict=True):
            if numbers[label, name]:
                continue
            middle = end - fractions[name] / 2
            spare = [  # it leaves none of its classes without its split
                key
                for key in members[label]
                if all(numbers[c, split_of[key]] > 1 for c in classes[key] - whole)
            ]
            if not spare:
                continue
            key = min(spare, key=lambda k: (abs(_position(k) - middle), k))
            for c in classes[key]:
                numbers[c, split_of[key]] -= 1
                numbers[c, name] += 1
            split_of[key] = name
    return [split_of[key] for key in keys]


def _position(key: str) -> float:
    return int(key[:16], 16) / 16**16
