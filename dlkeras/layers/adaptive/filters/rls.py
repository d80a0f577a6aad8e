"""RLSFilter, the adaptive filter of recursive least squares."""

import keras

from dlkeras.layers.adaptive.adaptive_filter import AdaptiveFilter
from dlkeras.layers.adaptive.filters.rls_rule import FORMS, RLSRule


@keras.saving.register_keras_serializable(package="dlkeras")
class RLSFilter(AdaptiveFilter):
    """Adaptive filter of recursive least squares: least squared error so far.

    The weights minimise the sum of lambda^(n-i) |e(i)|^2 over the past at every
    sample, at a cost of taps^2 per sample. P, the inverse correlation matrix, is made
    Hermitian again at every step, without which rounding makes it diverge.

    Forgetting makes P grow in every direction that the signal leaves out: in silence,
    or beside a constant or a tone. A step that would take the mean of its eigenvalues
    beyond 1e4 over the input's largest power so far (float64: 1e10) leaves P as it is,
    so the filter waits, and learns again as soon as the signal is back. Everything else
    is as in `LMSFilter`.

    Args:
        taps: Length of the filter, at least 1.
        forgetting: lambda, in (0, 1]; the filter remembers 1 / (1 - lambda) samples.
        regularization: delta of P(0) = I / delta, positive. By default a hundredth of
            the input's power, so that the filter does the same at any amplitude. The
            weights rest until that power is known: as many samples as taps, at least 4
            and at most 16.
        form: `"covariance"`, or `"inverse_qr"`, which carries a square root of P: P
            cannot stop being positive definite by rounding.
        **kwargs: `input_type`, `complex_valued`, `initial_weights`, `stateful`,
            `return_weights` and `on_divergence` as in `LMSFilter`, and arguments of
            `keras.layers.Layer`.

    Input shape:
        As `LMSFilter`.

    Output shape:
        As `LMSFilter`.

    Returns:
        `(output, error)`, or `(output, error, weights)` with `return_weights`.

    Raises:
        ValueError: If an argument or a shape is not as described.
        TypeError: If a signal holds integers, or complex numbers in a real filter.
        FloatingPointError: If a filter diverges.

    Example:
    >>> import keras
    >>> import numpy as np
    >>> from dlkeras.layers import RLSFilter
    >>> x = np.random.default_rng(0).normal(size=(1, 50)).astype("float32")
    >>> d = 0.5 * x
    >>> d[:, 1:] -= 0.25 * x[:, :-1]  # the unknown system: 0.5, -0.25
    >>> output, error, weights = RLSFilter(2, 1.0, return_weights=True)(x, d)
    >>> keras.ops.convert_to_numpy(weights[0, -1]).round(3).tolist()
    [0.5, -0.25]

    Reference:
        - Haykin, Adaptive Filter Theory, 5th ed., chapter 10, table 10.1; chapter 15
          (inverse QR).
    """

    def __init__(
        self,
        taps,
        forgetting=0.99,
        *,
        regularization=None,
        form="covariance",
        **kwargs,
    ):
        super().__init__(taps, **kwargs)
        self.expect(0 < forgetting <= 1, "forgetting in (0, 1]", forgetting=forgetting)
        self.expect(form in FORMS, f"form to be one of {FORMS}", form=form)
        self.forgetting = float(forgetting)
        self.regularization = self._positive_or_none(regularization=regularization)
        self.form = form

    def rule(self):
        """The recursion of least squares that the arguments describe."""
        return RLSRule(self.forgetting, self.regularization, self.form)

    def received(self):
        """The arguments in words, for a message."""
        return f"forgetting={self.forgetting}, regularization={self.regularization}"

    def get_config(self):
        """The arguments that make this layer again."""
        return {
            **super().get_config(),
            "forgetting": self.forgetting,
            "regularization": self.regularization,
            "form": self.form,
        }
