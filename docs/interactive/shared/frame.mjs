// The frame of every page: its words, controls, answers and figures; language, theme, full screen.
import { escaped } from "./chart.mjs";
import { clamp } from "./numbers.mjs";

const query = new URLSearchParams(location.search);
export const language = query.get("lang") === "pt" ? "pt" : "en";
const still = query.has("still") || matchMedia("(prefers-reduced-motion: reduce)").matches;
const COMMON = {
  en: { other: "Português", full: "Full screen", close: "Close", theme: "Light / dark", chapter: "Chapter",
    all: "All pages", play: "Play", pause: "Pause", again: "Play again", try: "Try this" },
  pt: { other: "English", full: "Tela cheia", close: "Fechar", theme: "Claro / escuro", chapter: "Capítulo",
    all: "Todas as páginas", play: "Rodar", pause: "Pausar", again: "Rodar de novo", try: "Experimente" },
}[language];

const raised = (digits) => new Intl.NumberFormat(language === "pt" ? "pt-BR" : "en", {
  minimumFractionDigits: digits, maximumFractionDigits: digits });

/** A number as people of the page's language write it; very large and small ones by powers. */
export function shown(value, digits = 2) {
  if (!Number.isFinite(value)) return value > 0 ? "∞" : value < 0 ? "−∞" : "–";
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e6 || size < 0.5 * 10 ** -digits)) {
    const exponent = Math.floor(Math.log10(size));
    const sign = [...String(exponent)].map((c) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(c)]).join("");
    return `${raised(1).format(value / 10 ** exponent)} × 10${sign}`;
  }
  return raised(digits).format(Object.is(value, -0) ? 0 : value).replace("-", "−");
}

/** A tick of an axis: no more digits than it needs. */
export const tick = (value) =>
  new Intl.NumberFormat(language === "pt" ? "pt-BR" : "en", { maximumFractionDigits: 3 })
    .format(Math.abs(value) < 1e-9 ? 0 : value).replace("-", "−");

function element(kind, attributes = {}, ...children) {
  const made = document.createElement(kind);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value != null) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

/** The colour that a name such as "blue" has in today's theme, as [red, green, blue]. */
export function rgb(name) {
  const hex = getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  return [1, 3, 5].map((place) => parseInt(hex.slice(place, place + 2), 16));
}

/**
 * Show a matrix as pixels. Grey goes from `low` (black) to `high` (white); signed from
 * orange over the paper's colour at 0 to blue.
 */
export function paint(canvas, values, { low = 0, high = 1, signed = false } = {}) {
  const rows = values.length, columns = values[0].length;
  canvas.width = columns;
  canvas.height = rows;
  const context = canvas.getContext("2d"), image = context.createImageData(columns, rows);
  const [cold, none, warm] = [rgb("blue"), rgb("zero"), rgb("orange")];
  values.forEach((row, i) => row.forEach((value, j) => {
    const place = 4 * (i * columns + j);
    if (signed) {
      const share = clamp(value / high, -1, 1), end = share > 0 ? cold : warm;
      for (let c = 0; c < 3; c++) image.data[place + c] = none[c] + (end[c] - none[c]) * Math.abs(share);
    } else {
      image.data.fill(255 * clamp((value - low) / (high - low), 0, 1), place, place + 3);
    }
    image.data[place + 3] = 255;
  }));
  context.putImageData(image, 0, 0);
  return canvas;
}

