// Stacks of dense layers without biases: forwards, and the error's way back by the delta rule.
import { norm } from "./numbers.mjs";

/** phi(v) and phi'(v) of each activation. */
export const ACTIVATIONS = {
  sigmoid: [(v) => 1 / (1 + Math.exp(-v)), (v) => { const y = 1 / (1 + Math.exp(-v)); return y * (1 - y); }],
  tanh: [Math.tanh, (v) => 1 - Math.tanh(v) ** 2],
  relu: [(v) => Math.max(0, v), (v) => (v > 0 ? 1 : 0)],
  linear: [(v) => v, () => 1],
};

/** Rows times a kernel of (inputs, outputs). */
export function times(rows, kernel) {
  return rows.map((row) => {
    const out = new Array(kernel[0].length).fill(0);
    for (let i = 0; i < row.length; i++) {
      const value = row[i], weights = kernel[i];
      if (value !== 0) for (let j = 0; j < out.length; j++) out[j] += value * weights[j];
    }
    return out;
  });
}

/** Rows times the kernel's transpose: what the deltas carry back. */
export const back = (rows, kernel) =>
  rows.map((row) => kernel.map((weights) => weights.reduce((total, w, j) => total + w * row[j], 0)));

/** The gradient of a kernel: the sum over examples of input times delta. */
export function outer(inputs, deltas) {
  const gradient = inputs[0].map(() => new Array(deltas[0].length).fill(0));
  inputs.forEach((row, n) => row.forEach((value, i) => {
    if (value !== 0) for (let j = 0; j < deltas[n].length; j++) gradient[i][j] += value * deltas[n][j];
  }));
  return gradient;
}

const each = (rows, change) => rows.map((row, n) => row.map((value, i) => change(value, n, i)));

/** Each layer's inputs and fields v, and the output; the last layer is linear. */
export function forward(kernels, activation, x) {
  const phi = ACTIVATIONS[activation][0], inputs = [], fields = [];
  let y = x;
  kernels.forEach((kernel, layer) => {
    inputs.push(y);
    const v = times(y, kernel);
    fields.push(v);
    y = layer === kernels.length - 1 ? v : each(v, phi);
  });
  return { inputs, fields, output: y };
}

/** The gradients of E = 1/2 sum e^2 by each kernel, e = d - y; delta_j = phi'(v_j) sum_k w_jk delta_k. */
export function gradients(kernels, activation, x, desired) {
  const { inputs, fields, output } = forward(kernels, activation, x), slope = ACTIVATIONS[activation][1];
  let delta = each(output, (value, n, i) => desired[n][i] - value);
  const found = [];
  for (let layer = kernels.length - 1; layer >= 0; layer--) {
    found[layer] = each(outer(inputs[layer], delta), (value) => -value);
    if (layer > 0) {
      const behind = back(delta, kernels[layer]);
      delta = each(behind, (value, n, i) => value * slope(fields[layer - 1][n][i]));
    }
  }
  return found;
}

/** The length of each kernel's gradient. */
export const gradientNorms = (...all) => gradients(...all).map(norm);

/** The deviation of initial weights: Xavier (Glorot), He, or small numbers. */
export const initialDeviation = (name, inputs, outputs) =>
  ({ xavier: Math.sqrt(2 / (inputs + outputs)), he: Math.sqrt(2 / inputs), small: 0.05 })[name];
