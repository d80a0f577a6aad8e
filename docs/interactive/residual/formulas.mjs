// A plain and a residual network of one input, of the same weights, trained on a curve.
import { back, outer, times } from "../shared/network.mjs";
import { matrix, mean, norm, normal, range } from "../shared/numbers.mjs";

const WIDTH = 8;

/** Kernels: the input (t and a 1) to `WIDTH` units, `depth` layers, and one output. */
export function start(depth, scale, seed = 1) {
  const draw = normal(seed);
  return [matrix(2, WIDTH, () => draw()),
    ...range(depth).map(() => matrix(WIDTH, WIDTH, () => scale * Math.sqrt(2 / WIDTH) * draw())),
    matrix(WIDTH, 1, () => draw() / Math.sqrt(WIDTH))];
}

/** What is to be learnt: 40 points of a curve. */
export const target = (t) => Math.sin(3 * t) + 0.4 * Math.sin(9 * t);
export const TIMES = range(40).map((k) => -1 + (2 * k) / 39);
const INPUTS = TIMES.map((t) => [t, 1]), DESIRED = TIMES.map(target);

/**
 * The network's curve, its loss (half of the mean square) and the gradients of all kernels.
 *
 * A layer is h + W' relu(h) where `skip`, and W' relu(h) where not: nothing else differs.
 */
export function gradients(kernels, skip, inputs = INPUTS, desired = DESIRED) {
  const layers = kernels.slice(1, -1), last = kernels.at(-1);
  let h = times(inputs, kernels[0]);
  const states = [h], rectified = [];
  for (const kernel of layers) {
    const open = h.map((row) => row.map((value) => Math.max(0, value)));
    rectified.push(open);
    const added = times(open, kernel), before = h;
    h = skip ? added.map((row, n) => row.map((value, i) => value + before[n][i])) : added;
    states.push(h);
  }
  const curve = times(h, last).map(([value]) => value), count = inputs.length;
  const errors = curve.map((value, n) => value - desired[n]);
  const found = [];
  let delta = errors.map((value) => [value / count]);
  found[kernels.length - 1] = outer(h, delta);
  delta = back(delta, last);
  for (let layer = layers.length - 1; layer >= 0; layer--) {
    found[layer + 1] = outer(rectified[layer], delta);
    const through = back(delta, layers[layer]), state = states[layer];
    delta = delta.map((row, n) => row.map((value, i) => (skip ? value : 0) + (state[n][i] > 0 ? through[n][i] : 0)));
  }
  found[0] = outer(inputs, delta);
  return { curve, loss: mean(errors.map((value) => value * value)) / 2, gradients: found };
}

/** A training by Adam (as in Keras); `step()` says how the network stood before it. */
export function training(kernels, skip, rate = 0.01) {
  const weights = kernels.map((kernel) => kernel.map((row) => [...row]));
  const zero = () => kernels.map((kernel) => kernel.map((row) => row.map(() => 0)));
  const first = zero(), second = zero();
  let n = 0;
  return {
    step() {
      const { curve, loss, gradients: g } = gradients(weights, skip);
      n += 1;
      const size = (rate * Math.sqrt(1 - 0.999 ** n)) / (1 - 0.9 ** n);
      weights.forEach((kernel, k) => kernel.forEach((row, i) => row.forEach((_, j) => {
        first[k][i][j] += 0.1 * (g[k][i][j] - first[k][i][j]);
        second[k][i][j] += 0.001 * (g[k][i][j] ** 2 - second[k][i][j]);
        row[j] -= (size * first[k][i][j]) / (Math.sqrt(second[k][i][j]) + 1e-7);
      })));
      return { curve, loss, norms: g.slice(1, -1).map(norm) };
    },
  };
}