/** Build a page from its words: {en: {title, question, try: [...], ...}, pt: ...}. */
export function page(words, { chapter } = {}) {
  const say = words[language], root = document.documentElement, embedded = query.has("embed");
  root.lang = language === "pt" ? "pt-BR" : "en";
  root.classList.toggle("embedded", embedded);
  if (query.get("theme")) root.dataset.theme = query.get("theme");
  document.title = `${say.title} · dlkeras`;
  const address = (changes) => {
    const next = new URLSearchParams(query);
    for (const [name, value] of Object.entries({ ...values(), ...changes })) {
      if (value === null) next.delete(name); else next.set(name, value);
    }
    if (!("theme" in changes) && root.dataset.theme) next.set("theme", root.dataset.theme);
    return `?${next}`;
  };
  const controls = {}, figures = [];
  const values = () => Object.fromEntries(Object.entries(controls).map(([name, read]) => [name, read()]));
  let update = () => {};
  const change = () => { update(); draw(); };
  const draw = () => figures.forEach((figure) => figure());

  const link = (text, changes, attributes = {}) => element("a", { href: "#", ...attributes,
    onclick: (event) => { event.currentTarget.href = address(changes); } }, text);
  const nav = element("nav", {},
    link(COMMON.other, { lang: language === "pt" ? "en" : "pt" },
      { lang: language === "pt" ? "en" : "pt-BR", class: "language" }),
    element("button", { class: "theme", onclick: () => {
      const dark = (root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
      root.dataset.theme = dark ? "light" : "dark";
      draw();
    } }, COMMON.theme));
  if (embedded) nav.append(link(COMMON.full, { embed: null }, { target: "_blank", class: "full" }));
  else {
    nav.append(element("button", { class: "full", onclick: () => {
      if (document.fullscreenElement) document.exitFullscreen(); else root.requestFullscreen();
    } }, COMMON.full));
    if (chapter) {
      nav.append(element("a", { href: language === "pt" ? `../pt-BR/capitulos/${chapter}.html` : `../chapters/${chapter}.html` },
        `${COMMON.chapter} ${Number(chapter.slice(0, 2))}`));
    }
    nav.append(element("a", { href: language === "pt" ? "../pt-BR/interativo.html" : "../interactive.html" }, COMMON.all));
  }
  const answers = element("dl", { class: "answers" });
  const aside = element("aside", {}), holder = element("div", { id: "figures" });
  const place = document.getElementById("page");
  place.append(
    element("header", {}, element("h1", {}, say.title), nav),
    element("p", { class: "question" }, say.question),
    element("div", { id: "stage" }, holder, aside));
  if (say.try) {
    const list = element("ul");
    list.innerHTML = say.try.map((line) => `<li>${escaped(line)}</li>`).join("");
    place.append(element("section", { class: "try" }, element("h2", {}, COMMON.try), list));
  }

  const made = {
    say, change, draw, still,
    /** How tall the screen is; a page inside another is as tall as its content. */
    screen: embedded ? Infinity : innerHeight,
    /** A slider; returns a function that reads it, with `.set(value)` and `.limit(max)`. */
    slider(name, { min, max, step = 1, value, digits = 0, unit = "", show = (v) => shown(v, digits) + unit, read = (v) => v }) {
      const start = query.has(name) ? Number(query.get(name)) : value;
      const input = element("input", { type: "range", id: name, min, max, step });
      const output = element("output", { for: name, id: `${name}-shown` });
      input.value = start;
      const say_it = () => {
        output.textContent = show(read(Number(input.value)));
        input.setAttribute("aria-valuetext", output.textContent);
      };
      input.addEventListener("input", () => { say_it(); change(); });
      const box = element("div", { class: "control" }, element("label", { for: name }, say[name], output), input);
      aside.append(box);
      say_it();
      controls[name] = () => Number(input.value);
      const value_of = () => read(Number(input.value));
      value_of.set = (next) => { input.value = next; say_it(); };
      value_of.limit = (most) => { input.max = most; say_it(); };
      value_of.box = box;
      return value_of;
    },
    /** Buttons of which one is on; options are keys of the words. */
    choice(name, options, value = options[0]) {
      const start = options.includes(query.get(name)) ? query.get(name) : value;
      const row = element("div", { class: options.length === 10 ? "digits" : "" });
      for (const option of options) {
        row.append(element("label", {}, element("input", { type: "radio", name, value: option, checked: option === start, id: `${name}-${option}`, onchange: change }),
          element("span", {}, say[option] ?? option)));
      }
      const box = element("fieldset", { class: "choice" }, element("legend", {}, say[name]), row);
      aside.append(box);
      const read = () => row.querySelector("input:checked").value;
      controls[name] = read;
      read.box = box;
      read.set = (option) => { row.querySelector(`input[value="${option}"]`).checked = true; };
      return read;
    },
    /** Buttons that do something once: {key of the words: action}. */
    buttons(actions) {
      const row = element("div", { class: "buttons" });
      for (const [name, action] of Object.entries(actions)) {
        row.append(element("button", { id: name, onclick: () => { action(); change(); } }, say[name] ?? name));
      }
      aside.append(row);
      return row;
    },
    /** A slider over time that also runs by itself; `done()` says that it is at its end. */
    player(name, { frames, perSecond = 30, value = frames, digits = 0 }) {
      let timer = null, last = 0, exact = 0;
      const time = made.slider(name, { min: 0, max: frames, value, digits });
      const most = () => Number(document.getElementById(name).max);
      const button = element("button", { class: "main", id: "play", onclick: () => (timer ? stop() : run()) }, COMMON.play);
      aside.append(element("div", { class: "buttons" }, button));
      const stop = () => {
        cancelAnimationFrame(timer);
        timer = null;
        button.textContent = time() >= most() ? COMMON.again : COMMON.play;
      };
      const run = () => {
        if (time() >= most()) time.set(0);
        exact = time();
        last = performance.now();
        button.textContent = COMMON.pause;
        const frame = (now) => {
          exact = Math.min(most(), exact + (Math.min(now - last, 100) / 1000) * perSecond);
          last = now;
          time.set(Math.floor(exact));
          change();
          if (exact >= most()) stop(); else timer = requestAnimationFrame(frame);
        };
        timer = requestAnimationFrame(frame);
      };
      document.getElementById(name).addEventListener("input", () => timer && stop());
      time.stop = () => timer && stop();
      time.run = () => { if (timer) stop(); time.set(0); run(); };
      const runs = !still && !query.has(name);
      if (runs) time.set(0); // so that nothing is computed that is not yet shown
      made.begin = () => { if (runs) time.run(); else stop(); };
      return time;
    },
    /** A number that answers; returns a function that shows it. */
    answer(name, { large = false } = {}) {
      const value = element("dd", { id: `answer-${name}`, "aria-live": "off" });
      answers.append(element("div", { class: large ? "large" : "" }, element("dt", {}, say[name]), value));
      return (text, kind = "") => { value.textContent = text; value.className = kind; };
    },
    /** A picture: `make(width)` returns SVG text and is called again when the width changes. */
    figure(name, make, { size = "" } = {}) {
      const body = element("div", { id: `figure-${name}` });
      const box = element("figure", { class: size }, body);
      if (say[name]) box.prepend(element("figcaption", {}, say[name]));
      holder.append(box);
      if (make) figures.push(() => { body.innerHTML = make(body.clientWidth || 300); });
      return body;
    },
    /** Something that is drawn anew with everything else. */
    drawn(make) { figures.push(make); },
    /** The sign of what the colours are. */
    legend(entries) {
      const box = element("div", { class: "legend" });
      box.innerHTML = entries.map(([colour, name]) => `<span><i style="background:var(--${colour})"></i>${escaped(say[name])}</span>`).join("");
      holder.append(box);
    },
    add(node) { aside.append(node); return node; },
    element,
    begin() {},
    /** Show the page; `update` is called after every change, before the pictures are drawn. */
    start(then) {
      update = then;
      aside.append(answers);
      if (say.formula) answers.before(element("div", { class: "formula" }, say.formula));
      change();
      let width = 0;
      new ResizeObserver(() => {
        if (holder.clientWidth !== width) { width = holder.clientWidth; draw(); }
        if (embedded) parent.postMessage({ dlkeras: "height", height: place.offsetHeight }, "*");
      }).observe(place);
      addEventListener("message", ({ data }) => {
        if (data?.dlkeras === "theme") {
          if (data.theme === "auto") delete root.dataset.theme; else root.dataset.theme = data.theme;
          draw();
        }
      });
      matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
      made.begin();
      root.dataset.ready = "yes";
    },
  };
  return made;
}
