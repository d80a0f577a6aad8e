"""What a label is: one class, several classes, or a number; how it is kept and said.

A label is an `int`, the number of its class; a `tuple` of such numbers in their order;
or a `float`. What trains on it is in `dlkeras.pipeline.training.objectives`, and what
judges and answers in `dlkeras.pipeline.serving.tasks`.
"""

from collections.abc import Sequence
from typing import Any, Literal, Protocol

import numpy as np

Label = int | float | tuple[int, ...]
TaskName = Literal["classification", "multilabel", "regression"]
# What an image of no label counts as, where each class needs its examples.
NO_LABEL = -1
SEPARATOR = "|"


def classes_of(label: Label) -> tuple[int, ...]:
    """The classes that an example counts for, when splits are drawn.

    A number counts for the one output that there is.

    Example:
    >>> classes_of(3), classes_of((0, 2)), classes_of(()), classes_of(36.6)
    ((3,), (0, 2), (-1,), (0,))
    """
    if isinstance(label, tuple):
        return label or (NO_LABEL,)
    return (0,) if isinstance(label, float) else (label,)


class LabelKind(Protocol):
    """How the labels of a task are kept in the shards and in tables, and said."""

    def feature(self, names: Sequence[str]) -> Any:
        """The feature of TFDS that reads a label back."""
        ...

    def stored(self, label: Any, classes: int) -> Any:
        """A label as `tf.train.Feature`."""
        ...

    def read(self, feature: Any) -> Label:
        """A label out of a `tf.train.Feature`."""
        ...

    def batched(self, classes: int) -> tuple[tuple[int, ...], str]:
        """Shape and type of a label in a batch that is not mixed."""
        ...

    def cell(self, label: Any, names: Sequence[Any]) -> str | float:
        """A label in a table."""
        ...

    def by_class(self, table: Any, names: Sequence[str]) -> Any:
        """A table of examples with a row for each class that an example has."""
        ...

    def in_words(self, label: np.ndarray, names: Sequence[str]) -> str:
        """A label of a batch, mixed or not, below a picture."""
        ...


class OneClass:
    """The number of a class."""

    def feature(self, names: Sequence[str]) -> Any:
        """The feature of TFDS that reads a label back."""
        from dlkeras.pipeline.tensorflow_import import tfds

        return tfds.features.ClassLabel(names=list(names))

    def stored(self, label: Any, classes: int) -> Any:
        """A label as `tf.train.Feature`."""
        from dlkeras.pipeline.tensorflow_import import tf

        return tf.train.Feature(int64_list=tf.train.Int64List(value=[label]))

    def read(self, feature: Any) -> Label:
        """A label out of a `tf.train.Feature`."""
        return feature.int64_list.value[0]

    def batched(self, classes: int) -> tuple[tuple[int, ...], str]:
        """Shape and type of a label in a batch that is not mixed."""
        return (), "int64"

    def cell(self, label: Any, names: Sequence[Any]) -> str | float:
        """The name of the class."""
        return names[label]

    def by_class(self, table: Any, names: Sequence[str]) -> Any:
        """The table itself."""
        return table

    def in_words(self, label: np.ndarray, names: Sequence[str]) -> str:
        """Name a class, or all classes of a mixed image, the largest share first.

        >>> kind = OneClass()
        >>> kind.in_words(np.int64(1), ["cat", "dog"])
        'dog'
        >>> kind.in_words(np.array([0.25, 0.75]), ["cat", "dog"])
        'dog 0.75, cat 0.25'
        >>> kind.in_words(np.array([0.0, 1.0]), ["cat", "dog"])
        'dog'
        """
        if np.ndim(label) == 0:
            return names[int(label)]
        largest_first = np.argsort(-label, kind="stable").tolist()
        mixed = [int(i) for i in largest_first if label[i] > 0]
        if len(mixed) == 1:
            return names[mixed[0]]
        return ", ".join(f"{names[i]} {label[i]:.2f}" for i in mixed)


class SeveralClasses:
    """The numbers of the classes; in a batch 0 or 1 for each class."""

    def feature(self, names: Sequence[str]) -> Any:
        """The feature of TFDS that reads a label back."""
        from dlkeras.pipeline.tensorflow_import import tfds

        return tfds.features.Tensor(shape=(len(names),), dtype=np.float32)

    def stored(self, label: Any, classes: int) -> Any:
        """A label as `tf.train.Feature`."""
        return _floats([float(number in label) for number in range(classes)])

    def read(self, feature: Any) -> Label:
        """A label out of a `tf.train.Feature`."""
        return tuple(np.flatnonzero(feature.float_list.value).tolist())

    def batched(self, classes: int) -> tuple[tuple[int, ...], str]:
        """Shape and type of a label in a batch."""
        return (classes,), "float32"

    def cell(self, label: Any, names: Sequence[Any]) -> str | float:
        """The names of the classes, `cat|dog`; "" for none."""
        return SEPARATOR.join(names[number] for number in label)

    def by_class(self, table: Any, names: Sequence[str]) -> Any:
        """A table with a row for each class of each example, none for no class.

        >>> import pandas as pd
        >>> table = pd.DataFrame({"id": ["x", "y"], "label": ["cat|dog", ""]})
        >>> SeveralClasses().by_class(table, ["cat", "dog"]).label.to_list()
        ['cat', 'dog']
        """
        apart = table.assign(label=table.label.str.split(SEPARATOR, regex=False))
        apart = apart.explode("label", ignore_index=True)
        return apart[apart.label != ""]

    def in_words(self, label: np.ndarray, names: Sequence[str]) -> str:
        """Name the classes; those of a mixed image with their shares.

        >>> SeveralClasses().in_words(np.array([1.0, 0.0, 0.3]), ["cat", "dog", "cow"])
        'cat, cow 0.30'
        """
        found = [
            names[i] if share == 1 else f"{names[i]} {share:.2f}"
            for i, share in enumerate(label.tolist())
            if share > 0
        ]
        return ", ".join(found) or "none"


class Number:
    """A number, kept as float32."""

    def feature(self, names: Sequence[str]) -> Any:
        """The feature of TFDS that reads a label back."""
        from dlkeras.pipeline.tensorflow_import import tfds

        return tfds.features.Scalar(np.float32)

    def stored(self, label: Any, classes: int) -> Any:
        """A label as `tf.train.Feature`."""
        return _floats([label])

    def read(self, feature: Any) -> Label:
        """A label out of a `tf.train.Feature`."""
        return float(feature.float_list.value[0])

    def batched(self, classes: int) -> tuple[tuple[int, ...], str]:
        """Shape and type of a label in a batch."""
        return (), "float32"

    def cell(self, label: Any, names: Sequence[Any]) -> str | float:
        """The number."""
        return float(label)

    def by_class(self, table: Any, names: Sequence[str]) -> Any:
        """The table, all of whose examples have the one number that there is."""
        return table.assign(label=names[0])

    def in_words(self, label: np.ndarray, names: Sequence[str]) -> str:
        """Write a number with its name.

        >>> Number().in_words(np.float32(3.14159), ["radius"])
        'radius 3.142'
        """
        return f"{names[0]} {float(label):.4g}"


def _floats(values: list[float]) -> Any:
    from dlkeras.pipeline.tensorflow_import import tf

    return tf.train.Feature(float_list=tf.train.FloatList(value=values))


_KINDS: dict[str, LabelKind] = {
    "classification": OneClass(),
    "multilabel": SeveralClasses(),
    "regression": Number(),
}


def label_kind(task: str) -> LabelKind:
    """What the labels of a task are."""
    return _KINDS[task]
