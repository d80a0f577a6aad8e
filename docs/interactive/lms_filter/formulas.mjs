// The LMS rule, and a system that it identifies while the system changes.
import { normal, range } from "../shared/numbers.mjs";

/**
 * e(n) = d(n) - w'(n) x(n), then w(n+1) = w(n) + mu e(n) x(n), from w(0) = 0.
 *
 * Returns the errors and the weights before each step and after the last.
 */
export function lms(input, desired, taps, mu) {
  let w = Array(taps).fill(0);
  const weights = [w], errors = [];
  for (let n = 0; n < input.length; n++) {
    let output = 0;
    for (let k = 0; k < taps && k <= n; k++) output += w[k] * input[n - k];
    const e = desired[n] - output;
    errors.push(e);
    w = w.map((value, k) => value + (k <= n ? mu * e * input[n - k] : 0));
    weights.push(w);
    if (!(Math.abs(e) < 1e12)) break;
  }
  return { weights, errors };
}

/** The system's taps at time n: one, then another; "drift" goes over slowly. */
export function system(kind, n, length) {
  const first = [0.2, 0.7, 1, 0.5, -0.3, -0.5, -0.2, 0.1], second = [-0.4, 0.1, 0.6, -0.8, 0.9, 0.3, -0.2, 0.2];
  let share = n < length / 2 ? 0 : 1;
  if (kind === "still") share = 0;
  if (kind === "drift") share = Math.min(1, Math.max(0, (n - length * 0.25) / (length * 0.6)));
  return first.map((value, k) => (1 - share) * value + share * second[k]);
}

/** White noise of variance 1, and what the changing system answers, with noise of `deviation`. */
export function signals(kind, length, deviation, seed = 3) {
  const draw = normal(seed), other = normal(seed + 1);
  const input = range(length).map(draw);
  const desired = input.map((_, n) =>
    system(kind, n, length).reduce((total, tap, k) => total + (k <= n ? tap * input[n - k] : 0), deviation * other()));
  return { input, desired };
}

/** |w - h|^2 / |h|^2 in decibels: how wrong the filter still is. */
export function misalignment(w, h) {
  const wrong = h.reduce((total, value, k) => total + (value - w[k]) ** 2, 0);
  return 10 * Math.log10(wrong / h.reduce((total, value) => total + value * value, 0));
}

/** For white noise of this power: the mean converges below 2 / lambda_max. */
export const meanBound = (power) => 2 / power;

/** Feuer and Weinstein's bound of the mean square, 2 / (3 tr R). */
export const safeBound = (power, taps) => 2 / (3 * taps * power);
