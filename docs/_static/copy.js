// A button on every block of code that copies it, without the prompts.
document.addEventListener("DOMContentLoaded", () => {
  const words = document.documentElement.lang === "pt-BR" || location.pathname.includes("/pt-BR/")
    ? ["Copiar", "Copiado"] : ["Copy", "Copied"];
  for (const block of document.querySelectorAll("div.highlight")) {
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
});
