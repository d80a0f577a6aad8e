// Dropout: the network of each draw, and the outputs of all of them.
import { page, shown, tick } from "../shared/frame.mjs";
import { chart } from "../shared/chart.mjs";
import { deviation, mean, range } from "../shared/numbers.mjs";
import { draw, dropped, hidden, network, output, spread } from "./formulas.mjs";
import { words } from "./words.mjs";

const p = page(words, { chapter: "07_dropout" });
const { say } = p;
const NET = network(), VALUES = hidden(NET), FULL = output(NET, VALUES), MOST = 1000;
let kept, outputs;

p.figure("net", (width) => {
  const height = Math.min(width * 0.95, 480), units = VALUES.length;
  const across = [0.1, 0.5, 0.9].map((share) => share * width), radius = Math.min(height / units / 2.7, 17);
  const y = (k, count) => (height * (k + 0.5)) / count;
  const largest = Math.max(...NET.second.map(Math.abs));
  const parts = VALUES.flatMap((_, k) => {
    if (!kept[k]) return [];
    const lines = NET.x.map((__, i) => `<line x1="${across[0]}" y1="${y(i, 4)}" x2="${across[1]}" y2="${y(k, units)}" stroke="var(--${NET.first[i][k] > 0 ? "blue" : "orange"})" stroke-width="${0.4 + 1.6 * Math.min(1, Math.abs(NET.first[i][k]))}" opacity="0.55"/>`);
    return [...lines, `<line x1="${across[1]}" y1="${y(k, units)}" x2="${across[2]}" y2="${height / 2}" stroke="var(--${NET.second[k] > 0 ? "blue" : "orange"})" stroke-width="${0.6 + (3.4 * Math.abs(NET.second[k])) / largest}" opacity="0.8"/>`];
  });
  const circle = (x, at, on) => `<circle cx="${x}" cy="${at}" r="${radius}" fill="var(--${on ? "panel" : "paper"})" stroke="var(--${on ? "ink" : "quiet"})" stroke-width="2" ${on ? "" : 'stroke-dasharray="3 4"'}/>`;
  NET.x.forEach((_, i) => parts.push(circle(across[0], y(i, 4), true)));
  VALUES.forEach((_, k) => {
    const at = y(k, units);
    parts.push(circle(across[1], at, kept[k]));
    if (!kept[k]) parts.push(`<path d="M${across[1] - radius * 0.5} ${at - radius * 0.5}l${radius} ${radius}m0 ${-radius}l${-radius} ${radius}" stroke="var(--red)" stroke-width="2.5"/>`);
  });
  parts.push(circle(across[2], height / 2, true));
  return `<svg viewBox="0 0 ${width} ${height}" height="${height}" role="img" aria-label="${say.net}">${parts.join("")}</svg>`;
}, { size: "half" });
p.figure("histogram", (width) => {
  const half = 5, bins = 40, counts = range(bins).map(() => 0);
  outputs.forEach((value) => { counts[Math.min(bins - 1, Math.max(0, Math.floor(((value - FULL + half) / (2 * half)) * bins)))] += 1; });
  const bars = counts.map((count, k) => [FULL - half + (2 * half * k) / bins, FULL - half + (2 * half * (k + 0.9)) / bins, count]);
  return chart({ width, height: Math.min(width * 0.95, 480), x: [FULL - half, FULL + half], y: [0, Math.max(4, ...counts) * 1.12], xLabel: say.output, yLabel: say.count, format: tick, label: say.histogram,
    marks: [{ bars, colour: "purple", opacity: 0.45 }, { rule: { x: FULL }, colour: "green", text: shown(FULL, 2), row: 1 },
      { rule: { x: mean(outputs) }, colour: "blue", text: shown(mean(outputs), 2), row: 2.3 }] });
}, { size: "half" });
const rate = p.slider("rate", { min: 0, max: 0.9, step: 0.05, value: 0.5, digits: 2 });
const draws = p.player("draws", { frames: MOST, perSecond: 40 });
const answers = Object.fromEntries(["kept", "mean", "test", "now", "deviation", "networks"].map((name) => [name, p.answer(name, { large: name === "kept" })]));

p.start(() => {
  outputs = range(Math.max(1, draws())).map((seed) => output(NET, dropped(VALUES, draw(VALUES.length, rate(), seed), rate())));
  kept = draw(VALUES.length, rate(), Math.max(1, draws()) - 1);
  answers.kept(`${kept.filter(Boolean).length} / ${VALUES.length}`);
  answers.mean(shown(mean(outputs), 3));
  answers.test(shown(FULL, 3), "good");
  answers.now(shown(outputs.at(-1), 3));
  answers.deviation(`${shown(deviation(outputs), 3)} / ${shown(spread(NET, rate()), 3)}`);
  answers.networks(`2¹² = ${shown(2 ** VALUES.length, 0)}`);
});
