// The numbers of the moving pictures, from the pages' own formulas: JSON in, JSON out.
import { readFileSync } from "node:fs";
import { answers, unpacked } from "../lenet5/formulas.mjs";
import { lms } from "../lms_filter/formulas.mjs";
import { enlarge, framed } from "./images.mjs";
import { forward, gradients, initialDeviation } from "./network.mjs";
import { matrix, norm, normal, range, sum } from "./numbers.mjs";

const given = JSON.parse(readFileSync(0, "utf8"));

/** Ten layers that learn digits by the delta rule: gradients and accuracy by epoch. */
function lesson(activation, start) {
  const { x, labels, width, layers, epochs, batch, rate } = given.lesson;
  const draw = normal(5), held = Math.floor(x.length * 0.8);
  const sizes = [x[0].length, ...range(layers).map(() => width), 10];
  const kernels = range(layers + 1).map((k) =>
    matrix(sizes[k], sizes[k + 1], () => initialDeviation(start, sizes[k], sizes[k + 1]) * draw()));
  const desired = labels.map((label) => range(10).map((k) => Number(k === label)));
  const norms = [], accuracy = [];
  const judge = () => {
    const said = forward(kernels, activation, x.slice(held)).output;
    accuracy.push(sum(said.map((row, n) => Number(row.indexOf(Math.max(...row)) === labels[held + n]))) / said.length);
  };
  for (let epoch = 0; epoch < epochs; epoch++) {
    judge();
    for (let from = 0; from + batch <= held; from += batch) {
      const found = gradients(kernels, activation, x.slice(from, from + batch), desired.slice(from, from + batch));
      if (from === 0) norms.push(found.slice(0, -1).map((kernel) => norm(kernel) / batch));
      found.forEach((kernel, k) => kernel.forEach((row, i) => row.forEach((value, j) => {
        kernels[k][i][j] -= (rate / batch) * value;
      })));
    }
  }
  judge();
  return { norms, accuracy: accuracy.slice(1) };
}

const image = framed(enlarge(given.digit, given.ink), 32);
const { C1, C3, F6, probabilities } = answers(unpacked(given.weights), image);
const { x, d, taps, mu } = given.filter;
console.log(JSON.stringify({
  lesson: { sigmoid: lesson("sigmoid", "xavier"), relu: lesson("relu", "he") },
  filter: lms(x, d, taps, mu).weights,
  digit: { image, C1: [...C1], C3: [...C3], F6: [...F6], probabilities },
}));
