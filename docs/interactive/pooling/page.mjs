// Pooling and shift: four maps, and how much each pair differs.
import { page, paint, shown } from "../shared/frame.mjs";
import { pixelPad } from "../shared/pad.mjs";
import { DRAWINGS } from "../shared/images.mjs";
import { matrix } from "../shared/numbers.mjs";
import { change, moved, pool } from "./formulas.mjs";
import { words } from "./words.mjs";

const p = page(words, { chapter: "10_pooling" });
document.documentElement.classList.add("two-rows");
const pixels = pixelPad(p, p.figure("image", null, { size: "pair" }), DRAWINGS.house, p.say.pad);
const canvases = Object.fromEntries(["shifted", "pooled", "pooledShifted"].map((name) => {
  const canvas = p.element("canvas", { class: "map", id: name });
  p.figure(name, null, { size: "pair" }).append(canvas);
  return [name, canvas];
}));
p.buttons(Object.fromEntries([...["house", "cross", "slope", "dot"].map((name) => [name, () => pixels.set(DRAWINGS[name])]),
  ["clear", () => pixels.set(matrix(12, 12))]]));
const shift = p.slider("shift", { min: -4, max: 4, value: 1 });
const down = p.slider("down", { min: -4, max: 4, value: 0 });
const size = p.choice("size", ["2", "3", "4", "6"]);
const kind = p.choice("kind", ["max", "mean"]);
const answers = Object.fromEntries(["before", "after", "side"].map((name) => [name, p.answer(name, { large: name !== "side" })]));
let maps;

p.drawn(() => Object.entries(canvases).forEach(([name, canvas]) => paint(canvas, maps[name])));
p.start(() => {
  const shifted = moved(pixels(), shift(), down()), window = Number(size());
  maps = { shifted, pooled: pool(pixels(), window, kind()), pooledShifted: pool(shifted, window, kind()) };
  answers.before(`${shown(100 * change(pixels(), shifted), 0)} %`);
  answers.after(`${shown(100 * change(maps.pooled, maps.pooledShifted), 0)} %`);
  answers.side(`${maps.pooled.length} × ${maps.pooled.length}`);
});
