// A digit drawn with the mouse, read by LeNet-5, with the maps of all layers.
import { page, paint, shown, tick } from "../shared/frame.mjs";
import { chart } from "../shared/chart.mjs";
import { enlarge, framed, rasterise } from "../shared/images.mjs";
import { strokePad } from "../shared/pad.mjs";
import { matrix, range } from "../shared/numbers.mjs";
import { answers as read, centred, unpacked } from "./formulas.mjs";
import { words } from "./words.mjs";

const p = page(words, { chapter: "11_lenet5" });
const { say } = p;
document.documentElement.classList.add("answer-early");
const { digits, weights: packed, size: ink } = JSON.parse(document.getElementById("data").textContent);
const WEIGHTS = unpacked(packed), SIZE = 32;
const SHAPES = { C1: [28, 6, 3], S2: [14, 6, 3], C3: [10, 16, 8], S4: [5, 16, 8] };
let example = new URLSearchParams(location.search).get("digit") ?? "7", found, image;

const pad = strokePad(p, p.figure("draw", null, { size: "third draw" }), say.pad);
pad.begin = () => { if (example !== null) { example = null; pad.clear(); } };
const input = p.element("canvas", { class: "map", id: "input" });
p.figure("input", null, { size: "third" }).append(input);
p.figure("probabilities", (width) => chart({ width, height: Math.min(width * 0.95, 330), x: [-0.6, 9.6], y: [0, 1], format: tick, label: say.probabilities, left: 34, xTicks: range(10), yTicks: [0, 0.5, 1],
  marks: [{ bars: found.probabilities.map((value, k) => [k - 0.4, k + 0.4, value]), colour: "line" },
    { bars: [[found.digit - 0.4, found.digit + 0.4, found.probabilities[found.digit]]], colour: "blue" }] }), { size: "third" });
const canvases = Object.entries(SHAPES).map(([name, [side, count, columns]]) => {
  const grid = p.element("div", { class: "maps", style: `grid-template-columns:repeat(${columns},minmax(0,1fr))`, id: `maps-${name}` });
  const body = p.figure(name, null, { size: "half" });
  body.append(grid);
  return range(count).map((map) => {
    const canvas = p.element("canvas", { class: "map" });
    grid.append(canvas);
    return () => paint(canvas, matrix(side, side, (i, j) => found[name][(i * side + j) * count + map]), { signed: true });
  });
}).flat();
for (const [name, rows] of [["C5", 4], ["F6", 4]]) {
  const canvas = p.element("canvas", { class: "map" });
  p.figure(name, null, { size: "half" }).append(canvas);
  canvases.push(() => {
    const columns = found[name].length / rows;
    paint(canvas, matrix(rows, columns, (i, j) => found[name][i * columns + j]), { signed: true });
  });
}
p.buttons({ clear: () => { example = null; pad.clear(); } });
const row = p.buttons(Object.fromEntries(range(10).map((k) => [`d${k}`, () => { example = String(k); pad.clear(); }])));
row.classList.add("digits");
row.querySelectorAll("button").forEach((button, k) => { button.textContent = k; });
row.prepend(p.element("span", { style: "font-size:.9rem;grid-column:1/-1" }, say.examples));
const answers = Object.fromEntries(["digit", "sure", "second", "logit"].map((name) => [name, p.answer(name, { large: name === "digit" })]));

p.drawn(() => {
  const context = pad.canvas.getContext("2d"), side = pad.canvas.width;
  context.fillStyle = "black";
  context.fillRect(0, 0, side, side);
  context.strokeStyle = "white";
  context.lineWidth = side / 13;
  context.lineCap = context.lineJoin = "round";
  if (example !== null) {
    const small = paint(document.createElement("canvas"), framed(enlarge(digits[example], ink), SIZE));
    context.drawImage(small, 0, 0, side, side);
  }
  for (const stroke of pad()) {
    context.beginPath();
    stroke.forEach(([x, y], k) => { if (k) context.lineTo(x * side, y * side); else context.moveTo(x * side, y * side); });
    if (stroke.length === 1) context.lineTo(stroke[0][0] * side + 0.1, stroke[0][1] * side);
    context.stroke();
  }
  const cursor = pad.cursor();
  if (cursor) {
    context.fillStyle = cursor.down ? "#f59b4a" : "#888";
    context.beginPath();
    context.arc(cursor.at[0] * side, cursor.at[1] * side, side / 40, 0, 7);
    context.fill();
  }
  paint(input, image);
  canvases.forEach((draw) => draw());
});
p.start(() => {
  if (example !== null) image = framed(enlarge(digits[example], ink), SIZE);
  else image = pad().length ? rasterise(centred(pad(), ink), SIZE, 2.7) : matrix(SIZE, SIZE);
  found = read(WEIGHTS, image);
  const drawn = example !== null || pad().length > 0, order = range(10).sort((a, b) => found.probabilities[b] - found.probabilities[a]);
  answers.digit(drawn ? String(found.digit) : "–");
  answers.sure(drawn ? `${shown(100 * found.probabilities[order[0]], 2)} %` : "–");
  answers.second(drawn ? `${order[1]}: ${shown(100 * found.probabilities[order[1]], 2)} %` : "–");
  answers.logit(drawn ? shown(found.logits[order[0]], 3) : "–");
});
