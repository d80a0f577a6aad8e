// Random networks of many layers, and how long the gradient of each layer is.
import { gradientNorms, initialDeviation } from "../shared/network.mjs";
import { matrix, normal } from "../shared/numbers.mjs";

const WIDTH = 32, EXAMPLES = 16;

/** Kernels of `depth` hidden layers and a linear output of ten, with the same draws for every start. */
export function kernels(depth, start, seed = 1) {
  const draw = normal(seed);
  return Array.from({ length: depth + 1 }, (_, layer) => {
    const outputs = layer === depth ? 10 : WIDTH, deviation = initialDeviation(start, WIDTH, outputs);
    return matrix(WIDTH, outputs, () => deviation * draw());
  });
}

/** Inputs of deviation 1, and one right answer of ten for each. */
export function examples(seed = 2) {
  const draw = normal(seed);
  return {
    x: matrix(EXAMPLES, WIDTH, () => draw()),
    desired: matrix(EXAMPLES, 10, (n, j) => (n % 10 === j ? 1 : 0)),
  };
}

/** The lengths of the gradients of all kernels, first layer first. */
export function norms(activation, depth, start, seed = 1) {
  const { x, desired } = examples();
  return gradientNorms(kernels(depth, start, seed), activation, x, desired);
}
