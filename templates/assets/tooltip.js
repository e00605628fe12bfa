"use strict";
// One tooltip for the page: text only, follows the pointer.
RR.tip = function (lines) {
  const node = RR.byId("tooltip");
  if (!lines || !lines.length) { node.hidden = true; return; }
  node.replaceChildren(...lines.map((line, place) => RR.el("div", {}, place ? line : RR.el("b", {}, line))));
  node.hidden = false;
};
document.addEventListener("pointermove", (event) => {
  const node = RR.byId("tooltip");
  if (node.hidden) return;
  const box = node.getBoundingClientRect();
  const left = event.clientX + 14 + box.width > innerWidth ? event.clientX - box.width - 10 : event.clientX + 14;
  const top = event.clientY + 18 + box.height > innerHeight ? event.clientY - box.height - 12 : event.clientY + 18;
  node.style.left = `${Math.max(4, left)}px`;
  node.style.top = `${Math.max(4, top)}px`;
});
// Any element with `data-hint` explains itself by its list of lines, or the function that makes them (RR.hint).
RR.hints = new WeakMap();
RR.hint = (node, lines) => { RR.hints.set(node, lines); return node; };
document.addEventListener("pointerover", (event) => {
  const node = event.target.closest?.("[data-hint]");
  if (node) { const lines = RR.hints.get(node); RR.tip(typeof lines === "function" ? lines() : lines); }
});
document.addEventListener("pointerout", (event) => { if (event.target.closest?.("[data-hint]")) RR.tip(null); });
