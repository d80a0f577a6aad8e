// Augmentation's strength: sixteen copies of a digit, read by LeNet-5.
import { page, paint, shown } from "../shared/frame.mjs";
import { enlarge, framed } from "../shared/images.mjs";
import { range } from "../shared/numbers.mjs";
import { answers as read, unpacked } from "../lenet5/formulas.mjs";
import { LIMITS, draws, noisy, resample, transform } from "./formulas.mjs";
import { words } from "./words.mjs";

const p = page(words, { chapter: "08_data_augmentation" });
const { say } = p;
const { digits, weights: packed, size: ink } = JSON.parse(document.getElementById("data").textContent);
const WEIGHTS = unpacked(packed), SIZE = 32, COPIES = 16;

const original = p.element("canvas", { class: "map" });
p.figure("original", null, { size: "third" }).append(original);
original.parentElement.parentElement.style.maxWidth = "13rem";
const grid = p.element("div", { class: "maps", style: "grid-template-columns:repeat(auto-fill,minmax(max(4rem,20%),1fr))" });
const holder = p.figure("copies", null);
grid.classList.add("fits");
holder.append(grid);
holder.parentElement.style.flexBasis = "24rem";
holder.parentElement.style.flexGrow = "4";
const cells = range(COPIES).map(() => {
  const canvas = p.element("canvas", { class: "map" }), label = p.element("div", { style: "text-align:center;font-weight:600;line-height:1.3" });
  grid.append(p.element("div", {}, canvas, label));
  return { canvas, label };
});
const strength = p.slider("strength", { min: 0, max: 6, step: 0.1, value: 1, digits: 1 });
const noise = p.slider("noise", { min: 0, max: 0.8, step: 0.02, value: 0, digits: 2 });
const digit = p.choice("digit", range(10).map(String), "4");
const seed = p.slider("seed", { min: 1, max: 30, value: 1 });
const answers = Object.fromEntries(["read", "shift", "rotation", "zoom"].map((name) => [name, p.answer(name, { large: name === "read" })]));
let copies, said;

p.drawn(() => {
  paint(original, framed(enlarge(digits[digit()], ink), SIZE));
  cells.forEach(({ canvas, label }, k) => {
    paint(canvas, copies[k]);
    label.textContent = said[k];
    label.className = String(said[k]) === digit() ? "good" : "bad";
  });
});
p.start(() => {
  const image = framed(enlarge(digits[digit()], ink), SIZE);
  copies = range(COPIES).map((k) => {
    const copy = resample(image, transform(SIZE, strength(), draws(k, seed())));
    return noise() ? noisy(copy, noise(), 100 * seed() + k) : copy;
  });
  said = copies.map((copy) => read(WEIGHTS, copy).digit);
  const right = said.filter((value) => String(value) === digit()).length;
  answers.read(`${right} / ${COPIES}`, right > 13 ? "good" : right > 8 ? "warm" : "bad");
  answers.shift(`± ${shown(strength() * LIMITS.shift * SIZE, 1)} ${say.pixels}`);
  answers.rotation(`± ${shown(strength() * LIMITS.rotation, 0)}°`);
  answers.zoom(`± ${shown(100 * strength() * LIMITS.zoom, 0)} %`);
});
