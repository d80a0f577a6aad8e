"""Convolution and pooling as the plainest loops over NumPy arrays, in float64."""

import numpy as np


def convolve(x, kernel, strides=1, pad=0):
    """Correlate `x` (batch, h, w, in) with `kernel` (kh, kw, in, out)."""
    x = np.pad(np.asarray(x, "float64"), ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    high, wide, _, maps = kernel.shape
    rows = (x.shape[1] - high) // strides + 1
    columns = (x.shape[2] - wide) // strides + 1
    y = np.zeros((len(x), rows, columns, maps))
    for row in range(rows):
        for column in range(columns):
            top, left = row * strides, column * strides
            window = x[:, top : top + high, left : left + wide]
            y[:, row, column] = np.einsum("bhwi,hwio->bo", window, kernel)
    return y


def pool(x, size, strides, reduce, pad=0, fill=0.0):
    """Apply `reduce` to each window of (batch, h, w, channels)."""
    widths = ((0, 0), (pad, pad), (pad, pad), (0, 0))
    x = np.pad(np.asarray(x, "float64"), widths, constant_values=fill)
    rows = (x.shape[1] - size) // strides + 1
    columns = (x.shape[2] - size) // strides + 1
    y = np.zeros((len(x), rows, columns, x.shape[3]))
    for row in range(rows):
        for column in range(columns):
            top, left = row * strides, column * strides
            y[:, row, column] = reduce(
                x[:, top : top + size, left : left + size], axis=(1, 2)
            )
    return y


def standardize(x, normalization, epsilon):
    """Batch normalisation as it is used, from a layer's four weights."""
    gamma, beta, mean, variance = (
        np.asarray(weight, "float64") for weight in normalization.get_weights()
    )
    return gamma * (x - mean) / np.sqrt(variance + epsilon) + beta


def randomize(layer, seed=0):
    """Give every weight of a built layer a random value; variances positive."""
    rng = np.random.default_rng(seed)
    weights = []
    for variable in layer.weights:
        value = rng.normal(0, 0.4, variable.shape)
        if "gamma" in variable.path or "variance" in variable.path:
            value = 0.5 + np.abs(value)
        weights.append(value.astype("float32"))
    layer.set_weights(weights)
