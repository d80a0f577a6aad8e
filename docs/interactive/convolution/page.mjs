// Kernel, stride and padding on an image that one draws.
import { page, paint, shown } from "../shared/frame.mjs";
import { pixelPad } from "../shared/pad.mjs";
import { DRAWINGS } from "../shared/images.mjs";
import { matrix } from "../shared/numbers.mjs";
import { KERNELS, convolve, products, zeros } from "./formulas.mjs";
import { words } from "./words.mjs";

const p = page(words, { chapter: "09_convolution" });
const { say } = p;
const SIZE = 12;
let weights = KERNELS.upright.map((row) => [...row]), shownKernel = "upright", map;

const body = p.figure("image", null, { size: "pair" });
const stack = p.element("div", { style: "position:relative" });
body.append(stack);
const surround = p.element("div", { style: "background:repeating-linear-gradient(45deg,var(--line) 0 3px,transparent 3px 9px)" });
stack.append(surround);
const pixels = pixelPad(p, surround, DRAWINGS.house, say.pad);
const frame = p.element("div", { style: "position:absolute;border:3px solid var(--orange);pointer-events:none;border-radius:3px", id: "window" });
stack.append(frame);
const out = p.figure("map", null, { size: "pair" });
const outStack = p.element("div", { style: "position:relative" });
out.append(outStack);
const canvas = p.element("canvas", { class: "map", id: "map", style: "cursor:pointer" });
const spot = p.element("div", { style: "position:absolute;border:3px solid var(--orange);pointer-events:none;border-radius:3px" });
outStack.append(canvas, spot);
canvas.addEventListener("pointermove", (event) => {
  const box = canvas.getBoundingClientRect(), n = map.length;
  const [i, j] = [event.clientY - box.top, event.clientX - box.left].map((v) => Math.min(n - 1, Math.max(0, Math.floor((v / box.width) * n))));
  place.stop();
  place.set(i * n + j);
  p.change();
});

const drawing = p.buttons(Object.fromEntries([...["house", "cross", "slope"].map((name) => [name, () => pixels.set(DRAWINGS[name])]),
  ["clear", () => pixels.set(matrix(SIZE, SIZE))]]));
drawing.prepend(p.element("span", { style: "font-size:.9rem;width:100%" }, say.drawing));
const kernel = p.choice("kernel", ["upright", "level", "blur", "edge", "wide"]);
const table = p.add(p.element("table", { class: "kernel", "aria-label": say.weights }));
const stride = p.slider("stride", { min: 1, max: 4, value: 1 });
const padding = p.choice("padding", ["valid", "same"]);
const place = p.player("place", { frames: 99, perSecond: 12, value: 0 });
const answers = { size: p.answer("size", { large: true }), sum: p.answer("sum", { large: true }) };

function showWeights() {
  table.replaceChildren(...weights.map((row, i) => p.element("tr", {}, ...row.map((weight, j) =>
    p.element("td", {}, p.element("input", { type: "number", step: "0.5", value: weight, "aria-label": `w(${i}, ${j})`,
      oninput: (event) => { weights[i][j] = Number(event.target.value) || 0; p.change(); } }))))));
}
function percent(box, top, left, size, whole) {
  Object.assign(box.style, { top: `${(100 * top) / whole}%`, left: `${(100 * left) / whole}%`, width: `${(100 * size) / whole}%`, height: `${(100 * size) / whole}%` });
}
showWeights();
p.drawn(() => {
  const k = weights.length, n = map.length, [before, after] = zeros(SIZE, k, stride(), padding());
  const whole = SIZE + before + after, row = Math.floor(place() / n), column = place() % n;
  surround.style.padding = `${(100 * before) / whole}% ${(100 * after) / whole}% ${(100 * after) / whole}% ${(100 * before) / whole}%`;
  percent(frame, row * stride(), column * stride(), k, whole);
  percent(spot, row, column, 1, n);
  paint(canvas, map, { signed: true, high: Math.max(1e-9, ...map.flat().map(Math.abs)) });
});
p.start(() => {
  if (kernel() !== shownKernel) {
    shownKernel = kernel();
    weights = KERNELS[shownKernel].map((row) => [...row]);
    showWeights();
  }
  map = convolve(pixels(), weights, stride(), padding());
  place.limit(map.length ** 2 - 1);
  const n = map.length;
  answers.size(`${n} × ${n}`);
  const sum = products(pixels(), weights, stride(), padding(), Math.floor(place() / n), place() % n).flat().reduce((a, b) => a + b, 0);
  answers.sum(shown(sum, 2));
});
