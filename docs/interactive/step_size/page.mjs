// The step size on the bowl: the trajectory from above, and its height over time.
import { page, shown, tick } from "../shared/frame.mjs";
import { chart } from "../shared/chart.mjs";
import { bound, bowl, descend, excess, factors, regime } from "./formulas.mjs";
import { words } from "./words.mjs";

const p = page(words, { chapter: "03_steepest_descent" });
const { say } = p;
const START = [-1.6, 1.5], STEPS = 40;
let surface, path;

p.figure("trajectory", (width) => {
  const height = Math.min(width * 0.62, 560, Math.max(260, p.screen * 0.46)), half = 2.2 * (width / height);
  const rings = [0.01, 0.05, 0.15, 0.4, 0.9, 1.8, 3.4, 6, 10].map((level) => ({
    path: (place) => {
      const [[c, s]] = surface.axes, radii = surface.lambda.map((l) => Math.sqrt((2 * level) / l));
      const points = Array.from({ length: 73 }, (_, k) => {
        const a = radii[0] * Math.cos((k * Math.PI) / 36), b = radii[1] * Math.sin((k * Math.PI) / 36);
        return place([surface.minimum[0] + a * c - b * s, surface.minimum[1] + a * s + b * c]).map((v) => v.toFixed(1)).join();
      });
      return `<polygon points="${points.join(" ")}" fill="none" stroke="var(--line)" stroke-width="1.5"/>`;
    },
  }));
  const walked = path.slice(0, time() + 1), last = walked.at(-1);
  return chart({ width, height, x: [-half, half], y: [-2.2, 2.2], format: tick, label: say.trajectory,
    marks: [...rings, { line: walked, colour: diverges() ? "red" : "blue" },
      { dots: walked.slice(0, -1), colour: diverges() ? "red" : "blue", size: 3 },
      { dots: [last], colour: "orange", size: 7 }, { dots: [surface.minimum], colour: "green", size: 5, hollow: true }] });
});
p.figure("cost", (width) => {
  const heights = path.map((w, n) => [n, Math.log10(Math.max(excess(surface, w), 1e-12))]);
  const values = heights.map(([, v]) => v);
  const low = Math.floor(Math.min(...values, -1)), high = Math.ceil(Math.max(...values, 1));
  return chart({ width, height: Math.min(width * 0.34, 240), x: [0, STEPS], y: [low, high], logY: true, xLabel: say.steps, format: tick, label: say.cost,
    marks: [{ line: heights, colour: "line" }, { line: heights.slice(0, time() + 1), colour: diverges() ? "red" : "blue" },
      { dots: [heights[Math.min(time(), heights.length - 1)]], colour: "orange", size: 6 }] });
});
const eta = p.slider("eta", { min: 0.01, max: 1.2, step: 0.01, value: 0.7, digits: 2 });
const steepness = p.slider("steepness", { min: 1, max: 4, step: 0.1, value: 2.5, digits: 1 });
const time = p.player("step", { frames: STEPS, perSecond: 8 });
const diverges = () => eta() > bound(surface);
const answers = Object.fromEntries(["bound", "verdict", "steep", "flat", "height"].map((name) => [name, p.answer(name, { large: name === "bound" })]));

p.start(() => {
  surface = bowl([steepness(), 0.35], 0.5, [0.5, -0.2]);
  path = descend(surface, eta(), START, STEPS);
  const [steep, flat] = factors(surface, eta()), behaviour = regime(steep);
  answers.bound(shown(bound(surface), 2), diverges() ? "bad" : "good");
  answers.verdict(say[behaviour], behaviour === "divergent" ? "bad" : "");
  answers.steep(shown(steep, 2));
  answers.flat(shown(flat, 2));
  answers.height(shown(excess(surface, path[Math.min(time(), path.length - 1)]), 3));
});
