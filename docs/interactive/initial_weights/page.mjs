// Xavier and He through twenty layers: histograms, and the deviation of each layer.
import { page, shown, tick } from "../shared/frame.mjs";
import { chart } from "../shared/chart.mjs";
import { range } from "../shared/numbers.mjs";
import { DEPTH, GAINS, deviations, signals } from "./formulas.mjs";
import { words } from "./words.mjs";

const p = page(words, { chapter: "06_vanishing_gradients" });
const { say } = p;
const SHOWN = [1, 5, 10, 15, 20];
let layers, spread;

p.figure("histograms", (width) => {
  const columns = width < 480 ? 3 : 5, each = width / columns, rows = Math.ceil(SHOWN.length / columns), tall = Math.min(210, each * 0.95 + (columns < 5 ? 24 : 0));
  const parts = SHOWN.map((layer, place) => {
    const values = layers[layer].flat(), half = activation() === "tanh" || activation() === "sigmoid" ? 1.05 : 3, bins = 21;
    const counts = range(bins).map(() => 0);
    values.forEach((value) => { counts[Math.min(bins - 1, Math.max(0, Math.floor(((value + half) / (2 * half)) * bins)))] += 1; });
    const x = (place % columns) * each, y = Math.floor(place / columns) * tall, most = Math.max(...counts), w = (each - 16) / bins, ground = y + tall - 24;
    const bars = counts.map((count, k) => `<rect x="${(x + 8 + k * w).toFixed(1)}" width="${(w * 0.9).toFixed(1)}" y="${(ground - ((tall - 50) * count) / most).toFixed(1)}" height="${(((tall - 50) * count) / most).toFixed(1)}" fill="var(--blue)"/>`);
    return `${bars.join("")}<line class="axis" x1="${x + 8}" x2="${x + each - 8}" y1="${ground}" y2="${ground}"/><text class="strong" x="${x + each / 2}" y="${y + 16}" text-anchor="middle">${say.layer} ${layer}</text>` +
      `<text x="${x + 8}" y="${ground + 16}">${tick(-Math.round(half))}</text><text x="${x + each / 2}" y="${ground + 16}" text-anchor="middle">0</text><text x="${x + each - 8}" y="${ground + 16}" text-anchor="end">${tick(Math.round(half))}</text>`;
  });
  return `<svg viewBox="0 0 ${width} ${rows * tall}" height="${rows * tall}" role="img" aria-label="${say.histograms}">${parts.join("")}</svg>`;
});
p.figure("deviations", (width) => {
  const points = spread.map((value, layer) => [layer, Math.log10(Math.max(value, 1e-30))]), values = points.map(([, value]) => value);
  return chart({ width, height: Math.min(width * 0.45, 330), x: [0, DEPTH], y: [Math.floor(Math.min(-2, ...values)), Math.ceil(Math.max(2, ...values))], logY: true, xLabel: say.layer, format: tick, label: say.deviations,
    marks: [{ rule: { y: 0 }, colour: "green" }, { line: points }, { dots: points }] });
});
const gain = p.slider("gain", { min: 0.2, max: 3, step: 0.02, value: 1, digits: 2 });
p.buttons({ xavier: () => gain.set(GAINS.xavier), he: () => gain.set(Math.round(GAINS.he * 50) / 50) });
const activation = p.choice("activation", ["linear", "tanh", "relu", "sigmoid"], "relu");
const seed = p.slider("seed", { min: 1, max: 20, value: 1 });
const answers = Object.fromEntries(["last", "factor", "saturated", "dead"].map((name) => [name, p.answer(name, { large: name === "last" })]));

p.start(() => {
  layers = signals(activation(), gain(), seed());
  spread = deviations(layers);
  const last = layers.at(-1).flat(), share = (test) => `${shown((100 * last.filter(test).length) / last.length, 0)} %`;
  const end = spread.at(-1), fine = end > 0.1 && end < 10;
  answers.last(shown(end, 3), fine ? "good" : "bad");
  answers.factor(shown((end / spread[1]) ** (1 / (DEPTH - 1)), 3));
  answers.saturated(activation() === "tanh" || activation() === "sigmoid" ? share((value) => Math.abs(value) > 0.95) : "–");
  answers.dead(share((value) => value === 0));
});
