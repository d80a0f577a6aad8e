// Pixels that one draws, with the mouse, a finger, or arrow keys and the space bar.
import { paint } from "./frame.mjs";
import { clamp } from "./numbers.mjs";

/** A square of `size` pixels in `holder`; `read()` is the drawing, `set(image)` replaces it. */
export function pixelPad(p, holder, image, label) {
  let pixels = image.map((row) => [...row]), cursor = [0, 0], ink = null;
  const size = pixels.length;
  const canvas = p.element("canvas", { class: "map pad", tabindex: 0, role: "application", "aria-label": label, id: "pad" });
  holder.append(canvas);
  const put = (row, column, value) => {
    if (pixels[row]?.[column] === undefined || pixels[row][column] === value) return;
    pixels[row][column] = value;
    p.change();
  };
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientY - box.top, event.clientX - box.left].map((v) => clamp(Math.floor((v / box.width) * size), 0, size - 1));
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    const [row, column] = at(event);
    ink = 1 - Math.round(pixels[row][column]);
    put(row, column, ink);
  });
  canvas.addEventListener("pointermove", (event) => ink !== null && put(...at(event), ink));
  canvas.addEventListener("pointerup", () => { ink = null; });
  canvas.addEventListener("pointercancel", () => { ink = null; });
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (step) cursor = cursor.map((place, axis) => clamp(place + step[axis], 0, size - 1));
    else if (event.key === " ") put(...cursor, 1 - Math.round(pixels[cursor[0]][cursor[1]]));
    else return;
    event.preventDefault();
    draw();
  });
  canvas.addEventListener("focus", () => draw());
  canvas.addEventListener("blur", () => draw());
  const draw = () => {
    paint(canvas, pixels);
    if (canvas.matches(":focus-visible")) {
      const context = canvas.getContext("2d");
      context.fillStyle = "rgba(245, 140, 40, 0.75)";
      context.fillRect(cursor[1], cursor[0], 1, 1);
    }
  };
  p.drawn(draw);
  const read = () => pixels;
  read.set = (next) => { pixels = next.map((row) => [...row]); };
  read.canvas = canvas;
  return read;
}

/** Lines that one draws freely; `read()` gives strokes of [x, y] in 0 to 1. */
export function strokePad(p, holder, label) {
  let strokes = [], drawing = false, cursor = [0.5, 0.3], down = false;
  const canvas = p.element("canvas", { class: "map pad", tabindex: 0, role: "application", "aria-label": label, id: "pad", width: 560, height: 560 });
  canvas.style.imageRendering = "auto";
  holder.append(canvas);
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  };
  const add = (point) => { strokes.at(-1).push(point); p.change(); };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    read.begin();
    drawing = true;
    strokes.push([]);
    add(at(event));
  });
  canvas.addEventListener("pointermove", (event) => {
    if (drawing) for (const part of event.getCoalescedEvents?.() ?? [event]) add(at(part));
  });
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { drawing = false; });
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] }[event.key];
    if (step) {
      cursor = cursor.map((place, axis) => clamp(place + step[axis] * 0.04, 0.04, 0.96));
      if (down) add([...cursor]);
    } else if (event.key === " ") {
      down = !down;
      if (down) { read.begin(); strokes.push([]); add([...cursor]); }
    } else return;
    event.preventDefault();
    p.draw();
  });
  canvas.addEventListener("focus", () => p.draw());
  canvas.addEventListener("blur", () => { down = false; p.draw(); });
  const read = () => strokes;
  read.begin = () => {};
  read.clear = () => { strokes = []; };
  read.set = (next) => { strokes = next; };
  read.canvas = canvas;
  read.cursor = () => (canvas.matches(":focus-visible") ? { at: cursor, down } : null);
  return read;
}
