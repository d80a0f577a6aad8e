// A residual network against a plain one, trained live: curves, losses, gradients.
import { page, shown, tick } from "../shared/frame.mjs";
import { chart } from "../shared/chart.mjs";
import { TIMES, start, target, training } from "./formulas.mjs";
import { words } from "./words.mjs";

const p = page(words, { chapter: "14_resnet" });
const { say } = p;
const STEPS = 300, KINDS = [["plain", "orange"], ["residual", "blue"]];
let made = "", runs, stories;

const now = (name) => stories[name][Math.min(time(), stories[name].length - 1)];
const log = (value) => Math.log10(Math.max(value, 1e-30));
p.figure("curves", (width) => chart({ width, height: Math.min(width * 0.42, 330), x: [-1, 1], y: [-1.8, 1.8], format: tick, label: say.curves,
  marks: [{ line: TIMES.map((t) => [t, target(t)]), colour: "quiet", width: 7, opacity: 0.35 },
    ...KINDS.map(([name, colour]) => ({ line: TIMES.map((t, k) => [t, now(name).curve[k]]), colour, width: 3 }))] }));
p.figure("loss", (width) => chart({ width, height: Math.min(width * 0.62, 260), x: [0, STEPS], y: [-4, 2], logY: true, xLabel: say.steps, format: tick, label: say.loss,
  marks: KINDS.flatMap(([name, colour]) => {
    const points = stories[name].slice(0, time() + 1).map(({ loss }, n) => [n, log(loss)]);
    return [{ line: points, colour }, { dots: [points.at(-1)], colour, size: 5 }];
  }) }), { size: "half" });
p.figure("norms", (width) => {
  const values = Object.values(stories).flatMap((story) => story[0].norms.map(log));
  return chart({ width, height: Math.min(width * 0.62, 260), x: [0.5, depth() + 0.5], y: [Math.floor(Math.min(-3, ...values)) - 1, Math.ceil(Math.max(1, ...values))], logY: true, xLabel: say.layer, format: tick, label: say.norms,
    marks: KINDS.flatMap(([name, colour]) => {
      const points = now(name).norms.map((value, k) => [k + 1, log(value)]);
      return [{ line: points, colour }, { dots: points, colour, size: 3.5 }];
    }) });
}, { size: "half" });
p.legend([["orange", "plain"], ["blue", "residual"]]);
const depth = p.slider("depth", { min: 2, max: 30, value: 20 });
const scale = p.slider("scale", { min: 0.1, max: 1.2, step: 0.1, value: 0.5, digits: 1 });
const seed = p.slider("seed", { min: 1, max: 20, value: 1 });
const time = p.player("step", { frames: STEPS, perSecond: 30 });
const answers = Object.fromEntries(["lossPlain", "lossResidual", "ratio"].map((name) => [name, p.answer(name, { large: name !== "ratio" })]));

p.start(() => {
  const wanted = [depth(), scale(), seed()].join();
  if (wanted !== made) {
    const weights = start(depth(), scale(), seed());
    runs = { plain: training(weights, false), residual: training(weights, true) };
    stories = { plain: [], residual: [] };
    if (made && !p.still) time.set(0);
    made = wanted;
  }
  for (const name of Object.keys(runs)) {
    while (stories[name].length <= time()) stories[name].push(runs[name].step());
  }
  answers.lossPlain(shown(now("plain").loss, 4), "warm");
  answers.lossResidual(shown(now("residual").loss, 4));
  answers.ratio(shown(now("residual").norms[0] / now("plain").norms[0], 1));
});
