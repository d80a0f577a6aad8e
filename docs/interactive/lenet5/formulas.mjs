// LeNet-5's way forward, as Table 13-1 of the course has it, with the weights that dlkeras ships.

/** Weights from their compact form: {name: {shape, scale, data}}, 16-bit integers in base 64. */
export function unpacked(packed) {
  return Object.fromEntries(Object.entries(packed).map(([name, { shape, scale, data }]) => {
    const bytes = Uint8Array.from(atob(data), (sign) => sign.charCodeAt(0));
    const view = new DataView(bytes.buffer);
    const values = Float64Array.from({ length: bytes.length / 2 }, (_, k) => view.getInt16(2 * k, true) * scale);
    return [name, { shape, values }];
  }));
}

/** Maps are flat arrays [row][column][map], as Keras has them. */
export function convolution(input, size, channels, kernel, bias) {
  const [side, , , maps] = kernel.shape, out = size - side + 1, result = new Float64Array(out * out * maps);
  const weights = kernel.values, start = bias.values;
  for (let i = 0; i < out; i++) for (let j = 0; j < out; j++) {
    const place = (i * out + j) * maps;
    for (let m = 0; m < maps; m++) result[place + m] = start[m];
    for (let k = 0; k < side; k++) for (let l = 0; l < side; l++) for (let c = 0; c < channels; c++) {
      const value = input[((i + k) * size + j + l) * channels + c];
      const from = ((k * side + l) * channels + c) * maps;
      for (let m = 0; m < maps; m++) result[place + m] += value * weights[from + m];
    }
  }
  return result;
}

/** The mean of each 2 x 2 window. */
export function average(input, size, channels) {
  const out = size / 2, result = new Float64Array(out * out * channels);
  for (let i = 0; i < out; i++) for (let j = 0; j < out; j++) for (let c = 0; c < channels; c++) {
    const at = (k, l) => input[((2 * i + k) * size + 2 * j + l) * channels + c];
    result[(i * out + j) * channels + c] = (at(0, 0) + at(0, 1) + at(1, 0) + at(1, 1)) / 4;
  }
  return result;
}

function dense(input, kernel, bias) {
  const units = kernel.shape[1], weights = kernel.values, result = bias.values.slice();
  for (let i = 0; i < input.length; i++) {
    for (let j = 0; j < units; j++) result[j] += input[i] * weights[i * units + j];
  }
  return result;
}

/** Every layer's maps for an image of 32 x 32 with ink from 0 to 1. */
export function forward(weights, image) {
  const tanh = (values) => values.map(Math.tanh), w = weights;
  const input = new Float64Array(image.flat()).map((ink) => 1.275 * ink - 0.1);
  const C1 = tanh(convolution(input, 32, 1, w.C1, w.C1_bias));
  const S2 = tanh(average(C1, 28, 6));
  const C3 = tanh(convolution(S2, 14, 6, w.C3, w.C3_bias));
  const S4 = tanh(average(C3, 10, 16));
  const C5 = tanh(convolution(S4, 5, 16, w.C5, w.C5_bias));
  const F6 = tanh(dense(C5, w.F6, w.F6_bias));
  return { C1, S2, C3, S4, C5, F6, logits: dense(F6, w.classifier, w.classifier_bias) };
}

/** The softmax of the logits. */
export function softmax(logits) {
  const top = Math.max(...logits), powers = Array.from(logits, (value) => Math.exp(value - top));
  const all = powers.reduce((total, value) => total + value, 0);
  return powers.map((value) => value / all);
}

/** The maps, the probabilities, and the digit that is most probable. */
export function answers(weights, image) {
  const layers = forward(weights, image), probabilities = softmax(layers.logits);
  return { ...layers, probabilities, digit: probabilities.indexOf(Math.max(...probabilities)) };
}

/** Strokes moved and scaled as MNIST's digits: `ink` pixels in the longer side, in the middle of 32. */
export function centred(strokes, ink, size = 32) {
  const points = strokes.flat(), [xs, ys] = [0, 1].map((axis) => points.map((point) => point[axis]));
  const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const scale = (ink - 3) / Math.max(right - left, bottom - top, 0.08);
  return strokes.map((stroke) => stroke.map(([x, y]) =>
    [size / 2 + (x - (left + right) / 2) * scale, size / 2 + (y - (top + bottom) / 2) * scale]));
}
