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
# # 1. The adaptive filtering problem
#
# **How can a filter learn what a system does, if nobody can look inside it?**
#
# A system is unknown: we see what goes into it and what comes out. Beside it runs a
# neuron with adjustable weights, on the same input, and whenever its answer differs
# from the system's it corrects itself. Two processes work together without end: the
# *filtering process* computes an output $y(n)$ and an error $e(n)$; the *adaptive
# process* lets the weights follow the error. Out of this one idea come models of
# echoing rooms, equalisers and headphones that silence an engine. (Haykin, *Neural
# Networks*, 2nd ed., section 3.2 and fig. 3.1.)

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Audio, display

from dlkeras.layers import (
    FilteredXLMSFilter,
    FrequencyDomainFilter,
    LMSFilter,
)
from dlkeras.layers.adaptive.applications import noise_cancelling
from dlkeras.optimization import lms_theory
from dlkeras.testing.course import check, compare, language, say
from dlkeras.visualization import in_language, signal_flow_graph

# %% [markdown]
# ## An unknown system and its model
#
# The system is a channel with echoes: its answer is the sum of the last four input
# samples times the four numbers in `channel`, plus a little noise of its own. The model
# starts with all weights at zero and sees the signal and the answer, nothing else.
#
# As a signal-flow graph (figure 3.1 of the course): every node is a signal, every arrow
# multiplies by the number beside it, and arrows that meet are added. The inputs of our
# neuron are the last four samples, and its time is $n$.

# %%
display(signal_flow_graph("adaptive_model", language=language))

# %%
random = np.random.default_rng(1)
channel = np.array([0.8, -0.5, 0.3, 0.1])
noise_power = 1e-3

x = random.normal(size=2000)
d = np.convolve(x, channel)[:2000] + np.sqrt(noise_power) * random.normal(size=2000)

# %% [markdown]
# ## The two processes, by hand
#
# The regressor $\mathbf{x}(n) = [x(n), x(n-1), x(n-2), x(n-3)]^T$ holds the newest
# samples. The filtering process is
#
# $$y(n) = \mathbf{w}^T(n)\,\mathbf{x}(n), \qquad e(n) = d(n) - y(n).$$
#
# The instantaneous cost $\tfrac12 e^2(n)$ has the gradient $-e(n)\,\mathbf{x}(n)$, so a
# step against it, with learning rate $\eta$ ($\mu$ in books on signal processing and in
# the library's pages on adaptive filters), is the adaptive process, the least mean
# square (LMS) rule of Widrow and Hoff:
#
# $$\mathbf{w}(n+1) = \mathbf{w}(n) + \eta\,e(n)\,\mathbf{x}(n).$$

# %%
eta, taps = 0.02, 4
w, regressor = np.zeros(taps), np.zeros(taps)
outputs, errors, weights = [], [], []
for n in range(len(x)):
    regressor = np.r_[x[n], regressor[:-1]]  # the delay line
    y = w @ regressor
    e = d[n] - y
    outputs.append(y), errors.append(e), weights.append(w)
    w = w + eta * e * regressor

lms = LMSFilter(taps, eta, return_weights=True)
ours = [keras.ops.convert_to_numpy(part)[0] for part in lms(x[None], d[None])]
for by_hand, library in zip((outputs, errors, weights), ours, strict=True):
    compare(library, by_hand, atol=1e-4)
print("channel:", channel, "  found:", w.round(3))

# %% tags=["check"]
assert np.abs(w - channel).max() < 0.03

# %% [markdown]
# ## The learning curve, and what theory expects of it
#
# One run is a noisy story. The mean of $e^2(n)$ over many runs is the *learning curve*
# $J(n)$. White input of power 1 has the correlation matrix $\mathbf{R} = \mathbf{I}$,
# and the cross-correlation $\mathbf{p}$ is the channel itself. The smallest possible
# error is the power of the noise, $J_{min}$; because the weights never rest, LMS
# hovers above it by the *misadjustment*, which grows with $\eta$.
#
# Each row of a batch is a filter of its own, so 400 runs are one call.

