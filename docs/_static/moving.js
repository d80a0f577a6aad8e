// Interactive pages inside others are as high as their content, and light or dark as the page.
document.addEventListener("DOMContentLoaded", () => {
  const frames = [...document.querySelectorAll(".moving iframe")];
  if (!frames.length) return;
  const tell = () => {
    for (const frame of frames) {
      frame.contentWindow.postMessage({ dlkeras: "theme", theme: document.body.dataset.theme ?? "auto" }, "*");
    }
  };
  addEventListener("message", ({ data, source }) => {
    if (data?.dlkeras !== "height") return;
    const frame = frames.find((each) => each.contentWindow === source);
    if (!frame) return;
    if (!frame.told) { frame.told = true; tell(); }
    frame.style.height = `${Math.ceil(data.height)}px`;
  });
  new MutationObserver(tell).observe(document.body, { attributeFilter: ["data-theme"] });
});
