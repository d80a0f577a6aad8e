// What one neuron sees of the image, layer by layer.

/** Layers of [kernel, stride]. */
export const NETWORKS = {
  small: Array.from({ length: 8 }, () => [3, 1]),
  lenet: [[5, 1], [2, 2], [5, 1], [2, 2], [5, 1]],
  vgg: [[3, 1], [3, 1], [2, 2], [3, 1], [3, 1], [2, 2], [3, 1], [3, 1]],
  resnet: [[7, 2], [3, 2], [3, 1], [3, 1], [3, 1], [3, 1], [3, 2], [3, 1]],
};

/**
 * After each layer: the side of the field, and the jump, by how many pixels of the image
 * the fields of two neighbours lie apart.
 */
export function fields(layers) {
  let field = 1, jump = 1;
  return layers.map(([kernel, stride]) => {
    field += (kernel - 1) * jump;
    jump *= stride;
    return { field, jump };
  });
}

/** Which cells of each layer below, the image first, the neuron `place` of the last one reads. */
export function cone(layers, place) {
  let first = place, last = place;
  const seen = [[first, last]];
  for (const [kernel, stride] of [...layers].reverse()) {
    first *= stride;
    last = last * stride + kernel - 1;
    seen.unshift([first, last]);
  }
  return seen;
}

/** How many cells each layer has, the image first, without zeros at the borders. */
export function sizes(layers, image) {
  const found = [image];
  for (const [kernel, stride] of layers) found.push(Math.max(0, Math.floor((found.at(-1) - kernel) / stride) + 1));
  return found;
}
