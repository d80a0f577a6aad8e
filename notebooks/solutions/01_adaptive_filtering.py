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
# # Solutions to notebook 1, adaptive filtering

# %%
import keras
import numpy as np

from dlkeras.layers import LMSFilter
from dlkeras.optimization import lms_theory
from dlkeras.testing.course import check

random = np.random.default_rng(1)
channel = np.array([0.8, -0.5, 0.3, 0.1])


def through(system, signal):
    return np.stack([np.convolve(row, system)[: signal.shape[1]] for row in signal])


def run(x, d, eta, taps=4):
    lms = LMSFilter(taps, eta, return_weights=True, dtype="float64")
    return [keras.ops.convert_to_numpy(part) for part in lms(x, d)]


# %% [markdown]
# **1.** The distance to the channel falls by $1 - \eta$ a sample, so the time to come
# within a tenth of the change is about $\ln 10 / \eta$: 115 samples for 0.02, 23 for
# 0.1. A filter that has stopped goes on answering for a system that is no longer there.

# %%
x = random.normal(size=(200, 2000))
d = np.concatenate(
    [through(channel, x)[:, :1000], through(-channel, x)[:, 1000:]], axis=1
)
needed = {}
for eta in (0.02, 0.1):
    weights = run(x, d, eta)[2].mean(axis=0)
    far = np.linalg.norm(weights[1000:] + channel, axis=1)
    needed[eta] = int(np.argmax(far < 0.1 * far[0]))
    print(f"eta = {eta}: {needed[eta]} samples, ln 10 / eta = {np.log(10) / eta:.0f}")
    assert abs(needed[eta] - np.log(10) / eta) < 0.15 * np.log(10) / eta
assert check("01.1", needed[0.02])
stopped = through(channel, x[:, 1000:]) - d[:, 1000:]
print(f"a stopped filter errs with power {np.mean(stopped**2):.2f}, "
      f"twice the signal: {4 * channel @ channel:.2f}")  # fmt: skip

# %% [markdown]
# **2.** $x(n) + 0.9x(n-1)$ has correlation 1.81 at lag 0 and 0.9 at lag 1. The largest
# eigenvalue sets the limit, the smallest the time: their ratio is what hurts.

# %%
R = 1.81 * np.eye(4) + 0.9 * (np.eye(4, k=1) + np.eye(4, k=-1))
limit = 2 / np.linalg.eigvalsh(R)[-1]
theory = lms_theory(R, R @ channel, limit / 5, channel @ R @ channel)
print("eigenvalues", theory.eigenvalues.round(3), f" limit {limit:.3f}")
print("time constants", theory.time_constants.round(1), "samples")
np.testing.assert_allclose(theory.max_step_size_mean, limit)
assert check("01.2", limit)
white = lms_theory(np.eye(4), channel, 2 / 5, channel @ channel)
assert theory.time_constants.max() > 4 * white.time_constants.max()

# %% [markdown]
# **3.** The filter cannot say what the fourth tap says. Its error keeps the power of
# that tap, $0.1^2 = 0.01$, ten times the noise, and the misadjustment on top.

# %%
x = random.normal(size=(400, 1000))
d = through(channel, x) + np.sqrt(1e-3) * random.normal(size=x.shape)
error = run(x, d, 0.02, taps=3)[1]
settled = np.mean(error[:, 500:] ** 2)
print(f"settles at {settled:.5f}; noise 0.001 + missing weight {channel[3] ** 2:.3f}")
np.testing.assert_allclose(settled, 0.011, rtol=0.08)
assert check("01.3", settled)
