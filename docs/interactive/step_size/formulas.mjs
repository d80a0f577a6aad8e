// Steepest descent on E(w) = 1/2 (w - w0)' R (w - w0), whose principal axes are R's eigenvectors.

/** A bowl that is turned by `angle`, with the curvatures `lambda` along its axes. */
export function bowl(lambda, angle, minimum) {
  const c = Math.cos(angle), s = Math.sin(angle), [a, b] = lambda;
  const R = [[a * c * c + b * s * s, (a - b) * c * s], [(a - b) * c * s, a * s * s + b * c * c]];
  return { lambda, angle, minimum, R, axes: [[c, s], [-s, c]] };
}

export const gradient = ({ R, minimum }, w) =>
  R.map((row) => row[0] * (w[0] - minimum[0]) + row[1] * (w[1] - minimum[1]));

/** How far the cost stands above its minimum. */
export const excess = (surface, w) => {
  const g = gradient(surface, w);
  return (g[0] * (w[0] - surface.minimum[0]) + g[1] * (w[1] - surface.minimum[1])) / 2;
};

/** Above this step the descent runs away: 2 / lambda_max. */
export const bound = ({ lambda }) => 2 / Math.max(...lambda);

/** What each principal axis is multiplied by at every step: 1 - eta lambda. */
export const factors = ({ lambda }, eta) => lambda.map((curvature) => 1 - eta * curvature);

/** w(n+1) = w(n) - eta g(n), from `start`; ends before the numbers overflow. */
export function descend(surface, eta, start, steps) {
  const path = [start];
  for (let n = 0; n < steps; n++) {
    const w = path[n], g = gradient(surface, w);
    const next = [w[0] - eta * g[0], w[1] - eta * g[1]];
    if (!(Math.abs(next[0]) + Math.abs(next[1]) < 1e9)) break;
    path.push(next);
  }
  return path;
}

/** The behaviour along an axis with this factor, by the words of `dlkeras.optimization.Regime`. */
export function regime(factor) {
  if (Math.abs(factor) < 1e-7) return "critically damped";
  if (Math.abs(factor + 1) < 1e-7) return "undamped";
  if (factor < -1) return "divergent";
  return factor < 0 ? "under-damped" : "over-damped";
}
