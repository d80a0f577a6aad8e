// Descent with a memory on a long valley: v(n+1) = alpha v(n) - eta g(n), w(n+1) = w(n) + v(n+1).

/** E(w) = 1/2 (lambda_1 w_1^2 + lambda_2 w_2^2) is what the path walks down. */
export function descend(lambda, eta, alpha, start, steps) {
  const path = [start];
  let v = [0, 0];
  for (let n = 0; n < steps; n++) {
    const w = path[n];
    v = v.map((speed, k) => alpha * speed - eta * lambda[k] * w[k]);
    const next = w.map((value, k) => value + v[k]);
    if (!(Math.abs(next[0]) + Math.abs(next[1]) < 1e9)) break;
    path.push(next);
  }
  return path;
}

export const cost = (lambda, w) => (lambda[0] * w[0] ** 2 + lambda[1] * w[1] ** 2) / 2;

/** What an axis is multiplied by at every step in the long run: the larger root of z^2 - (1 + alpha - eta lambda) z + alpha. */
export function rate(curvature, eta, alpha) {
  const b = 1 + alpha - eta * curvature, root = b * b - 4 * alpha;
  return root < 0 ? Math.sqrt(alpha) : Math.max(Math.abs(b + Math.sqrt(root)), Math.abs(b - Math.sqrt(root))) / 2;
}

/** With a memory the step may be larger: 2 (1 + alpha) / lambda_max. */
export const bound = (lambda, alpha) => (2 * (1 + alpha)) / Math.max(...lambda);
