"""Accuracy and loss in bfloat16 beside float32, on scikit-learn's digits, seed by seed.

    python benchmarks/bfloat16.py
    python benchmarks/bfloat16.py resnet20 --seeds 10 --epochs 12

LeNet-5 learns the digits at 32 by 32 pixels and ResNet-20 at 8 by 8, each seed with the
policy `float32` and with `mixed_bfloat16` from the same initial weights, in the same
order: 1,198 images for training, every third one, 599 in all, for the test. Means and
standard deviations of the seeds; the difference has the standard error of the seeds'
own differences.
"""

import argparse
import statistics

import keras
import numpy as np

from dlkeras.architectures import lenet5, resnet20

POLICIES = ("float32", "mixed_bfloat16")
NETWORKS = {
    "lenet5": lambda: lenet5((32, 32, 1), num_classes=10),
    "resnet20": lambda: resnet20((8, 8, 1), num_classes=10),
}


def digits(size):
    """Return the images at a size in the range -1 to 1, and their classes."""
    from sklearn.datasets import load_digits

    loaded = load_digits()
    images = (loaded.images[..., None] / 8 - 1).astype("float32")
    if size != 8:
        resized = keras.layers.Resizing(size, size)(images)
        images = keras.ops.convert_to_numpy(resized)
    return images, loaded.target


def trained(network, policy, seed, epochs, x, y):
    """Train a network in one of the policies; return test loss and test accuracy."""
    keras.utils.set_random_seed(seed)
    keras.config.set_dtype_policy(policy)
    try:
        model = NETWORKS[network]()
    finally:
        keras.config.set_dtype_policy("float32")
    steps = epochs * -(-1198 // 64)
    rate = keras.optimizers.schedules.CosineDecay(2e-3, steps)
    loss = "sparse_categorical_crossentropy"
    model.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"])
    test = np.arange(len(x)) % 3 == 0
    model.fit(x[~test], y[~test], batch_size=64, epochs=epochs, verbose=0)
    return model.evaluate(x[test], y[test], batch_size=599, verbose=0)


def row_of(network, pairs):
    """Return a line of the table: both means, and the seeds' differences."""
    cells = [network, str(len(pairs))]
    for index, form in ((1, ".2%"), (0, ".4f")):
        values = [[way[index] for way in pair] for pair in pairs]
        for column in zip(*values, strict=True):
            mean, spread = statistics.mean(column), statistics.stdev(column)
            cells.append(f"{mean:{form}} ± {spread:{form}}")
        differences = [half - single for single, half in values]
        error = statistics.stdev(differences) / len(pairs) ** 0.5
        cells.append(f"{statistics.mean(differences):+{form}} ± {error:{form}}")
    return f"| {' | '.join(cells)} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", default=list(NETWORKS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=12)
    given = parser.parse_args()
    if set(given.networks) - set(NETWORKS):
        parser.error(f"networks are {', '.join(NETWORKS)}; received {given.networks}")
    print(
        "| network | seeds | accuracy, float32 | mixed_bfloat16 | difference "
        "| loss, float32 | mixed_bfloat16 | difference |\n|" + 8 * "---|",
        flush=True,
    )
    for network in given.networks:
        x, y = digits(32 if network == "lenet5" else 8)
        pairs = [
            [trained(network, p, seed, given.epochs, x, y) for p in POLICIES]
            for seed in range(given.seeds)
        ]
        print(row_of(network, pairs), flush=True)


if __name__ == "__main__":
    main()