# %%
runs, steps = 400, 500
signals = random.normal(size=(runs, steps))
answers = np.stack([np.convolve(row, channel)[:steps] for row in signals])
answers += np.sqrt(noise_power) * random.normal(size=answers.shape)
power = channel @ channel + noise_power
p = np.zeros(taps)  # what of the channel the filter can learn
p[: len(channel)] = channel[:taps]
minimum = power - p @ p  # with fewer taps than the channel, more than the noise

curves, theories = {}, {}
for step_size in (0.02, 0.1):
    rule = LMSFilter(taps, step_size)
    error = keras.ops.convert_to_numpy(rule(signals, answers)[1])
    curves[step_size] = (error**2).mean(axis=0)
    theory = theories[step_size] = lms_theory(np.eye(taps), p, step_size, power)
    settled = curves[step_size][300:].mean()
    expected = theory.learning_curve(steps)[300:].mean()
    print(
        f"eta = {step_size}: settles at {settled:.5f}, theory {expected:.5f}, "
        f"misadjustment {theory.misadjustment:.1%}"
    )

# For white input the theory fits in three lines: each mode of J decays alike.
J, v = [], p @ p  # v: mean squared distance of the weights
for _ in range(steps):
    J.append(minimum + v)
    v = (1 - 2 * 0.02 + 0.02**2 * (taps + 2)) * v + 0.02**2 * taps * minimum
print(f"Safe below eta = {theory.safe_step_size:.3f}; if regressors were independent, "
      f"stable below {theory.max_step_size:.3f}; "
      f"mean weights below {theory.max_step_size_mean:.3f}")  # fmt: skip

# %% tags=["check"]
np.testing.assert_allclose(theories[0.02].learning_curve(steps), J, rtol=1e-9)
for step_size, curve in curves.items():
    expected = theories[step_size].learning_curve(steps)[300:].mean()
    np.testing.assert_allclose(curve[300:].mean(), expected, rtol=0.05)
np.testing.assert_allclose(theory.safe_step_size, 2 / (3 * taps))  # 2 / (3 tr R)
np.testing.assert_allclose(theory.max_step_size, 2 / (taps + 2))

# %% [markdown]
# ## Cancelling a noise that you can hear
#
# A pilot speaks into a microphone that also hears the engine. A second microphone, at
# the engine, hears the noise alone, before the cabin has changed it. The unknown system
# is now the way of the noise through the cabin. The filter learns it, predicts the
# noise and subtracts it; what it *cannot* predict, the error, is the voice. Here a
# scale of eight notes stands for the voice.

