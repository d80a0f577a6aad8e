# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Solutions to notebook 12, AlexNet

# %%
import numpy as np

from dlkeras.architectures import alexnet
from dlkeras.testing.course import check

# %% [markdown]
# **1.** $13\cdot13\cdot256\cdot4096 + 4096 = 177\,213\,440$, three times the whole
# network of the paper. At a quarter of the width, $13\cdot13\cdot64\cdot1024 + 1024$.

# %%
assert 13 * 13 * 256 * 4096 + 4096 == 177_213_440
model = alexnet(
    version="table",
    pool_after_c7=False,
    kernel_initializer="zeros",
    width_multiplier=0.25,
)
found = model.get_layer("F8").count_params()
print(f"F8 at a quarter of the width: {found:,}")
assert found == 13 * 13 * 64 * 1024 + 1024
assert check("12.1", found)

# %% [markdown]
# **2.** 55 becomes 27, 13 and 6 with both: the sizes are the same, and nothing is
# saved. Overlap is free here; Krizhevsky measured 0.3 to 0.4 points less error with it.

# %%
for f in (3, 2):
    size, sizes = 55, []
    for _ in range(3):
        size = (size - f) // 2 + 1
        sizes.append(size)
    print(f"{f}x{f}: {sizes}")
    assert sizes == [27, 13, 6]
assert check("12.2", sizes)

# %% [markdown]
# **3.** Neuron $i$ sees the pixels $4i$ to $4i+10$. A pixel in the middle lies in two
# or three of these fields along each axis, so in 4 to 9; the first four and the last
# four lie in one only.

# %%
seen = np.zeros(227, int)
for i in range(55):
    seen[4 * i : 4 * i + 11] += 1
print("fields along one axis:", seen[:12], "...", seen[-12:])
assert set(seen[8:-8]) == {2, 3} and (seen[:4] == 1).all() and (seen[-4:] == 1).all()
assert check("12.3", np.sum(seen == 1))
