// Convolution as networks do it: the kernel is not turned over, and steps over the image.

/** How many places the kernel has along a side: Keras's "valid" and "same". */
export const outputSize = (size, kernel, stride, padding) =>
  padding === "same" ? Math.ceil(size / stride) : Math.max(0, Math.floor((size - kernel) / stride) + 1);

/** Zeros before and after a side; of an odd number the larger half comes after. */
export function zeros(size, kernel, stride, padding) {
  if (padding === "valid") return [0, 0];
  const all = Math.max(0, (outputSize(size, kernel, stride, padding) - 1) * stride + kernel - size);
  return [Math.floor(all / 2), all - Math.floor(all / 2)];
}

/** The products under the kernel at one place of the output. */
export function products(image, kernel, stride, padding, row, column) {
  const [top] = zeros(image.length, kernel.length, stride, padding);
  const [left] = zeros(image[0].length, kernel.length, stride, padding);
  return kernel.map((weights, i) => weights.map((weight, j) =>
    weight * (image[row * stride + i - top]?.[column * stride + j - left] ?? 0)));
}

/** The whole map. */
export function convolve(image, kernel, stride, padding) {
  const rows = outputSize(image.length, kernel.length, stride, padding);
  const columns = outputSize(image[0].length, kernel.length, stride, padding);
  return Array.from({ length: rows }, (_, row) => Array.from({ length: columns }, (_, column) =>
    products(image, kernel, stride, padding, row, column).flat().reduce((total, value) => total + value, 0)));
}

export const KERNELS = {
  upright: [[-1, 0, 1], [-1, 0, 1], [-1, 0, 1]],
  level: [[-1, -1, -1], [0, 0, 0], [1, 1, 1]],
  blur: [[0.11, 0.11, 0.11], [0.11, 0.11, 0.11], [0.11, 0.11, 0.11]],
  edge: [[0, -1, 0], [-1, 4, -1], [0, -1, 0]],
  wide: [[-1, -1, 0, 1, 1], [-1, -1, 0, 1, 1], [-1, -1, 0, 1, 1], [-1, -1, 0, 1, 1], [-1, -1, 0, 1, 1]],
};
