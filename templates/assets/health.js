"use strict";
// State health: the units named in the table, and those under the pointer in a gate, lead to their own figures.
RR.views.push(function health() {
  const choose = (state, unit) => RR.set({ state, units: [unit], lens: "unit" });
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("#health-table a[data-unit]");
    if (link) choose(Number(link.dataset.state), Number(link.dataset.unit));
  });
  for (const gate of document.querySelectorAll(".gate")) {
    const svg = gate.querySelector("svg"), state = Number(gate.dataset.state);
    const dots = [...gate.querySelector(".dots").getAttribute("d").matchAll(/M(\d+) (\d+)/g)].map(([, x, y]) => [Number(x), Number(y)]);
    const ring = RR.svg("circle", { class: "here", r: 3, visibility: "hidden" });
    svg.append(ring);
    // The units whose dot is under the pointer; several may share one place.
    const under = (event) => {
      const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
      const apart = dots.map(([x, y]) => Math.hypot(x - at.x, y - at.y)), nearest = Math.min(...apart);
      if (!(nearest < 6)) return [];
      const [x, y] = dots[apart.indexOf(nearest)];
      return [...dots.keys()].filter((unit) => dots[unit][0] === x && dots[unit][1] === y);
    };
    svg.addEventListener("pointermove", (event) => {
      const units = under(event);
      ring.setAttribute("visibility", units.length ? "visible" : "hidden");
      if (!units.length) { RR.tip(null); return; }
      const [x, y] = dots[units[0]], more = units.length > 6 ? ` and ${units.length - 6} more` : "";
      ring.setAttribute("cx", x);
      ring.setAttribute("cy", y);
      RR.tip([`${units.length > 1 ? "units" : "unit"} ${units.slice(0, 6).join(", ")}${more}`, gate.dataset.title, `closed at ${x}% of the steps, open at ${100 - y}%`]);
    });
    for (const word of gate.querySelectorAll("[data-word]")) word.addEventListener("click", () => {
      RR.set({ words: [Number(word.dataset.word)], lens: "word", ...(state < 0 ? {} : { state, units: [Number(word.dataset.unit)] }) });
      RR.byId("units")?.scrollIntoView();
    });
    svg.addEventListener("pointerleave", () => { ring.setAttribute("visibility", "hidden"); RR.tip(null); });
    svg.addEventListener("click", (event) => {
      const [unit] = under(event);
      if (unit === undefined || state < 0) return;
      choose(state, unit);
      RR.byId("figure-boxes")?.scrollIntoView();
    });
  }
});
