// A button on every block of code that copies it, without the prompts; a picture opens
// at its own size, and a wide one scrolls on a phone, so that its letters can be read;
// on Portuguese pages the theme's own words are Portuguese, too.
const PORTUGUESE = {
  ".skip-to-content": "Ir para o texto", ".back-to-top span": "Voltar ao topo",
  ".next-page .context span": "Próxima", ".prev-page .context span": "Anterior",
  ".toc-title": "Nesta página",
};
document.addEventListener("DOMContentLoaded", () => {
  const words = document.documentElement.lang === "pt-BR" || location.pathname.includes("/pt-BR/")
    ? ["Copiar", "Copiado"] : ["Copy", "Copied"];
  for (const block of document.querySelectorAll("div:not(.highlight-text) > div.highlight")) {
    const button = document.createElement("button");
    button.className = "copy";
    button.textContent = words[0];
    button.addEventListener("click", async () => {
      const lines = block.querySelector("pre").textContent.split("\n");
      const prompted = lines.filter((line) => /^(>>>|\.\.\.|\$)( |$)/.test(line));
      const text = prompted.length
        ? prompted.map((line) => line.replace(/^(>>>|\.\.\.|\$) ?/, "")).join("\n")
        : lines.join("\n");
      await navigator.clipboard.writeText(text);
      button.textContent = words[1];
      setTimeout(() => { button.textContent = words[0]; }, 1500);
    });
    block.append(button);
  }
  if (words[0] === "Copiar") {
    document.documentElement.lang = "pt-BR";
    for (const [place, word] of Object.entries(PORTUGUESE)) {
      for (const found of document.querySelectorAll(place)) found.textContent = word;
    }
    // The Portuguese pages come first; the names of English pages stay English.
    for (const caption of document.querySelectorAll(".sidebar-tree .caption")) {
      if (!caption.textContent.includes("Em português")) continue;
      const pages = caption.nextElementSibling;
      caption.parentElement.prepend(caption, pages);
    }
    const search = document.querySelector(".sidebar-search");
    if (search) search.placeholder = "Buscar";
  }
  for (const drawing of document.querySelectorAll("div.drawing")) {
    const width = drawing.querySelector("svg")?.viewBox.baseVal.width;
    drawing.classList.toggle("wide", width > 500);
    drawing.addEventListener("click", () => drawing.classList.toggle("full"));
  }
  for (const picture of document.querySelectorAll("article img")) {
    if (picture.closest("a")) continue;
    const link = document.createElement("a");
    link.href = picture.src;
    picture.replaceWith(link);
    link.append(picture);
    const measure = () => {
      if (picture.naturalWidth < 700) return;
      link.className = "wide";
      picture.style.setProperty("--read", `${Math.round(0.6 * picture.naturalWidth)}px`);
    };
    if (picture.complete) measure();
    else picture.addEventListener("load", measure);
  }
});
