"use strict";
// Runs when the page is read: unpacks BokehJS and the page's own scripts and starts them in their order (see
// report/assets.py). Where anything fails until the page is ready, it shows what it shows without scripts.
// What a light page left out (see report/light.py) is read from the file beside it.
async function unpack(element) {
  if (element.dataset.src) {
    const found = await fetch(element.dataset.src);
    if (!found.ok) throw new Error(`${element.dataset.src} is missing`);
    return new Response(found.body.pipeThrough(new DecompressionStream("gzip")));
  }
  const letters = atob(element.textContent.trim()), bytes = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i++) bytes[i] = letters.charCodeAt(i);
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip")));
}
(function start() {
  const root = document.documentElement;
  const fail = ({ error, reason }) => {
    if (root.dataset.ready || !root.classList.contains("js") || !(error ?? reason)) return;
    root.classList.remove("js");
    const said = document.createElement("p");
    said.className = "card failed";
    said.textContent = `The linked views could not start in this browser (${error ?? reason}). What follows is the page without them.`;
    document.getElementById("main").prepend(said);
  };
  addEventListener("error", fail);
  addEventListener("unhandledrejection", fail);
  Promise.all(Array.from(document.querySelectorAll("script.packed"), async (element) => (await unpack(element)).text())).then((texts) => {
    for (const text of texts) {
      const script = document.createElement("script");
      script.textContent = text; // inline: the policy lists its hash
      document.body.append(script);
    }
  });
})();
