// An LMS filter that follows a changing system: taps, weights, and the error over time.
import { page, shown, tick } from "../shared/frame.mjs";
import { chart } from "../shared/chart.mjs";
import { lms, meanBound, misalignment, safeBound, signals, system } from "./formulas.mjs";
import { words } from "./words.mjs";

const p = page(words, { chapter: "01_adaptive_filtering" });
const { say } = p;
const LENGTH = 1200, TAPS = 8;
let run, curve, made = "", lost = false;

p.figure("taps", (width) => {
  const n = Math.min(time(), run.weights.length - 1), w = run.weights[n], h = system(kind(), n, LENGTH);
  const bars = (values, inner) => values.map((value, k) => [k - inner, k + inner, value]);
  return chart({ width, height: Math.min(width * 0.42, 320), x: [-0.6, TAPS - 0.4], y: [-1.3, 1.3], xLabel: say.tap, format: tick, label: say.taps,
    xTicks: h.map((_, k) => k),
    marks: [{ rule: { y: 0 }, colour: "line" }, { bars: bars(w, 0.28), colour: lost ? "red" : "blue" }, { bars: bars(h, 0.38), hollow: true, colour: "orange" }] });
});
p.figure("error", (width) => chart({ width, height: Math.min(width * 0.42, 320), x: [0, LENGTH], y: [-50, 20], xLabel: say.sample, format: tick, label: say.error,
  marks: [{ line: curve, colour: "line" }, { line: curve.slice(0, time() + 1), colour: lost ? "red" : "blue" },
    { dots: [curve[Math.min(time(), curve.length - 1)]], colour: "orange", size: 6 }] }));
const mu = p.slider("mu", { min: 0.002, max: 0.3, step: 0.002, value: 0.03, digits: 3 });
const noise = p.slider("noise", { min: 0, max: 0.5, step: 0.01, value: 0.1, digits: 2 });
const kind = p.choice("kind", ["jump", "drift", "still"]);
const time = p.player("sample", { frames: LENGTH, perSecond: 150 });
const answers = Object.fromEntries(["wrong", "settled", "verdict", "safe", "mean"].map((name) => [name, p.answer(name, { large: name === "wrong" })]));

p.start(() => {
  const wanted = [mu(), noise(), kind()].join();
  if (wanted !== made) {
    const { input, desired } = signals(kind(), LENGTH, noise());
    run = lms(input, desired, TAPS, mu());
    curve = run.weights.map((w, n) => [n, misalignment(w, system(kind(), n, LENGTH))]);
    lost = !(curve.at(-1)[1] < 10);
    made = wanted;
  }
  answers.wrong(`${shown(curve[Math.min(time(), curve.length - 1)][1], 1)} dB`);
  answers.settled(`${shown(curve.at(-1)[1], 1)} dB`);
  answers.verdict(lost ? say.lost : say.fine, lost ? "bad" : "good");
  answers.safe(shown(safeBound(1, TAPS), 3), mu() < safeBound(1, TAPS) ? "good" : "warm");
  answers.mean(shown(meanBound(1), 2));
});
