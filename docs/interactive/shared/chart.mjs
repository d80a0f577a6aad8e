// Charts as SVG text, drawn at the width they are shown with, so that letters keep their size.
import { clamp, range } from "./numbers.mjs";

const SUPER = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };

/** 10 to a whole power, with raised digits. */
export const power = (exponent) =>
  "10" + String(exponent).split("").map((sign) => SUPER[sign]).join("");

export const escaped = (text) =>
  String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");

/** Round values between low and high, about `count` of them, and at least three. */
export function ticks(low, high, count = 5) {
  const rough = (high - low) / count, size = 10 ** Math.floor(Math.log10(rough));
  const step = size * ([1, 2, 5].find((factor) => factor * size >= rough) ?? 10);
  const first = Math.ceil(low / step - 1e-9);
  const found = range(Math.floor(high / step + 1e-9) - first + 1).map((place) => (first + place) * step);
  return found.length < 3 && count < 9 ? ticks(low, high, count + 1) : found;
}

/**
 * Two axes and what is drawn between them.
 *
 * `x` and `y` are [low, high]; with `logY` the values of y are exponents of ten. Marks are
 * {line: points}, {dots: points}, {bars: [[x0, x1, y]]}, {rule: {x} or {y}}, each with
 * `colour`, and {path: text} in the chart's own coordinates made by `place`.
 */
export function chart({ width, height, x, y, xLabel = "", yLabel = "", logY = false,
  marks = [], format = String, label = "", xTicks, yTicks, left = 58 }) {
  const em = parseFloat(getComputedStyle(document.documentElement).fontSize) * 0.78;
  height = Math.max(height, em * 13);
  const edge = { left: Math.max(left, em * 4.2), right: em * 1.7, top: yLabel ? em * 2 : em * 0.8, bottom: em * (xLabel ? 3.4 : 2) };
  const across = width - edge.left - edge.right, down = height - edge.top - edge.bottom;
  const px = (value) => edge.left + ((value - x[0]) / (x[1] - x[0])) * across;
  const py = (value) => edge.top + down - ((value - y[0]) / (y[1] - y[0])) * down;
  const far = (value, size) => clamp(value, -4 * size, 5 * size);
  const place = ([a, b]) => [far(px(a), width), far(py(b), height)];
  const parts = [];
  const id = `clip${Math.round(width)}${label.length}${chart.count = (chart.count ?? 0) + 1}`;
  const shownX = xTicks ?? ticks(...x, clamp(Math.round(across / 90), 2, 10));
  const whole = logY ? range(Math.floor(y[1]) - Math.ceil(y[0]) + 1).map((k) => Math.ceil(y[0]) + k) : [];
  const every = Math.max(1, Math.ceil(whole.length / 7));
  const shownY = yTicks ?? (logY ? whole.filter((k) => k % every === 0) : ticks(...y, clamp(Math.round(down / 55), 2, 8)));
  for (const value of shownY) {
    parts.push(`<line class="grid" x1="${edge.left}" x2="${width - edge.right}" y1="${py(value)}" y2="${py(value)}"/>`,
      `<text x="${edge.left - 8}" y="${py(value) + em * 0.35}" text-anchor="end">${logY ? power(value) : format(value)}</text>`);
  }
  for (const value of shownX) {
    parts.push(`<line class="axis" x1="${px(value)}" x2="${px(value)}" y1="${edge.top + down}" y2="${edge.top + down + 5}"/>`,
      `<text x="${px(value)}" y="${edge.top + down + em * 1.5}" text-anchor="middle">${format(value)}</text>`);
  }
  parts.push(`<line class="axis" x1="${edge.left}" x2="${width - edge.right}" y1="${edge.top + down}" y2="${edge.top + down}"/>`);
  if (xLabel) parts.push(`<text x="${edge.left + across / 2}" y="${height - em * 0.5}" text-anchor="middle">${escaped(xLabel)}</text>`);
  if (yLabel) parts.push(`<text x="4" y="${em * 1.1}">${escaped(yLabel)}</text>`);
  parts.push(`<clipPath id="${id}"><rect x="${edge.left - 6}" y="${edge.top - 2}" width="${across + 15}" height="${down + 4}"/></clipPath>`,
    `<g clip-path="url(#${id})">`);
  const over = [];
  for (const mark of marks) {
    const colour = `var(--${mark.colour ?? "blue"})`, opacity = mark.opacity ?? 1;
    if (mark.line) {
      const points = mark.line.filter(([, b]) => Number.isFinite(b)).map((point) => place(point).map((v) => v.toFixed(1)).join());
      parts.push(`<polyline points="${points.join(" ")}" fill="none" stroke="${colour}" stroke-width="${mark.width ?? 2.2}" stroke-linejoin="round" opacity="${opacity}" ${mark.dash ? `stroke-dasharray="${mark.dash}"` : ""}/>`);
    } else if (mark.dots) {
      for (const point of mark.dots) {
        const [a, b] = place(point);
        parts.push(`<circle cx="${a.toFixed(1)}" cy="${b.toFixed(1)}" r="${mark.size ?? 4}" fill="${mark.hollow ? "var(--paper)" : colour}" stroke="${colour}" stroke-width="2" opacity="${opacity}"/>`);
      }
    } else if (mark.bars) {
      const ground = py(clamp(mark.from ?? 0, ...y));
      for (const [a, b, c] of mark.bars) {
        const top = py(clamp(c, y[0] - 9, y[1] + 9));
        parts.push(`<rect x="${px(a)}" width="${Math.max(1, px(b) - px(a))}" y="${Math.min(top, ground)}" height="${Math.abs(ground - top)}" ${mark.hollow ? `fill="none" stroke="${colour}" stroke-width="2"` : `fill="${colour}"`} opacity="${opacity}"/>`);
      }
    } else if (mark.rule) {
      const upright = mark.rule.x !== undefined, at = upright ? px(mark.rule.x) : py(mark.rule.y);
      const dash = `stroke="${colour}" stroke-width="2" stroke-dasharray="6 5" opacity="${opacity}"`;
      parts.push(upright
        ? `<line x1="${at}" x2="${at}" y1="${edge.top}" y2="${edge.top + down}" ${dash}/>`
        : `<line x1="${edge.left}" x2="${edge.left + across}" y1="${at}" y2="${at}" ${dash}/>`);
      if (mark.text) {
        const late = upright && at > edge.left + across * 0.6;
        over.push(upright
          ? `<text x="${at + (late ? -6 : 6)}" y="${edge.top + em * (mark.row ?? 1)}" text-anchor="${late ? "end" : "start"}" style="fill:${colour};paint-order:stroke;stroke:var(--paper);stroke-width:4px">${escaped(mark.text)}</text>`
          : `<text x="${width - edge.right - 4}" y="${at - 5}" text-anchor="end" style="fill:${colour};paint-order:stroke;stroke:var(--paper);stroke-width:4px">${escaped(mark.text)}</text>`);
      }
    } else if (mark.path) {
      parts.push(mark.path(place, colour));
    }
  }
  parts.push("</g>", ...over);
  return `<svg viewBox="0 0 ${width} ${height}" height="${height}" role="img" aria-label="${escaped(label || yLabel)}">${parts.join("")}</svg>`;
}
