// Random numbers with a seed, and the little arithmetic that several pages need.

/** Uniform numbers in [0, 1) that are the same for the same seed (mulberry32). */
export function uniform(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Normal numbers of mean 0 and deviation 1 (Box and Muller). */
export function normal(seed) {
  const draw = uniform(seed);
  return () => Math.sqrt(-2 * Math.log(1 - draw())) * Math.cos(2 * Math.PI * draw());
}

export const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

export const sum = (values) => values.reduce((total, value) => total + value, 0);

export const mean = (values) => sum(values) / values.length;

/** The length of a vector, or of a matrix taken as one (Frobenius). */
export const norm = (values) =>
  Math.sqrt(values.flat().reduce((total, value) => total + value * value, 0));

/** Standard deviation around the mean. */
export function deviation(values) {
  const middle = mean(values);
  return Math.sqrt(mean(values.map((value) => (value - middle) ** 2)));
}

/** A matrix of rows x columns whose elements `make(row, column)` gives. */
export const matrix = (rows, columns, make = () => 0) =>
  Array.from({ length: rows }, (_, row) =>
    Array.from({ length: columns }, (_, column) => make(row, column)));

export const range = (count) => Array.from({ length: count }, (_, index) => index);
