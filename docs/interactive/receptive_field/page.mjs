// The receptive field that grows over layers: a pyramid of cells, and the square on the image.
import { page, shown } from "../shared/frame.mjs";
import { clamp } from "../shared/numbers.mjs";
import { NETWORKS, cone, fields, sizes } from "./formulas.mjs";
import { words } from "./words.mjs";

const p = page(words, { chapter: "09_convolution" });
const { say } = p;
const IMAGE = 64;
let layers, seen, counts, neuron;

p.figure("pyramid", (width) => {
  const rows = layers.length + 1, em = parseFloat(getComputedStyle(document.documentElement).fontSize) * 0.78;
  const left = em * 6.2, cell = (width - left - 4) / IMAGE, gap = Math.max(em * 2.1, Math.min(em * 3.4, 420 / rows)), height = rows * gap + em;
  const found = fields(layers), y = (level) => height - em * 0.6 - (level + 0.5) * gap, tall = Math.min(cell * 1.6, gap * 0.45);
  const jump = (level) => (level ? found[level - 1].jump : 1), start = (level) => (level ? (found[level - 1].field - 1) / 2 : 0);
  const x = (level, place) => left + (start(level) + place * jump(level) + 0.5) * cell;
  const parts = [];
  for (let level = 0; level < rows; level++) {
    const [first, last] = seen[level];
    if (level) {
      const [below, above] = seen[level - 1];
      parts.push(`<polygon points="${x(level, first)},${y(level)} ${x(level, last)},${y(level)} ${x(level - 1, above)},${y(level - 1)} ${x(level - 1, below)},${y(level - 1)}" fill="var(--orange)" opacity="0.13"/>`);
    }
  }
  for (let level = 0; level < rows; level++) {
    const [first, last] = seen[level], side = clamp(cell * jump(level) * 0.72, 2, tall * 2.4);
    const name = level ? `${layers[level - 1][0]} × ${layers[level - 1][0]}${layers[level - 1][1] > 1 ? ` / ${layers[level - 1][1]}` : ""}` : say.image;
    parts.push(`<text x="0" y="${y(level) + em * 0.35}" class="${level === rows - 1 ? "strong" : ""}">${level ? `${level}. ` : ""}${name}</text>`);
    for (let place = 0; place < counts[level]; place++) {
      const on = place >= first && place <= last;
      parts.push(`<rect x="${(x(level, place) - side / 2).toFixed(1)}" y="${(y(level) - tall / 2).toFixed(1)}" width="${side.toFixed(1)}" height="${tall.toFixed(1)}" rx="1.5" fill="var(--${on ? "orange" : "line"})"/>`);
    }
  }
  return `<svg viewBox="0 0 ${width} ${height}" height="${height}" role="img" aria-label="${say.pyramid}">${parts.join("")}</svg>`;
});
p.figure("square", (width) => {
  const side = Math.min(width, 300), cell = side / IMAGE, [first, last] = seen[0];
  const at = first * cell, size = (Math.min(last, IMAGE - 1) - first + 1) * cell;
  // A large 5 in strokes, to have something to see.
  const digit = `<path d="M${side * 0.68} ${side * 0.18}H${side * 0.36}L${side * 0.33} ${side * 0.47}C${side * 0.75} ${side * 0.36} ${side * 0.8} ${side * 0.82} ${side * 0.48} ${side * 0.83}Q${side * 0.36} ${side * 0.83} ${side * 0.3} ${side * 0.74}" fill="none" stroke="var(--ink)" stroke-width="${side * 0.075}" stroke-linecap="round" stroke-linejoin="round"/>`;
  return `<svg viewBox="0 0 ${side} ${side}" height="${side}" style="width:${side}px" role="img" aria-label="${say.square}"><rect width="${side}" height="${side}" fill="var(--panel)"/>${digit}<rect x="${at}" y="${at}" width="${size}" height="${size}" fill="var(--orange)" fill-opacity="0.3" stroke="var(--orange)" stroke-width="3"/></svg>`;
}, { size: "half" });
const network = p.choice("network", ["small", "lenet", "vgg", "resnet"]);
const count = p.slider("layers", { min: 1, max: 8, value: 5 });
const place = p.slider("place", { min: 0, max: 100, value: 50, show: () => (neuron === undefined ? "" : String(neuron)) });
const answers = Object.fromEntries(["field", "share", "jump", "weights"].map((name) => [name, p.answer(name, { large: name === "field" })]));

p.start(() => {
  count.limit(NETWORKS[network()].length);
  layers = NETWORKS[network()].slice(0, count());
  counts = sizes(layers, IMAGE);
  neuron = Math.round(((counts.at(-1) - 1) * place()) / 100);
  document.getElementById("place-shown").textContent = String(neuron);
  seen = cone(layers, neuron);
  const { field, jump } = fields(layers).at(-1);
  answers.field(`${field} × ${field}`);
  answers.share(`${shown((100 * Math.min(field, IMAGE) ** 2) / IMAGE ** 2, 0)} %`);
  answers.jump(`${jump} ${jump === 1 ? say.pixel : say.pixels}`);
  answers.weights(String(layers.reduce((total, [kernel]) => total + kernel * kernel, 0)));
});