# %%
rate = 8000  # samples in a second
semitones = np.array([0, 2, 4, 5, 7, 9, 11, 12])
t = np.arange(rate // 2) / rate
envelope = np.exp(-4 * t) * np.minimum(1, 100 * t)
voice = 0.3 * np.concatenate(
    [envelope * np.sin(2 * np.pi * 262 * 2 ** (s / 12) * t) for s in semitones]
)
engine = 0.4 * random.normal(size=len(voice))
cabin = random.normal(size=24) * np.exp(-np.arange(24) / 6)
heard = voice + np.convolve(engine, cabin)[: len(voice)]

slow = LMSFilter(24, 0.01, stateful=True)
found = noise_cancelling(
    heard[None].astype("float32"),
    engine[None].astype("float32"),
    taps=24,
    adaptive_filter=slow,
)
cleaned = found.error[0]


def decibels(signal, of):
    """Signal-to-noise ratio after the first second, in dB."""
    noise = (signal - of)[rate:]
    return 10 * np.log10(np.mean(of[rate:] ** 2) / np.mean(noise**2))


before, after = decibels(heard, voice), decibels(cleaned, voice)
print(f"voice against engine: {before:.1f} dB heard, {after:.1f} dB cleaned")

# %% tags=["check"]
assert after > before + 20
np.testing.assert_allclose(found.weights[0], cabin, atol=0.15)

# %% [markdown]
# Listen: first what the microphone heard, then what the filter makes of it. In the
# first moments you can hear it learn.

# %%
display(Audio(heard, rate=rate), Audio(cleaned, rate=rate))

# %% [markdown]
# ## An ECG freed of its hum
#
# The mains hums in every electrocardiogram. Its frequency is known, its amplitude and
# phase are not: two weights, on a cosine and a sine of 60 Hz, are enough for both
# (Widrow, 1975). The error is the heart alone.

# %%
times = np.arange(20 * 500) / 500
phase = 1.2 * times % 1  # 72 beats a minute
waves = [(0.2, 0.12, 0.025), (0.37, -0.15, 0.01), (0.4, 1.0, 0.012),
         (0.43, -0.25, 0.012), (0.65, 0.3, 0.04)]  # fmt: skip
heart = sum(a * np.exp(-(((phase - at) / width) ** 2) / 2) for at, a, width in waves)
electrode = heart + 0.5 * np.sin(2 * np.pi * 60 * times + 0.7)

mains = np.stack([f(2 * np.pi * 60 * times) for f in (np.cos, np.sin)], axis=-1)
canceller = LMSFilter(1, 0.005, input_type="multi_input")
freed = keras.ops.convert_to_numpy(canceller(mains[None], electrode[None])[1])[0]

hum_left = np.std((freed - heart)[2500:]) / np.std((electrode - heart)[2500:])
print(f"hum after five seconds: {20 * np.log10(hum_left):.0f} dB")

# %% tags=["check"]
assert hum_left < 0.1

# %% [markdown]
# ## An echo removed
#
# In a telephone without hands the loudspeaker's voice comes back through the room. The
# echo is a quarter of a second long, 2,048 weights, and speech is coloured: work for
# the filter in the frequency domain.

# %%
moments = np.arange(5 * rate) / rate
syllables = np.sin(2 * np.pi * 1.5 * moments) ** 2
far = np.convolve(random.normal(size=len(moments)), 0.8 ** np.arange(30))
far = 0.1 * syllables * far[: len(moments)]
room = random.normal(size=2048) * np.exp(-np.arange(2048) / 400) / 8
echo = np.convolve(far, room)[: len(far)]
echo_left = FrequencyDomainFilter(2048, 0.7, block=256)(far, echo)[1]
echo_left = keras.ops.convert_to_numpy(echo_left)

loss = 10 * np.log10(np.mean(echo[-rate:] ** 2) / np.mean(echo_left[-rate:] ** 2))
print(f"echo in the last second: {loss:.0f} dB less")

# %% tags=["check"]
assert loss > 15

# %% [markdown]
# ## An engine silenced
#
# Headphones cannot subtract: they play a sound that meets the engine's in the ear. On
# its way the sound takes the path from the loudspeaker to the ear, so the filter
# follows the error along the reference *after that path*, filtered-x LMS.

# %%
turning = sum(
    np.sin(2 * np.pi * 90 * k * moments[: 2 * rate] + k) / k for k in (1, 2, 3)
)
at_the_ear = 0.3 * np.convolve(turning, [0, 0.5, 0.8, -0.3])[: len(turning)]
headphones = FilteredXLMSFilter(
    32, 0.02, secondary_path=[0, 0, 0.7, 0.3], normalised=True
)
silence = keras.ops.convert_to_numpy(headphones(turning, at_the_ear)[1])

quiet = np.std(silence[-rate // 2 :]) / np.std(at_the_ear[-rate // 2 :])
print(f"the engine at the end: {20 * np.log10(quiet):.0f} dB")

# %% tags=["check"]
assert quiet < 0.1

# %% [markdown]
# Listen: the echo before and after, then the engine before and after.

# %%
display(Audio(echo, rate=rate), Audio(echo_left, rate=rate))
display(Audio(at_the_ear, rate=rate), Audio(silence, rate=rate))
figure, (left, middle, right) = plt.subplots(
    1, 3, figsize=(14, 3.6), layout="constrained"
)
two = slice(2500, 3500)  # two seconds of the heart
left.plot(times[two], electrode[two], color="0.75", label="$d(n)$")
left.plot(times[two], freed[two], color="#0072B2", label="$e(n)$")
left.set(title=say("An ECG and its hum", "Um ECG e o seu zumbido"))
middle.plot(moments, echo, color="0.75", label="$d(n)$", linewidth=0.4)
middle.plot(moments, echo_left, color="#0072B2", label="$e(n)$", linewidth=0.4)
middle.set(title=say("An echo", "Um eco"))
right.plot(moments[: 2 * rate], at_the_ear, color="0.75", label="$d(n)$")
right.plot(moments[: 2 * rate], silence, color="#0072B2", label="$e(n)$")
right.set(title=say("An engine at the ear", "Um motor no ouvido"))
for axis in (left, middle, right):
    axis.set_xlabel(say("time (s)", "tempo (s)"))
    axis.legend(loc="lower right")
in_language(figure, language)
plt.show()

# %% [markdown]
# ## The picture
#
# Left, the weights of one run on their way to the channel (dashed). Middle, the
# learning curve of 400 runs and theory's prediction, for two learning rates: the larger
# is faster and settles higher. Right, the voice in the noise and out of it.

# %%
blue, orange, green, grey = "#0072B2", "#D55E00", "#009E73", "#666666"
figure, (left, middle, right) = plt.subplots(
    1, 3, figsize=(14, 4.4), layout="constrained"
)
for k, colour in zip(range(taps), (blue, orange, green, grey), strict=False):
    left.plot(np.array(weights)[:600, k], color=colour, label=f"$w_{k}$")
    left.axhline(p[k], color=colour, linestyle="--", linewidth=0.8)
left.set(xlabel="n", title=say("Weights find the channel", "Os pesos acham o canal"))
left.legend(loc="center right", bbox_to_anchor=(1, 0.32))  # where no line runs

for (step_size, curve), colour in zip(curves.items(), (blue, orange), strict=True):
    middle.semilogy(curve, color=colour, alpha=0.45, linewidth=0.9)
    middle.semilogy(theories[step_size].learning_curve(steps), color=colour,
                    label=rf"$\eta$ = {step_size}")  # fmt: skip
middle.axhline(minimum, color=grey, linestyle=":", label="$J_{min}$")
middle.set(xlabel="n", ylabel="$J(n) = E[e^2(n)]$",
           title=say("Learning curve: 400 runs, theory",
                     "Curva de aprendizagem: 400 rodadas, teoria"))  # fmt: skip
middle.legend()

seconds = np.arange(len(voice)) / rate
right.plot(seconds, heard, color="0.75", linewidth=0.4, label="$d(n)$")
right.plot(seconds, cleaned, color=blue, linewidth=0.4, label="$e(n)$")
right.set(xlabel=say("time (s)", "tempo (s)"), ylabel="amplitude",
          title=say(f"{before:.0f} dB in, {after:.0f} dB out",
                    f"Entram {before:.0f} dB, saem {after:.0f} dB"))  # fmt: skip
for line in right.legend(loc="lower right").get_lines():
    line.set_linewidth(3)
in_language(figure, language)
plt.show()

# %% [markdown]
# ## Exercises
#
# Put your answers into the cell below: it says right, nearly, or what to look at again.
# Solutions are in the folder `solutions`.
#
# 1. The system changes: let `channel` become its negative at $n = 1000$. How long does
#    the filter need to find the new channel with $\eta = 0.02$, and with 0.1? What
#    would a filter do that stopped adapting at $n = 500$?
# 2. Colour the input: replace `x` by $x(n) + 0.9\,x(n-1)$. Compute the eigenvalues of
#    its 4 by 4 correlation matrix. Which learning rate is now the limit of the mean
#    weights, and why does LMS need so much longer than before at a fifth of it?
# 3. Give the filter 3 taps, one too few. Where does the learning curve settle? Explain
#    the number with the weight that is missing.

# %%
check("01.1", None)  # samples until a tenth is left, eta = 0.02
check("01.2", None)  # the largest learning rate for the mean weights
check("01.3", None)  # where the learning curve settles
