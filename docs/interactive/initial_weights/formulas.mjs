// Twenty layers of random weights: what becomes of the signal's deviation.
import { ACTIVATIONS, times } from "../shared/network.mjs";
import { deviation, matrix, normal } from "../shared/numbers.mjs";

const WIDTH = 64, EXAMPLES = 48;
export const DEPTH = 20;

/** The outputs of every layer, for weights of deviation gain / sqrt(inputs). */
export function signals(activation, gain, seed = 1) {
  const draw = normal(seed), phi = ACTIVATIONS[activation][0];
  let y = matrix(EXAMPLES, WIDTH, () => draw());
  const layers = [y];
  for (let layer = 0; layer < DEPTH; layer++) {
    const kernel = matrix(WIDTH, WIDTH, () => (gain / Math.sqrt(WIDTH)) * draw());
    y = times(y, kernel).map((row) => row.map(phi));
    layers.push(y);
  }
  return layers;
}

export const deviations = (layers) => layers.map((y) => deviation(y.flat()));

/** Xavier's gain where inputs and outputs are as many is 1; He's is sqrt(2). */
export const GAINS = { xavier: 1, he: Math.SQRT2 };
