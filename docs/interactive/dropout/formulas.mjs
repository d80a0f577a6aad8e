// Inverted dropout on the hidden units of a small network with one output.
import { ACTIVATIONS, times } from "../shared/network.mjs";
import { matrix, normal, range, uniform } from "../shared/numbers.mjs";

/** What a layer hands on while training: what stays is divided by the share that stays. */
export const dropped = (values, kept, rate) =>
  values.map((value, k) => (kept[k] ? value / (1 - rate) : 0));

/** Which units stay: each by itself, with probability 1 - rate. */
export function draw(units, rate, seed) {
  const next = uniform(seed * 7919 + 17);
  return range(units).map(() => next() >= rate);
}

/** A network of fixed weights: `inputs` to `hidden` ReLU units to one output, and an input. */
export function network(inputs = 4, hidden = 12) {
  const next = normal(11);
  return {
    x: range(inputs).map(() => next()),
    first: matrix(inputs, hidden, () => next() * Math.sqrt(2 / inputs)),
    second: range(hidden).map(() => next() * Math.sqrt(0.5 / hidden)),
  };
}

/** The hidden units' outputs. */
export const hidden = ({ x, first }) => times([x], first)[0].map(ACTIVATIONS.relu[0]);

/** The output from what the hidden layer hands on. */
export const output = ({ second }, values) => values.reduce((total, value, k) => total + value * second[k], 0);

/** The output's deviation over all draws: sqrt(rate / (1 - rate) * sum (w h)^2). */
export const spread = (net, rate) =>
  Math.sqrt((rate / (1 - rate)) * hidden(net).reduce((total, h, k) => total + (h * net.second[k]) ** 2, 0));
