// Sigmoid against tanh and ReLU over depth: the length of each layer's gradient.
import { page, shown, tick } from "../shared/frame.mjs";
import { chart } from "../shared/chart.mjs";
import { norms } from "./formulas.mjs";
import { words } from "./words.mjs";

const p = page(words, { chapter: "06_vanishing_gradients" });
const { say } = p;
const COLOURS = { sigmoid: "red", tanh: "green", relu: "blue" };
let found;

p.figure("norms", (width) => {
  const marks = Object.entries(COLOURS).flatMap(([name, colour]) => {
    const points = found[name].slice(0, -1).map((value, k) => [k + 1, Math.log10(Math.max(value, 1e-30))]);
    return [{ line: points, colour }, { dots: points, colour, size: 4 }];
  });
  const all = marks.filter((mark) => mark.line).flatMap((mark) => mark.line.map(([, value]) => value));
  return chart({ width, height: Math.min(width * 0.62, 560), x: [0.5, depth() + 0.5], y: [Math.floor(Math.min(...all)), Math.ceil(Math.max(...all, 1))],
    logY: true, xLabel: say.layer, format: tick, label: say.norms, marks });
});
p.legend([["red", "sigmoid"], ["green", "tanh"], ["blue", "relu"]]);
const depth = p.slider("depth", { min: 2, max: 30, value: 12 });
const start = p.choice("start", ["xavier", "he", "small"]);
const seed = p.slider("seed", { min: 1, max: 20, value: 1 });
const answers = Object.fromEntries(Object.keys(COLOURS).map((name) => [name, p.answer(`ratio_${name}`, { large: name === "sigmoid" })]));

p.start(() => {
  found = Object.fromEntries(Object.keys(COLOURS).map((name) => [name, norms(name, depth(), start(), seed())]));
  for (const [name, values] of Object.entries(found)) {
    const ratio = values[0] / values.at(-2);
    answers[name](shown(ratio, 3), ratio < 1e-3 ? "bad" : ratio > 1e3 ? "warm" : "");
  }
});
