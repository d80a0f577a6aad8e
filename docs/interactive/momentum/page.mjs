// Momentum in a long valley: two walks from above, and their heights.
import { page, shown, tick } from "../shared/frame.mjs";
import { chart } from "../shared/chart.mjs";
import { range } from "../shared/numbers.mjs";
import { bound, cost, descend, rate } from "./formulas.mjs";
import { words } from "./words.mjs";

const p = page(words, { chapter: "03_steepest_descent" });
const { say } = p;
const STEPS = 120, START = [-2.6, 0.9];
let lambda, paths;
const drawn = () => [["without", "orange"], ["with", "blue"]].map(([name, colour]) => [paths[name].slice(0, time() + 1), colour]);

p.figure("path", (width) => {
  const height = Math.min(width * 0.45, 420), half = 3;
  const rings = [0.02, 0.08, 0.2, 0.4, 0.7, 1.1, 1.7, 2.6].map((share) => ({
    path: (place) => {
      const points = range(73).map((k) => place([share * 1.6 * Math.cos((k * Math.PI) / 36), (share * 1.6 * Math.sin((k * Math.PI) / 36)) / Math.sqrt(lambda[1] / lambda[0])]).map((v) => v.toFixed(1)).join());
      return `<polygon points="${points.join(" ")}" fill="none" stroke="var(--line)" stroke-width="1.5"/>`;
    },
  }));
  return chart({ width, height, x: [-half, half * 0.6], y: [-1.3, 1.3], format: tick, label: say.path,
    marks: [...rings, ...drawn().flatMap(([path, colour]) => [{ line: path, colour }, { dots: path.slice(0, -1), colour, size: 2 }, { dots: [path.at(-1)], colour, size: 7 }]),
      { dots: [[0, 0]], colour: "green", size: 5, hollow: true }] });
});
p.figure("cost", (width) => {
  const heights = drawn().map(([path, colour]) => [path.map((w, n) => [n, Math.log10(Math.max(cost(lambda, w), 1e-12))]), colour]);
  return chart({ width, height: Math.min(width * 0.36, 260), x: [0, STEPS], y: [-12, 2], logY: true, xLabel: say.steps, format: tick, label: say.cost,
    marks: heights.map(([line, colour]) => ({ line, colour })) });
});
p.legend([["blue", "with"], ["orange", "without"]]);
const alpha = p.slider("alpha", { min: 0, max: 0.98, step: 0.01, value: 0.8, digits: 2 });
const eta = p.slider("eta", { min: 0.005, max: 0.4, step: 0.005, value: 0.09, digits: 3 });
const valley = p.slider("valley", { min: 1, max: 100, step: 1, value: 40 });
const time = p.player("step", { frames: STEPS, perSecond: 12 });
const answers = Object.fromEntries(["height", "heightWithout", "rate", "bound"].map((name) => [name, p.answer(name, { large: name.startsWith("height") })]));

p.start(() => {
  lambda = [20 / valley(), 20];
  paths = { with: descend(lambda, eta(), alpha(), START, STEPS), without: descend(lambda, eta(), 0, START, STEPS) };
  const at = (name) => cost(lambda, paths[name][Math.min(time(), paths[name].length - 1)]);
  answers.height(shown(at("with"), 5));
  answers.heightWithout(shown(at("without"), 5), "warm");
  const slowest = (memory) => shown(Math.max(...lambda.map((curvature) => rate(curvature, eta(), memory))), 3);
  answers.rate(`${slowest(alpha())} / ${slowest(0)}`);
  answers.bound(shown(bound(lambda, alpha()), 3), eta() < bound(lambda, alpha()) ? "good" : "bad");
});
