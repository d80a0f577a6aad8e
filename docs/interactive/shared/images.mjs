// Small images: strokes to pixels, digits enlarged, drawings to start from.
import { clamp, matrix, range } from "./numbers.mjs";

/** Bilinear enlarging by half-pixel centres, as `keras.layers.Resizing`. */
export function enlarge(image, size) {
  const rows = image.length, columns = image[0].length;
  const source = (place, from) => clamp(((place + 0.5) * from) / size - 0.5, 0, from - 1);
  return matrix(size, size, (i, j) => {
    const y = source(i, rows), x = source(j, columns);
    const top = Math.min(Math.floor(y), rows - 1), left = Math.min(Math.floor(x), columns - 1);
    const below = Math.min(top + 1, rows - 1), right = Math.min(left + 1, columns - 1);
    const a = y - top, b = x - left;
    return (1 - a) * ((1 - b) * image[top][left] + b * image[top][right]) +
      a * ((1 - b) * image[below][left] + b * image[below][right]);
  });
}

/** The image in the middle of a larger one of zeros. */
export function framed(image, size) {
  const top = Math.floor((size - image.length) / 2), left = Math.floor((size - image[0].length) / 2);
  return matrix(size, size, (i, j) => image[i - top]?.[j - left] ?? 0);
}

/** Ink of strokes, lists of [x, y] in pixels, each point's ink `thickness` wide with a soft edge. */
export function rasterise(strokes, size, thickness) {
  const image = matrix(size, size);
  const reach = thickness / 2 + 0.5;
  for (const stroke of strokes) {
    stroke.forEach(([x1, y1], index) => {
      const [x0, y0] = stroke[Math.max(0, index - 1)], dx = x1 - x0, dy = y1 - y0, long = dx * dx + dy * dy;
      for (let i = Math.max(0, Math.floor(Math.min(y0, y1) - reach)); i < Math.min(size, Math.max(y0, y1) + reach); i++) {
        for (let j = Math.max(0, Math.floor(Math.min(x0, x1) - reach)); j < Math.min(size, Math.max(x0, x1) + reach); j++) {
          const t = long ? clamp(((j + 0.5 - x0) * dx + (i + 0.5 - y0) * dy) / long, 0, 1) : 0;
          const far = Math.hypot(j + 0.5 - x0 - t * dx, i + 0.5 - y0 - t * dy);
          image[i][j] = Math.max(image[i][j], clamp(reach - far, 0, 1));
        }
      }
    });
  }
  return image;
}

/** Drawings of 12 x 12 pixels to start from. */
export const DRAWINGS = {
  house: range(12).map((i) => range(12).map((j) =>
    Number((i >= 1 && i <= 5 && Math.abs(j - 5.5) - 0.5 <= i - 1 && Math.abs(j - 5.5) + 0.5 >= i - 1) || (i >= 6 && i <= 10 && (j === 2 || j === 9 || i === 10)) || (i >= 8 && i <= 10 && j >= 5 && j <= 6)))),
  cross: range(12).map((i) => range(12).map((j) => Number((j >= 5 && j <= 6 && i > 0 && i < 11) || (i >= 5 && i <= 6 && j > 0 && j < 11)))),
  slope: range(12).map((i) => range(12).map((j) => Number(Math.abs(i - j) <= 1))),
  dot: range(12).map((i) => range(12).map((j) => Number(i >= 5 && i <= 7 && j >= 4 && j <= 6))),
};
