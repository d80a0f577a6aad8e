"""The picture of local response normalisation."""

from typing import Any

import keras
import numpy as np

from dlkeras.layers import LocalResponseNormalization
from dlkeras.visualization.figure import new_figure
from dlkeras.visualization.look.colours import CYCLE, HATCHES


def damped() -> Any:
    """Draw channels before and after a strong one has damped its neighbours."""
    layer = LocalResponseNormalization(data_format="channels_last")
    a = np.zeros((1, 1, 1, 32), "float32")
    a[..., 6], a[..., 20] = 200.0, 60.0
    a[..., 21] = 200.0
    b = keras.ops.convert_to_numpy(layer(a))[0, 0, 0]
    figure, axis = new_figure(6.4, 3.2, "A strong channel damps its neighbours")
    channel = np.arange(32)
    axis.bar(channel - 0.2, a[0, 0, 0], 0.4, color=CYCLE[0], label="a, before")
    axis.bar(channel + 0.2, b, 0.4, color=CYCLE[1], label="b, after",
             hatch=HATCHES[1], edgecolor="white", linewidth=0)  # fmt: skip
    axis.set_xlabel("channel")
    axis.set_ylabel("activity")
    axis.legend(frameon=False)
    return figure
