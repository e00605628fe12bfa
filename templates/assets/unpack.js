"use strict";
// Runs when the page is read: unpacks its data (see report/payload.py), BokehJS and its own scripts, and starts these in
// their order (see report/assets.py). Where anything fails until the page is ready, it shows what it shows without scripts.
// What a light page left out (see report/light.py) is read from the file beside it.
let payload; // for core.js
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
  const read = async () => { payload = await (await unpack(document.getElementById("payload"))).arrayBuffer(); };
  const texts = Array.from(document.querySelectorAll("script.packed"), async (element) => (await unpack(element)).text());
  Promise.all([read(), ...texts]).then(([, ...ready]) => {
    for (const text of ready) {
      const script = document.createElement("script");
      script.textContent = text; // inline: the policy lists its hash
      document.body.append(script);
    }
  });
})();
