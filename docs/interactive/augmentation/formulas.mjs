// An image moved, turned, zoomed and made noisy, by the strength of the augmentation.
import { matrix, normal, range, uniform } from "../shared/numbers.mjs";

/** The limits that LeNet-5's shipped weights were trained with, at strength 1. */
export const LIMITS = { shift: 0.08, rotation: 12, zoom: 0.12 };

/** Five uniform draws for a copy: shift x, shift y, rotation, zoom x, zoom y. */
export function draws(copy, seed = 1) {
  const next = uniform(1000 * seed + 37 * copy);
  return range(5).map(() => next());
}

/** The matrix that takes an output pixel to an input pixel, about the centre. */
export function transform(size, strength, drawn, { shift, rotation, zoom } = LIMITS) {
  const u = drawn.map((value) => (2 * value - 1) * strength);
  const angle = (u[2] * rotation * Math.PI) / 180, cosine = Math.cos(angle), sine = Math.sin(angle);
  const [zoomX, zoomY] = [1 + u[3] * zoom, 1 + u[4] * zoom], centre = (size - 1) / 2;
  const [a0, a1, b0, b1] = [cosine / zoomX, -sine / zoomX, sine / zoomY, cosine / zoomY];
  const [fromX, fromY] = [centre + u[0] * shift * size, centre + u[1] * shift * size];
  return [a0, a1, centre - a0 * fromX - a1 * fromY, b0, b1, centre - b0 * fromX - b1 * fromY];
}

/** The image looked up through the matrix, bilinearly; outside is 0. */
export function resample(image, [a0, a1, a2, b0, b1, b2]) {
  const size = image.length, at = (i, j) => image[i]?.[j] ?? 0;
  return matrix(size, size, (row, column) => {
    const x = a0 * column + a1 * row + a2, y = b0 * column + b1 * row + b2;
    const left = Math.floor(x), top = Math.floor(y), b = x - left, a = y - top;
    return (1 - a) * ((1 - b) * at(top, left) + b * at(top, left + 1)) +
      a * ((1 - b) * at(top + 1, left) + b * at(top + 1, left + 1));
  });
}

/** White noise on every pixel, cut off at 0 and 1. */
export function noisy(image, deviation, seed) {
  const next = normal(seed);
  return image.map((row) => row.map((value) => Math.min(1, Math.max(0, value + deviation * next()))));
}
