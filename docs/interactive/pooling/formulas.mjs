// Pooling, and what a shift of the image changes before and after it.

/** The largest or the mean of each window, windows beside each other ("valid"). */
export function pool(image, size, kind) {
  const rows = Math.floor(image.length / size), columns = Math.floor(image[0].length / size);
  return Array.from({ length: rows }, (_, i) => Array.from({ length: columns }, (_, j) => {
    const seen = image.slice(i * size, (i + 1) * size).flatMap((row) => row.slice(j * size, (j + 1) * size));
    return kind === "max" ? Math.max(...seen) : seen.reduce((total, value) => total + value, 0) / seen.length;
  }));
}

/** The image moved right by `x` and down by `y` pixels; zeros come in. */
export const moved = (image, x, y = 0) =>
  image.map((row, i) => row.map((_, j) => image[i - y]?.[j - x] ?? 0));

/** |a - b| / |a|: how much of an image is another after the shift. */
export function change(a, b) {
  const square = (values) => values.reduce((total, value) => total + value * value, 0);
  const wrong = Math.sqrt(square(a.flat().map((value, k) => value - b.flat()[k]))), all = Math.sqrt(square(a.flat()));
  return all > 0 ? wrong / all : 0;
}
