"""The picture of transfer learning: real trainings on the digits, some minutes."""

from typing import Any

import keras
import numpy as np

from dlkeras import visualization as show
from dlkeras.architectures import lenet5


def transfer(x: Any, y: Any, x_test: Any, y_test: Any) -> Any:
    """Draw how well 5 to 9 are learnt from few labels, from scratch and from 0 to 4.

    Args:
        x: training digits, `(examples, 32, 32, 1)`.
        y: what they are, 0 to 9.
        x_test: test digits.
        y_test: what they are.
    """
    old, test = y < 5, y_test >= 5

    def fit(model: Any, images: Any, labels: Any, steps: int) -> Any:
        model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy",
                      metrics=["accuracy"])  # fmt: skip
        draw = np.random.default_rng(0).integers(len(images), size=32 * steps)
        model.fit(images[draw], labels[draw], 32, verbose=0)
        return model

    keras.utils.set_random_seed(0)
    learnt = fit(lenet5(num_classes=5), x[old], y[old], 400).get_weights()
    results: dict[str, dict[int, list[float]]] = {"transfer": {}, "from scratch": {}}
    for size in (2, 5, 15):
        for seed in range(3):
            keras.utils.set_random_seed(seed)
            draw = np.random.default_rng(seed)
            chosen = np.concatenate([draw.permutation(np.flatnonzero(y == digit))[:size]
                                     for digit in range(5, 10)])  # fmt: skip
            for way, values in results.items():
                model = lenet5(num_classes=5)
                if way == "transfer":
                    model.set_weights([*learnt[:-2], *model.get_weights()[-2:]])
                fit(model, x[chosen], y[chosen] - 5, 150)
                answers = keras.ops.convert_to_numpy(model(x_test[test])).argmax(1)
                right = float((answers == y_test[test] - 5).mean())
                values.setdefault(size, []).append(right)
    return show.accuracy_by_examples(results, "Digits 5 to 9 from few labels")
